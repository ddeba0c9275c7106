"""Rows as CSV (RFC 4180), safe to open in a spreadsheet; and the answer that is such a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from litestar import Request, Response

from app.api.accepting import wanted_type
from app.errors import VersoError

MEDIA_TYPE = "text/csv; header=present"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
"""What begins a formula, full-width signs too (OWASP, CSV Injection)."""


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A header line and a line for each row; None is an empty cell.

    A text that a spreadsheet would take for a formula begins with an apostrophe: paths and names are other
    people's words. Numbers are left as they are.
    """
    told = io.StringIO()
    writer = csv.writer(told)
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return told.getvalue()


def csv_answer(
    header: Sequence[str], rows: Iterable[Sequence[Any]], *, name: str, headers: Mapping[str, str]
) -> Response[Any]:
    """A table as a CSV file of that name."""
    named = {**headers, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(csv_text(header, rows), media_type=MEDIA_TYPE, headers=named)


def wants_csv(request: Request[Any, Any, Any], form: str | None) -> bool:
    """Whether the answer is CSV: by `format`, else by Accept. Raises VersoError `not_acceptable`."""
    if form is not None:
        return form == "csv"
    best = wanted_type(request, ["application/json", "text/csv"])
    if best is None:
        raise VersoError("not_acceptable", "This comes as application/json or text/csv.")
    return best == "text/csv"


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

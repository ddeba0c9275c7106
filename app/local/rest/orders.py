"""`order=`: columns, JSON paths and columns of to-one embeddings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, cast

from app.local.rest.scan import Mismatch, Scanner
from app.local.rest.syntax import Field, Order

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTION = re.compile(r"\.(asc|desc)(?![a-z])")
_NULLS = re.compile(r"\.(nullsfirst|nullslast)")


def parse_order(text: str) -> tuple[Order, ...]:
    """Read the terms of an `order` parameter. Raises RestError PGRST100."""
    scan = Scanner(text, what=f"order ({text})")
    try:
        terms = [_term(scan)]
        while scan.take(","):
            terms.append(_term(scan))
        if not scan.done():
            raise scan.fail('"," or end of input')
    except Mismatch:
        raise scan.refusal() from None
    return tuple(terms)


def _term(scan: Scanner) -> Order:
    scan.blank()
    start = scan.at
    relation: str | None = scan.name()
    field: Field
    if scan.take("("):
        field = scan.field()
        scan.need(")")
    else:
        scan.at, relation = start, None
        field = scan.field()
    direction = scan.match(_DIRECTION)
    nulls = scan.match(_NULLS)
    scan.blank()
    if not scan.done() and not scan.peek(","):
        allowed: Sequence[str] = (
            ('"asc"', '"desc"', '"nullsfirst"', '"nullslast"')
            if scan.peek(".")
            else ("delimiter (.)", '","', "end of input")
        )
        if scan.peek("."):
            scan.at += 1
        raise scan.fail(" or ".join(allowed))
    return Order(
        field,
        direction=cast("Literal['asc', 'desc'] | None", direction[1] if direction else None),
        nulls=cast("Literal['nullsfirst', 'nullslast'] | None", nulls[1] if nulls else None),
        relation=relation,
    )

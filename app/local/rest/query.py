"""A whole query string into a `Query`: which parameter is a filter, which a keyword, which an argument."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from app.local.rest.conditions import has_operator, parse_filter, parse_logic, parse_path
from app.local.rest.orders import parse_order
from app.local.rest.ranges import number
from app.local.rest.selects import EVERYTHING, parse_names, parse_select
from app.local.rest.syntax import Query, Range

if TYPE_CHECKING:
    from app.local.rest.syntax import Path

_RESERVED = frozenset(("select", "columns", "on_conflict"))
_EMBEDDABLE = frozenset(("order", "limit", "offset", "and", "or"))
_SEPARATOR = re.compile("[&;]")
EMPTY = Query(EVERYTHING)


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Split into the parameters in order; those without `=` are dropped, and broken UTF-8 becomes U+FFFD."""
    pairs = []
    for part in _SEPARATOR.split(text):
        name, equals, value = part.partition("=")
        if equals:
            pairs.append((unquote(name.replace("+", " ")), unquote(value.replace("+", " "))))
    return pairs


def parse_query(text: str, *, arguments: bool = False) -> Query:
    """Read a query string. Raises RestError PGRST100.

    With `arguments`, parameters without an operator are a function's arguments, not broken filters.
    """
    if not text:
        return EMPTY
    given = pairs_of(text)
    # PostgREST reads in this order, which decides what is refused first when several things are wrong.
    orders = [(parse_path(name), parse_order(value)) for name, value in given if _last(name) == "order"]
    trees = [parse_logic(name, value) for name, value in given if _last(name) in ("and", "or")]
    keywords = {name: value for name, value in reversed(given) if name in _RESERVED}
    columns, conflict = keywords.get("columns"), keywords.get("on_conflict")
    named = None if columns is None else tuple(sorted(set(parse_names(columns, what="columns"))))
    select = parse_select(keywords["select"]) if "select" in keywords else EVERYTHING
    filters, passed = [], []
    for name, value in given:
        if name in _RESERVED or _last(name) in _EMBEDDABLE:
            continue
        if arguments and not has_operator(value):
            passed.append((name, value))
        else:
            filters.append(parse_filter(name, value))
    return Query(
        select=select,
        filters=(*trees, *filters),
        orders=tuple(orders),
        ranges=_ranges(given),
        columns=named,
        on_conflict=None if conflict is None else parse_names(conflict, what="on_conflict"),
        arguments=tuple(passed),
    )


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _ranges(given: list[tuple[str, str]]) -> dict[Path, Range]:
    limits: dict[Path, int | None] = {}
    offsets: dict[Path, int] = {}
    for name, value in given:
        last = _last(name)
        if last == "limit":
            limits[parse_path(name)] = number(value)
        elif last == "offset":
            offsets[parse_path(name)] = number(value) or 0
    return {path: Range(offsets.get(path, 0), limits.get(path)) for path in {**limits, **offsets}}

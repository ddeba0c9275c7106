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
    from app.local.rest.syntax import Logic, Order, Path

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
    keywords: dict[str, str] = {}
    filters: list[tuple[Path, Logic]] = []
    orders: list[tuple[Path, tuple[Order, ...]]] = []
    named: list[tuple[str, str]] = []
    trees: list[tuple[Path, Logic]] = []
    for name, value in given:
        last = name.rpartition(".")[2]
        if name in _RESERVED:
            keywords.setdefault(name, value)
        elif last == "order":
            orders.append((parse_path(name), parse_order(value)))
        elif last in ("and", "or"):
            trees.append(parse_logic(name, value))
        elif last in _EMBEDDABLE:
            continue
        elif arguments and not has_operator(value):
            named.append((name, value))
        else:
            filters.append(parse_filter(name, value))
    columns, conflict = keywords.get("columns"), keywords.get("on_conflict")
    return Query(
        select=parse_select(keywords["select"]) if "select" in keywords else EVERYTHING,
        filters=(*filters, *trees),
        orders=tuple(orders),
        ranges=_ranges(given),
        columns=None if columns is None else tuple(sorted(set(parse_names(columns, what="columns")))),
        on_conflict=None if conflict is None else parse_names(conflict, what="on_conflict"),
        arguments=tuple(named),
    )


def _ranges(given: list[tuple[str, str]]) -> dict[Path, Range]:
    limits: dict[Path, int | None] = {}
    offsets: dict[Path, int] = {}
    for name, value in given:
        last = name.rpartition(".")[2]
        if last == "limit":
            limits[parse_path(name)] = number(value)
        elif last == "offset":
            offsets[parse_path(name)] = number(value) or 0
    return {path: Range(offsets.get(path, 0), limits.get(path)) for path in {**limits, **offsets}}

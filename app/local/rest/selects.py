"""`select=`: columns, aliases, casts, JSON paths and embedded resources."""

from __future__ import annotations

import re
from functools import lru_cache

from app.local.rest.scan import DEEPEST, NAME, Mismatch, Scanner
from app.local.rest.syntax import Column, Embed, Field, Item, Join

_CAST = re.compile(r"[\w $]+")
_AGGREGATE = re.compile(r"\.(?:sum|avg|count|max|min)\(\)")
EVERYTHING: tuple[Item, ...] = (Column(Field("*")),)


@lru_cache(maxsize=256)
def parse_select(text: str) -> tuple[Item, ...]:
    """Read the items of a `select` parameter. Raises RestError PGRST100.

    What follows a complete list is ignored (`id)`), as in filters: PostgREST's grammar has no end either.
    """
    if text == "*":
        return EVERYTHING
    scan = Scanner(text, what=f"select parameter ({text})")
    try:
        items = _items(scan, depth=0)
    except Mismatch:
        raise scan.refusal() from None
    return items


def parse_names(text: str, *, what: str) -> tuple[str, ...]:
    """Read the comma-separated names of `columns` and `on_conflict`. Raises RestError PGRST100."""
    scan = Scanner(text, what=f"{what} parameter ({text})")
    try:
        names = [scan.name()]
        scan.blank()
        while scan.take(","):
            scan.blank()
            names.append(scan.name())
            scan.blank()
    except Mismatch:
        raise scan.refusal() from None
    return tuple(names)


def _items(scan: Scanner, *, depth: int) -> tuple[Item, ...]:
    if depth > DEEPEST:
        raise scan.fail(f"at most {DEEPEST} levels")
    scan.blank()
    if scan.done() or scan.peek(")"):
        return ()
    items = [_item(scan, depth=depth)]
    scan.blank()
    while scan.take(","):
        items.append(_item(scan, depth=depth))
        scan.blank()
    return tuple(items)


def _item(scan: Scanner, *, depth: int) -> Item:
    scan.blank()
    if scan.at >= len(scan.text) or scan.text[scan.at] in ",)(":
        for expected in ('"..."', NAME, '"*"'):
            scan.fail(expected)
        raise scan.fail('"count()"')
    if scan.take("..."):
        embed = _embed(scan, alias=None, spread=True, depth=depth)
        if embed:
            return embed
        raise scan.fail('"("')
    if scan.take("*"):
        return _ended(scan, Column(Field("*")))
    alias = _alias(scan)
    if scan.take("count()"):
        _cast(scan)
        return _ended(scan, Column(Field("*"), alias=alias, aggregate=True))
    name_at = scan.at
    embed = _embed(scan, alias=alias, spread=False, depth=depth)
    if embed:
        return embed
    scan.at = name_at
    field = scan.field()
    cast = _cast(scan)
    aggregate = scan.match(_AGGREGATE) is not None
    if aggregate:
        _cast(scan)
    return _ended(scan, Column(field, alias=alias, cast=cast, aggregate=aggregate))


def _ended(scan: Scanner, column: Column) -> Column:
    scan.blank()
    if scan.done() or scan.peek(",") or scan.peek(")"):
        return column
    for expected in ('"->>"', '"->"', '"::"', '")"', '","'):
        scan.fail(expected)
    raise scan.fail("end of input")


def _alias(scan: Scanner) -> str | None:
    start = scan.at
    try:
        alias = scan.name()
    except Mismatch:
        scan.at = start
        return None
    # `::` is a cast of the name just read, not an alias.
    if scan.peek(":") and not scan.peek("::"):
        scan.at += 1
        return alias
    scan.at = start
    return None


def _cast(scan: Scanner) -> str | None:
    if not scan.take("::"):
        return None
    found = scan.match(_CAST)
    if not found:
        raise scan.fail("letter or digit")
    return found[0].strip()


def _embed(scan: Scanner, *, alias: str | None, spread: bool, depth: int) -> Embed | None:
    """Read an embedding, or None when what stands here is a plain field."""
    relation = scan.name()
    hint: str | None = None
    join: Join | None = None
    for _ in range(2):
        if not scan.take("!"):
            break
        if scan.take("inner"):
            join = join or "inner"
        elif scan.take("left"):
            join = join or "left"
        else:
            hint = hint or scan.name()
    scan.blank()
    if not scan.take("("):
        if hint or join:
            raise scan.fail('"("')
        return None
    items = _items(scan, depth=depth + 1)
    scan.need(")")
    return Embed(relation, items, alias=alias, hint=hint, join=join, spread=spread)

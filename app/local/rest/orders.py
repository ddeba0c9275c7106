"""`order=`: columns, JSON paths and columns of to-one embeddings."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, cast

from app.local.rest.scan import Mismatch, Scanner
from app.local.rest.syntax import Field, Order

_DIRECTION = re.compile(r"\.(asc|desc)(?![a-z])")
_NULLS = re.compile(r"\.(nullsfirst|nullslast)")


@lru_cache(maxsize=256)
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
        raise _after_term(scan, directed=direction is not None, nulled=nulls is not None)
    return Order(
        field,
        direction=cast("Literal['asc', 'desc'] | None", direction[1] if direction else None),
        nulls=cast("Literal['nullsfirst', 'nullslast'] | None", nulls[1] if nulls else None),
        relation=relation,
    )


def _after_term(scan: Scanner, *, directed: bool, nulled: bool) -> Mismatch:
    """Say what may follow a term that ended too early."""
    expected = ["delimiter (.)", '","', "end of input"]
    if nulled:
        expected = ['","', "end of input"]
    elif scan.take("."):
        expected = ['"nullsfirst"', '"nullslast"']
        if not directed:
            expected = ['"asc"', '"desc"', *expected]
    for one in expected[:-1]:
        scan.fail(one)
    return scan.fail(expected[-1])

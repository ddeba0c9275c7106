"""Filters: `column=operator.value`, `and=(...)`, `or=(...)`."""

from __future__ import annotations

import re
from typing import Literal

from app.local.rest.scan import DEEPEST, Mismatch, Scanner
from app.local.rest.syntax import Condition, Field, Filter, Group, Logic, Path

SIMPLE = {
    "neq": "<>",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}
QUANTIFIED = {
    "eq": "=",
    "gte": ">=",
    "gt": ">",
    "lte": "<=",
    "lt": "<",
    "like": "like",
    "ilike": "ilike",
    "match": "~",
    "imatch": "~*",
}
FULL_TEXT = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
STATES = {
    "null": "NULL",
    "not_null": "NOT NULL",
    "true": "TRUE",
    "false": "FALSE",
    "unknown": "UNKNOWN",
}

_OPERATOR = re.compile(
    r"(?:(?P<plain>in|isdistinct|is)(?=\.)"
    r"|(?P<fts>plfts|phfts|wfts|fts)(?:\((?P<lang>[\w $]+)\))?"
    r"|(?P<quant>eq|gte|gt|lte|lt|like|ilike|match|imatch)(?![a-z])(?:\((?P<how>any|all)\))?"
    r"|(?P<simple>neq|cs|cd|ov|sl|sr|nxr|nxl|adj))"
)
_STATE = re.compile(r"not_null|null|unknown|true|false", re.IGNORECASE)
_LISTED = re.compile(r"[^,)]*")
_ARRAY = re.compile(r"\{[^{}]*\}")


def parse_filter(key: str, value: str) -> tuple[Path, Filter]:
    """`clients.name` and `eq.x` as a filter on an embedding's field. Raises RestError PGRST100."""
    path, field_at = _tree_path(key)
    scan = Scanner(value, what=f"filter ({value})")
    try:
        condition = _condition(scan, nested=False)
    except Mismatch:
        raise scan.refusal() from None
    return path, Filter(field_at, condition)


def parse_logic(key: str, value: str) -> tuple[Path, Logic]:
    """`or`, `not.and` or `clients.or` with its parenthesised members. Raises RestError PGRST100."""
    parts = _names(key, what="logic path")
    operator = ("not." if "not" in parts else "") + parts[-1]
    path = tuple(part for part in parts[:-1] if part != "not")
    scan = Scanner(operator + value, what=f"logic tree ({value})")
    try:
        logic = _logic(scan, depth=0)
    except Mismatch:
        raise scan.refusal() from None
    return path, logic


def has_operator(value: str) -> bool:
    """Whether a GET parameter of a function is a filter on its result rather than an argument."""
    scan = Scanner(value, what="")
    try:
        _condition(scan, nested=False)
    except Mismatch:
        return False
    return True


def _tree_path(key: str) -> tuple[Path, Field]:
    scan = Scanner(key, what=f"tree path ({key})")
    try:
        names = [scan.name()]
        while scan.take("."):
            names.append(scan.name())
        field = Field(names[-1], scan.steps())
    except Mismatch:
        raise scan.refusal() from None
    return tuple(names[:-1]), field


def _names(key: str, *, what: str) -> list[str]:
    scan = Scanner(key, what=f"{what} ({key})")
    try:
        names = [scan.name()]
        while scan.take("."):
            names.append(scan.name())
    except Mismatch:
        raise scan.refusal() from None
    return names


def parse_path(key: str) -> Path:
    """Find the embedding that `clients.order` or `clients.limit` belongs to. Raises RestError PGRST100."""
    return tuple(_names(key, what="tree path")[:-1])


def _logic(scan: Scanner, *, depth: int) -> Logic:
    if depth > DEEPEST:
        raise scan.fail(f"at most {DEEPEST} levels")
    start = scan.at
    try:
        field = scan.field()
        if not scan.take("."):
            for expected in ("letter", "digit", '"-"', '"->>"', '"->"'):
                scan.fail(expected)
            raise scan.fail("delimiter (.)")
        return Filter(field, _condition(scan, nested=True))
    except Mismatch:
        scan.at = start
    scan.blank()
    negated = scan.take("not.")
    operator: Literal["and", "or"]
    if scan.take("and"):
        operator = "and"
    elif scan.take("or"):
        operator = "or"
    else:
        if not negated:
            scan.fail("negation operator (not)")
        raise scan.fail("logic operator (and, or)")
    scan.blank()
    scan.need("(")
    scan.blank()
    members = [_logic(scan, depth=depth + 1)]
    scan.blank()
    while scan.take(","):
        scan.blank()
        members.append(_logic(scan, depth=depth + 1))
        scan.blank()
    if not scan.peek(")"):
        scan.fail('","')
    scan.need(")")
    scan.blank()
    return Group(operator, tuple(members), negated=negated)


def _condition(scan: Scanner, *, nested: bool) -> Condition:
    negated = scan.take("not.")
    found = scan.match(_OPERATOR)
    if not found:
        if not negated:
            scan.fail('"not"')
        raise scan.fail("operator (eq, gt, ...)")
    operator = found["plain"] or found["fts"] or found["quant"] or found["simple"]
    if not scan.take("."):
        if found["quant"]:
            scan.take("(")
        raise scan.fail("operator (eq, gt, ...)")
    if operator == "in":
        return Condition("in", negated=negated, values=_listed(scan))
    if operator == "is":
        state = scan.match(_STATE)
        if not state:
            scan.at += _alike(scan.text[scan.at :].lower())
            raise scan.fail("null or trilean value (unknown, true, false)")
        return Condition("is", value=state[0].lower(), negated=negated)
    value = _nested_value(scan) if nested else scan.text[scan.at :]
    if not nested:
        scan.at = len(scan.text)
    how = found["how"]
    return Condition(
        operator,
        value=value,
        negated=negated,
        quantifier="any" if how == "any" else "all" if how == "all" else None,
        language=found["lang"].strip() if found["lang"] else None,
    )


def _alike(text: str) -> int:
    """How much of the text some state's name begins with: where Parsec, reading by letters, stops."""
    return max(size for state in STATES for size in range(len(state) + 1) if text.startswith(state[:size]))


def _nested_value(scan: Scanner) -> str:
    """Inside and/or a value ends at a comma or parenthesis, unless it is quoted or an array."""
    start = scan.at
    quoted = scan.quoted()
    if quoted is not None and (scan.done() or scan.peek(",") or scan.peek(")")):
        return quoted
    scan.at = start
    found = scan.match(_ARRAY) or scan.match(_LISTED)
    return found[0] if found else ""


def _listed(scan: Scanner) -> tuple[str, ...]:
    scan.blank()
    scan.need("(")
    scan.blank()
    values = [_element(scan)]
    while scan.take(","):
        values.append(_element(scan))
    scan.blank()
    scan.need(")")
    scan.blank()
    return tuple(values)


def _element(scan: Scanner) -> str:
    start = scan.at
    quoted = scan.quoted()
    if quoted is not None and (scan.done() or scan.peek(",") or scan.peek(")")):
        return quoted
    scan.at = start
    found = scan.match(_LISTED)
    return found[0] if found else ""

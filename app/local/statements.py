"""Split SQL into statements where PostgreSQL would: at semicolons outside quotes, comments and bodies."""

from __future__ import annotations

import re

# What may hold a semicolon without ending the statement, or open something that may. Order matters: an E''
# string before a plain one, because only in the former does a backslash escape the quote. A quote that is
# never closed goes to the end: PostgreSQL is to say so, not we.
_TOKEN = re.compile(
    r"""
      (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escaped>(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'?)
    | (?P<plain>'(?:[^']|'')*'?)
    | (?P<name>"(?:[^"]|"")*"?)
    | (?P<dollar>(?<![\w$])\$(?:[^\W\d]\w*)?\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<semicolon>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")


def split_statements(sql: str) -> list[str]:
    """Split a script into its statements, without their semicolons and outer blanks.

    Comments stay with the statement that follows them; a script's last comments alone are no statement. Knows
    nested comments, dollar quotes, E'' strings and `begin atomic … end` bodies (PostgreSQL 14).
    """
    statements: list[str] = []
    start = position = 0
    has_code = False
    depth = 0  # of BEGIN ATOMIC and the CASEs in it, all of which END closes
    before = ""
    while match := _TOKEN.search(sql, position):
        kind = match.lastgroup
        has_code = (
            has_code
            or bool(sql[position : match.start()].strip())
            or kind not in {"line", "block", "semicolon"}
        )
        position = match.end()
        if kind == "block":
            position = _end_of_block(sql, position)
        elif kind == "dollar":
            end = sql.find(match[0], position)
            position = len(sql) if end < 0 else end + len(match[0])
        elif kind == "word":
            word = match[0].lower()
            if (word, before) == ("atomic", "begin") or (depth and word == "case"):
                depth += 1
            elif depth and word == "end":
                depth -= 1
            before = word
        elif kind == "semicolon" and not depth:
            if has_code:
                statements.append(sql[start : match.start()].strip())
            start, has_code, before = position, False, ""
    if has_code or sql[position:].strip():
        statements.append(sql[start:].strip())
    return statements


def _end_of_block(sql: str, position: int) -> int:
    """The position after a block comment; PostgreSQL's nest."""
    open_comments = 1
    while open_comments and (edge := _BLOCK_EDGE.search(sql, position)):
        open_comments += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return len(sql) if open_comments else position

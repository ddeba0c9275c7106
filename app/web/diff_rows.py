"""A difference as rows of a table: numbers that are links, changed words marked, unchanged lines folded.

Rows of equal kind are made into HTML here in one go, for a page has hundreds of them; templates put them
together with what stands between: folds, the heads of hunks, threads of comments.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, Any

import msgspec
from markupsafe import Markup

from app.text.html import SIGNS, View, marked_text
from app.text.hunks import DiffResult, Line, number_lines
from app.text.lines import split_lines
from app.text.words import Granularity
from app.web.shown import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from app.text.hunks import Hunk, Kind
    from app.text.similarity import MovedBlock

ROWS = 600
"""Lines of a difference on one page; the next ones are on the next."""
MAX_UNFOLDED = 2000
"""Unchanged lines that one fold shows at once."""


class Fold(msgspec.Struct, frozen=True):
    """Unchanged lines that aren't shown: `first` to `last` of the older text."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """What the address calls it."""
        return f"{self.first}-{self.last}"


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the table, one of: a fold, the head of a hunk, rows, threads beside the row before."""

    fold: Fold | None = None
    head: str | None = None
    rows: Markup | None = None
    line: int | None = None
    """The newer text's line that threads (or the form for a new one) belong to."""
    threads: tuple[Any, ...] = ()
    unfolded: str | None = None
    """Rows that a fold of this name was opened to."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a difference."""

    blocks: list[Block]
    total: int
    """Lines of all parts."""
    part: int
    parts: int
    shown: frozenset[int]
    """The newer text's lines that are in this part."""


class Showing(msgspec.Struct, frozen=True, kw_only=True):
    """How a difference is shown, and what beside it."""

    name: str = ""
    """What its lines' anchors begin with: several differences can be on a page."""
    view: View = View.INLINE
    part: int = 1
    opened: frozenset[str] = frozenset()
    """The names of folds to open."""
    old: bytes | None = None
    """The older text, where folds can be opened."""
    threads: dict[int, list[Any]] = {}
    """What stands beside which line of the newer text."""
    asked: int | None = None
    """The line that a form for a new thread stands under."""
    comment_url: str | None = None
    """Where the number of a line leads who wants to comment on it; its number is appended."""


def table_of(diff: DiffResult, showing: Showing) -> Table:
    """One part of a difference as blocks."""
    total = sum(len(hunk.lines) for hunk in diff.hunks)
    parts = max(1, -(-total // ROWS))
    part = min(max(showing.part, 1), parts)
    first, end = (part - 1) * ROWS, part * ROWS
    rows = _Rows(showing, moved=diff.summary.moved if diff.summary else ())
    blocks: list[Block] = []
    shown: set[int] = set()
    old = split_lines(showing.old) if showing.old is not None else None
    at, shift, seen = 1, 0, 0
    for hunk in diff.hunks:
        start = hunk.old_start if hunk.old_lines else hunk.old_start + 1
        inside = hunk.lines[max(0, first - seen) : max(0, end - seen)]
        if inside:
            if seen >= first:
                blocks.extend(_fold(rows, old, at, start - 1, shift, showing, shown))
                blocks.append(Block(head=_head(hunk)))
            blocks.extend(_with_threads(rows, inside, showing, shown))
        seen += len(hunk.lines)
        at = start + hunk.old_lines
        shift += hunk.new_lines - hunk.old_lines
    if part == parts and diff.hunks:
        blocks.extend(_fold(rows, old, at, diff.old.lines, shift, showing, shown))
    return Table(blocks=blocks, total=total, part=part, parts=parts, shown=frozenset(shown))


def _head(hunk: Hunk) -> str:
    where = f"From line {hunk.new_start}" if hunk.new_lines else f"After line {hunk.new_start}"
    return f"{where}, below {hunk.section}" if hunk.section else where


def _fold(
    rows: _Rows,
    old: Sequence[bytes] | None,
    first: int,
    last: int,
    shift: int,
    showing: Showing,
    shown: set[int],
) -> Iterator[Block]:
    if first > last:
        return
    fold = Fold(first, last)
    if old is None or fold.name not in showing.opened:
        yield Block(fold=fold)
        return
    end = min(last, first + MAX_UNFOLDED - 1)
    marked: list[tuple[Kind, bytes]] = [("context", line) for line in old[first - 1 : end]]
    lines = number_lines(
        marked, first=(first - 1, first - 1 + shift), granularity=Granularity.LINE, refinements=[]
    )
    for block in _with_threads(rows, lines, showing, shown):
        yield msgspec.structs.replace(block, unfolded=fold.name)
    if end < last:
        yield Block(fold=Fold(end + 1, last))


def _with_threads(rows: _Rows, lines: Sequence[Line], showing: Showing, shown: set[int]) -> Iterator[Block]:
    """The rows of lines, interrupted after those that have threads or are asked about."""
    waiting: list[Line] = []
    for line in _whole_pairs(lines, showing.view):
        waiting.extend(line)
        numbers = [each.new for each in line if each.new is not None]
        shown.update(numbers)
        beside = [number for number in numbers if number in showing.threads or number == showing.asked]
        if beside:
            yield Block(rows=rows.html(waiting))
            waiting = []
            for number in beside:
                yield Block(line=number, threads=tuple(showing.threads.get(number, ())))
    if waiting:
        yield Block(rows=rows.html(waiting))


def _whole_pairs(lines: Sequence[Line], view: View) -> Iterator[list[Line]]:
    """Lines one by one; side by side, what stands beside each other stays together."""
    if view is View.INLINE:
        yield from ([line] for line in lines)
        return
    for is_context, block in groupby(lines, key=lambda line: line.kind == "context"):
        if is_context:
            yield from ([line] for line in block)
            continue
        sides = _sides(block)
        for pair in zip_longest(sides["removed"], sides["added"]):
            yield [line for line in pair if line is not None]


def _sides(block: Iterable[Line]) -> Mapping[str, list[Line]]:
    sides: Mapping[str, list[Line]] = defaultdict(list)
    for line in block:
        sides[line.kind].append(line)
    return sides


class _Rows:
    """Makes rows, with the addresses and marks of one difference."""

    def __init__(self, showing: Showing, *, moved: Sequence[MovedBlock]) -> None:
        self._showing = showing
        self._to: dict[int, int] = {}
        self._from: dict[int, int] = {}
        for block in moved:
            self._to |= {block.old_start + each: block.new_start + each for each in range(block.lines)}
            self._from |= {block.new_start + each: block.old_start + each for each in range(block.lines)}
        self._moved = {("removed", each.old_start): each for each in moved}
        self._moved |= {("added", each.new_start): each for each in moved}

    def html(self, lines: Sequence[Line]) -> Markup:
        make = self._inline if self._showing.view is View.INLINE else self._split
        return Markup("".join(make(lines)))  # noqa: S704 - every text in it is escaped by marked_text

    def _inline(self, lines: Sequence[Line]) -> Iterator[str]:
        for line in lines:
            numbers = self._number(line, "old") + self._number(line, "new")
            yield f'<tr class="{line.kind}{self._moved_class(line)}">{numbers}{self._text(line)}</tr>'

    def _split(self, lines: Sequence[Line]) -> Iterator[str]:
        for is_context, block in groupby(lines, key=lambda line: line.kind == "context"):
            if is_context:
                for line in block:
                    halves = (self._number(line, side) + self._text(line) for side in ("old", "new"))
                    yield f'<tr class="context">{"".join(halves)}</tr>'
                continue
            sides = _sides(block)
            for old, new in zip_longest(sides["removed"], sides["added"]):
                yield f"<tr>{self._half(old, 'old')}{self._half(new, 'new')}</tr>"

    def _half(self, line: Line | None, side: str) -> str:
        if line is None:
            return '<td class="n none"></td><td class="none" colspan="2"></td>'
        kind = line.kind + self._moved_class(line)
        return self._number(line, side, kind) + self._text(line, kind)

    def _number(self, line: Line, side: str, kind: str = "") -> str:
        number = line.old if side == "old" else line.new
        named = f'class="n {kind}"' if kind else 'class="n"'
        if number is None:
            return f"<td {named}></td>"
        anchor = f"{self._showing.name}{side[0]}{number}"
        link = f'<a href="#{anchor}" aria-label="{side} line {number}" data-n="{number}"></a>'
        more = ""
        if side == "new" and self._showing.comment_url is not None:
            address = f"{self._showing.comment_url}{number}#thread-{number}"
            more = f'<a class="say" href="{Markup.escape(address)}" data-into="thread-{number}">'
            more += f'<span class="aside">Comment on line {number}</span></a>'
        return f'<td {named} id="{anchor}">{link}{more}</td>'

    def _text(self, line: Line, kind: str = "") -> str:
        own = f" {kind}" if kind else ""
        sign = f'<td class="s{own}">{SIGNS[line.kind]}</td>'
        named = f' class="t{own}"'
        return f"{sign}<td{named}>{marked_text(line)}{self._moved_note(line)}</td>"

    def _moved_class(self, line: Line) -> str:
        return " moved" if self._other(line) is not None else ""

    def _moved_note(self, line: Line) -> str:
        """Said once, at the first line of a block; the others are marked alike."""
        block = self._moved.get((line.kind, (line.old if line.kind == "removed" else line.new) or 0))
        if block is None:
            return ""
        side, to, other = (
            ("n", "to", block.new_start) if line.kind == "removed" else ("o", "from", block.old_start)
        )
        words = f"{count(block.lines, 'line')} moved {to} line {other}"
        return f' <a class="went" href="#{self._showing.name}{side}{other}">{words}</a>'

    def _other(self, line: Line) -> int | None:
        if line.kind == "removed":
            return self._to.get(line.old or 0)
        return self._from.get(line.new or 0) if line.kind == "added" else None

"""Which words changed inside changed lines.

The lines of a whole replaced block are cut into words, runs of blanks, newlines, single CJK characters and
single marks; the tokens are compared like lines. What then reads badly is made coarser: little equal islands
between two changes are swallowed, and where hardly a word is shared the lines are shown whole.
"""

from __future__ import annotations

import re
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from app.text.ends import common_ends
from app.text.lines import Edit, token_diff

if TYPE_CHECKING:
    from collections.abc import Sequence

Span: TypeAlias = tuple[int, int]
Spans: TypeAlias = tuple[Span, ...]

# Scripts written without blanks between words: one character is one token there.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Combining marks and the scripts that spell vowels with them, which \w would cut words at.
_MARKS = "\u0300-\u036f\u0900-\u109f"
_TOKEN = re.compile(rf"\n|[^\S\n]+|(?:[^\W{_UNSPACED}]|[{_MARKS}])+|.", re.DOTALL)
_WORD = re.compile(r"\w")

# Beyond _LONG characters the equal ends are cut off before anything is taken apart.
_LONG = 50_000
_CHARACTERS_A_WORD = 6
_MAX_CHARACTERS = 400_000
_MAX_TOKENS = 50_000
_MIN_SHARED = 0.35
_ISLAND_OF_MARKS = 3
_ISLAND = 24


class Granularity(Enum):
    """What the smallest changed thing is."""

    LINE = "line"
    WORD = "word"
    CHARACTER = "character"


class Refinement(NamedTuple):
    """The changed spans of each removed and each added line, in characters, and the share of equal ones."""

    removed: tuple[Spans, ...]
    added: tuple[Spans, ...]
    shared: float


def refine(
    removed: Sequence[str], added: Sequence[str], *, granularity: Granularity = Granularity.WORD
) -> Refinement | None:
    """Return the changed spans of a replaced block; lines keep their newlines.

    None means that the lines are best shown whole: nothing to compare, too little in common (less than 35 %
    of the words), or more than 50,000 tokens between the first and the last difference.
    """
    old, new = "".join(removed), "".join(added)
    if not old or not new or granularity is Granularity.LINE:
        return None
    lead, trail = _shared_ends(old, new) if len(old) + len(new) > _LONG else (0, 0)
    if len(old) + len(new) - 2 * (lead + trail) > _MAX_CHARACTERS:
        return None
    old_tokens = _tokens(old[lead : len(old) - trail], granularity)
    new_tokens = _tokens(new[lead : len(new) - trail], granularity)
    start, end = common_ends(old_tokens, new_tokens)
    old_middle, new_middle = (
        old_tokens[start : len(old_tokens) - end],
        new_tokens[start : len(new_tokens) - end],
    )
    if len(old_middle) + len(new_middle) > _MAX_TOKENS:
        return None
    edits = [Edit(*(place + start for place in edit)) for edit in token_diff(old_middle, new_middle)]
    around = (lead + trail) // _CHARACTERS_A_WORD
    if _share_of_words(old_tokens, new_tokens, edits, around=around) < _MIN_SHARED:
        return None
    places = [
        Edit(*(place + lead for place in edit)) for edit in _in_characters(old_tokens, new_tokens, edits)
    ]
    gone = sum(edit.old_end - edit.old_start for edit in places)
    places = _without_islands(old, places)
    return Refinement(
        _per_line(removed, [(edit.old_start, edit.old_end) for edit in places]),
        _per_line(added, [(edit.new_start, edit.new_end) for edit in places]),
        1 - gone / len(old),
    )


def _shared_ends(old: str, new: str) -> tuple[int, int]:
    """Return how many characters both begin and end with, up to a blank: no word is cut."""
    start, end = common_ends(old, new)
    lead = max(old.rfind(" ", 0, start), old.rfind("\n", 0, start), 0)
    blanks = [place for place in (old.find(mark, len(old) - end) for mark in " \n") if place >= 0]
    return lead, len(old) - min(blanks, default=len(old))


def _tokens(text: str, granularity: Granularity) -> list[str]:
    return list(text) if granularity is Granularity.CHARACTER else _TOKEN.findall(text)


def _share_of_words(old: Sequence[str], new: Sequence[str], edits: Sequence[Edit], *, around: int) -> float:
    gone = sum(_words(old[edit.old_start : edit.old_end]) for edit in edits)
    come = sum(_words(new[edit.new_start : edit.new_end]) for edit in edits)
    # Both have the words that stay: counted once, and in C, since this was a quarter of the refinement.
    total = 2 * (_words(old) - gone + around) + gone + come
    return (total - gone - come) / total if total else 1.0


def _words(tokens: Sequence[str]) -> int:
    return len(list(filter(_WORD.match, tokens)))


def _in_characters(old: Sequence[str], new: Sequence[str], edits: Sequence[Edit]) -> list[Edit]:
    old_at = [0, *accumulate(map(len, old))]
    new_at = [0, *accumulate(map(len, new))]
    return [
        Edit(old_at[e.old_start], old_at[e.old_end], new_at[e.new_start], new_at[e.new_end]) for e in edits
    ]


def _without_islands(old: str, edits: Sequence[Edit]) -> list[Edit]:
    joined: list[Edit] = []
    for edit in edits:
        if joined and _is_island(old[joined[-1].old_end : edit.old_start], joined[-1], edit):
            before = joined.pop()
            joined.append(Edit(before.old_start, edit.old_end, before.new_start, edit.new_end))
        else:
            joined.append(edit)
    return joined


def _is_island(between: str, before: Edit, after: Edit) -> bool:
    if len(between) <= _ISLAND_OF_MARKS and not _WORD.search(between):
        return True
    return len(between) <= _ISLAND and len(between) <= min(_extent(before), _extent(after))


def _extent(edit: Edit) -> int:
    return max(edit.old_end - edit.old_start, edit.new_end - edit.new_start)


def _per_line(lines: Sequence[str], spans: Sequence[Span]) -> tuple[Spans, ...]:
    """Cut spans of the joined text at the lines' ends; a newline alone is no span."""
    result: list[Spans] = []
    at, next_span = 0, 0
    for line in lines:
        visible = at + len(line.removesuffix("\n"))
        found: list[Span] = []
        while next_span < len(spans) and spans[next_span][0] < at + len(line):
            start, end = max(spans[next_span][0], at), min(spans[next_span][1], visible)
            if start < end:
                found.append((start - at, end - at))
            if spans[next_span][1] > at + len(line):
                break
            next_span += 1
        result.append(tuple(found))
        at += len(line)
    return tuple(result)

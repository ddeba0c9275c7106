"""Differences as one HTML page that stands alone: no script, no address of anything, one inline stylesheet.

Everything that comes from documents is escaped, and characters that would hide or reorder text (controls,
bidirectional overrides, invisible blanks; Unicode TR36 and "Trojan Source", CVE-2021-42574) are shown by
their names. What is added or removed is told by a sign and an element, never by colour alone.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from enum import Enum
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING

import msgspec

from app.text.hunks import DiffResult, Hunk, Kind, Line, Side, number_lines  # msgspec reads the annotations
from app.text.lines import split_lines
from app.text.words import Granularity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STYLE = """\
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --minus: #ffd7d5; --plus: #ccf0d1;
  --gone: #ff9f9a; --come: #7fdc8f; --odd: #7a4b00; }
@media (prefers-color-scheme: dark) { :root { --minus: #4a1d1f; --plus: #14391f; --gone: #8e2f33;
  --come: #1f6b34; --odd: #ffc46b; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 110rem; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: 6px; margin: 1rem 0; overflow: hidden; }
summary { padding: .5rem .75rem; background: var(--soft); cursor: pointer; overflow-wrap: anywhere; }
p { margin: .5rem .75rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; font: 13px/1.4 ui-monospace, monospace; }
caption, .aside { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
td, th { padding: 0 .5rem; vertical-align: top; text-align: left; font-weight: inherit; }
td { white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; }
.n { width: 4.5rem; text-align: right; color: GrayText; border-right: 1px solid var(--line); }
.s { width: 1.2rem; }
td.folded { padding: 0; } .folded details { border: 0; border-radius: 0; margin: 0; }
.folded summary { padding: .25rem .5rem; color: GrayText; }
.at { background: var(--soft); color: GrayText; padding: .25rem .5rem; overflow-wrap: anywhere; }
.removed { background: var(--minus); } .added { background: var(--plus); } .none { background: var(--soft); }
del, ins { text-decoration: none; border-bottom: 2px solid; border-radius: 2px; }
del { background: var(--gone); border-bottom-style: dotted; } ins { background: var(--come); }
.odd { color: var(--odd); border: 1px solid; border-radius: 3px; font-size: .8em; padding: 0 .2em; }
"""
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""The stylesheet's name in a Content-Security-Policy (CSP 3, 2.3.1)."""

MAX_FOLDED_LINES = 5_000
"""How many unchanged lines a page holds folded; of what is more, only the number is told."""

# Controls but the tab, soft hyphen, bidirectional marks, line separators, invisible blanks and tags.
_ODD = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_PICTURES = {0x0D: "CR", 0x0A: "LF", 0x00: "NUL", 0x1B: "ESC", 0x7F: "DEL", 0x0C: "FF"}


class View(Enum):
    """How the two sides stand."""

    INLINE = "inline"
    SPLIT = "split"


class FileDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One document's part of a page; a path is None where it wasn't there, `diff` where none was made.

    `old` is the older text of the diff, if its unchanged lines shall be there to unfold.
    """

    old_path: str | None
    new_path: str | None
    diff: DiffResult | None
    old: bytes | None = None


def diff_page(
    files: Sequence[FileDiff], *, heading: str, view: View = View.INLINE, following: str | None = None
) -> str:
    """The whole page; `following` is the address of the next one, when there is one.

    Unchanged lines between hunks are folded (`<details>`, no script), for as many documents from the first on
    as have MAX_FOLDED_LINES of them together.
    """
    left = MAX_FOLDED_LINES
    parts = []
    for file in files:
        hidden = _hidden(file)
        parts.append(_file(file, view, unfold=file.old is not None and hidden <= left))
        left -= hidden if file.old is not None and hidden <= left else 0
    body = "".join(parts) or "<p>Nothing differs.</p>"
    more = f'<p><a rel="next" href="{_text(following)}">More documents</a></p>' if following else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{visible(heading[:300])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><main><h1>{_shown(heading)}</h1>{body}{more}</main></body></html>\n"
    )


def visible(text: str) -> str:
    """Escaped text in which odd characters are named; for where no element can be."""
    return _text(_ODD.sub(lambda found: f"[{_name(found[0])}]", text))


def _hidden(file: FileDiff) -> int:
    """How many of the older text's lines are in no hunk."""
    if file.diff is None:
        return 0
    return file.diff.old.lines - sum(hunk.old_lines for hunk in file.diff.hunks)


def _file(file: FileDiff, view: View, *, unfold: bool) -> str:
    if file.old_path is None or file.new_path is None:
        what = "added" if file.old_path is None else "deleted"
        title = f"{_shown(file.new_path or file.old_path or '')} ({what})"
    elif file.old_path != file.new_path:
        title = f"{_shown(file.old_path)} → {_shown(file.new_path)} (moved)"
    else:
        title = _shown(file.new_path)
    diff = file.diff
    if diff is None:
        return f"<details open><summary>{title}</summary><p>Too large to be compared.</p></details>"
    if diff.summary is not None:
        title += f": {diff.summary.added} added, {diff.summary.removed} removed"
    old = split_lines(file.old) if unfold and file.old is not None else None
    return f"<details open><summary>{title}</summary>{_content(diff, view, title, old)}</details>"


def _content(diff: DiffResult, view: View, title: str, old: Sequence[bytes] | None) -> str:
    if diff.binary or diff.too_different:
        why = "Binary contents." if diff.binary else "Too different to be shown line by line."
        return f"<p>{why}</p><p>Before: {_side(diff.old)}</p><p>After: {_side(diff.new)}</p>"
    if not diff.hunks:
        return "<p>The text is the same.</p>"
    moved = "".join(
        f"<p>{block.lines} line(s) moved from line {block.old_start} to line {block.new_start}.</p>"
        for block in (diff.summary.moved if diff.summary else ())[:20]
    )
    # Cells over more columns than there are would make columns, and take their width from the text.
    columns, rows, width = (_INLINE, _inline_rows, 4) if view is View.INLINE else (_SPLIT, _split_rows, 6)
    parts = [
        moved,
        f"<table><caption>{title}</caption><thead>{columns}</thead>",
    ]

    def fold(first: int, end: int, shift: int) -> str:
        if first >= end:
            return ""
        said = f"⋯ {end - first} unchanged line(s)"
        if old is None:
            return f'<tr><td class="at" colspan="{width}">{said}</td></tr>'
        marked: list[tuple[Kind, bytes]] = [("context", line) for line in old[first - 1 : end - 1]]
        lines = number_lines(
            marked, first=(first - 1, first - 1 + shift), granularity=Granularity.LINE, refinements=[]
        )
        return (
            f'<tr><td class="folded" colspan="{width}"><details><summary>{said}</summary>'
            f"<table>{''.join(rows(lines))}</table></details></td></tr>"
        )

    at, shift = 1, 0
    for hunk in diff.hunks:
        start = hunk.old_start if hunk.old_lines else hunk.old_start + 1
        parts.append(f"<tbody>{fold(at, start, shift)}{_hunk_header(hunk, width)}")
        parts.extend(rows(hunk.lines))
        parts.append("</tbody>")
        at = start + hunk.old_lines
        shift += hunk.new_lines - hunk.old_lines
    parts.append(f"<tbody>{fold(at, diff.old.lines + 1, shift)}</tbody></table>")
    return "".join(parts)


_NUMBER = '<th scope="col" class="n"><span class="aside">{0} line</span></th>'
_INLINE = (
    f"<tr>{_NUMBER.format('old')}{_NUMBER.format('new')}"
    '<th scope="col" class="s"><span class="aside">sign</span></th>'
    '<th scope="col"><span class="aside">text</span></th></tr>'
)
_SPLIT = "<tr>" + "".join(
    f'{_NUMBER.format(side)}<th scope="col" class="s"><span class="aside">{side} sign</span></th>'
    f'<th scope="col">{side.title()}</th>'
    for side in ("old", "new")
)
_SPLIT += "</tr>"


def _hunk_header(hunk: Hunk, width: int) -> str:
    place = f"@@ -{hunk.old_start},{hunk.old_lines} +{hunk.new_start},{hunk.new_lines} @@"
    section = f" {_shown(hunk.section)}" if hunk.section else ""
    return f'<tr><th scope="rowgroup" class="at" colspan="{width}">{place}{section}</th></tr>'


def _inline_rows(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        cells = f'<td class="n">{line.old or ""}</td><td class="n">{line.new or ""}</td>{_marked(line)}'
        yield f'<tr class="{line.kind}">{cells}</tr>'


def _split_rows(lines: Sequence[Line]) -> Iterator[str]:
    for is_context, block in groupby(lines, key=lambda line: line.kind == "context"):
        if is_context:
            for line in block:
                halves = (f'<td class="n">{number}</td>{_marked(line)}' for number in (line.old, line.new))
                yield f"<tr>{''.join(halves)}</tr>"
            continue
        changed = list(block)
        removed = [line for line in changed if line.kind == "removed"]
        added = [line for line in changed if line.kind == "added"]
        for old, new in zip_longest(removed, added):
            yield f"<tr>{_half(old)}{_half(new)}</tr>"


def _half(line: Line | None) -> str:
    if line is None:
        return '<td class="n none"></td><td class="s none"></td><td class="none"></td>'
    return f'<td class="n {line.kind}">{line.old or line.new}</td>{_marked(line, line.kind)}'


SIGNS = {"context": " ", "removed": "-", "added": "+"}
"""What stands before a line of each kind."""


def _marked(line: Line, kind: str = "") -> str:
    own = f" {kind}" if kind else ""
    named = f' class="{kind}"' if kind else ""
    return f'<td class="s{own}">{SIGNS[line.kind]}</td><td{named}>{marked_text(line)}</td>'


def marked_text(line: Line) -> str:
    """A line of a difference, escaped: changed words in `del` or `ins`, and a note where its end is odd."""
    end = "" if line.newline else ' <span class="odd">no newline at end</span>'
    lossy = ' <span class="odd">not UTF-8</span>' if line.lossy else ""
    return f"{_words(line)}{end}{lossy}"


def _words(line: Line) -> str:
    if not line.spans:
        return _shown(line.text)
    element = "del" if line.kind == "removed" else "ins"
    parts: list[str] = []
    at = 0
    for start, end in line.spans:
        parts.append(f"{_shown(line.text[at:start])}<{element}>{_shown(line.text[start:end])}</{element}>")
        at = end
    return "".join((*parts, _shown(line.text[at:])))


def _side(side: Side) -> str:
    return f"{side.size:,} bytes, SHA-256 <code>{_text(side.sha256)}</code>"


def _shown(text: str) -> str:
    """Escaped text in which odd characters stand in boxes with their names."""
    parts: list[str] = []
    at = 0
    for found in _ODD.finditer(text):
        parts.append(f'{_text(text[at : found.start()])}<span class="odd">{_name(found[0])}</span>')
        at = found.end()
    return "".join((*parts, _text(text[at:])))


def _name(character: str) -> str:
    code = ord(character)
    return _PICTURES.get(code) or f"U+{code:04X}"


def _text(text: str) -> str:
    return html.escape(text, quote=True)

"""History as people read it in a terminal: changes, coloured differences down to words, blame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from app.cli.characters import safe
from app.client.looking.compare import ERASED
from app.text.hunks import diff_hunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from app.client.looking.blaming import Blamed, Span
    from app.client.looking.compare import Pair
    from app.model import Change, ChangeSummary, Tag, Version
    from app.text.hunks import Hunk, Line

SHORT = 10
COLOURS = {"removed": "red", "added": "green", "context": ""}
MARKS = {"removed": "-", "added": "+", "context": " "}
ACTIONS = {"add": "green", "edit": "", "move": "cyan", "delete": "red", "restore": "yellow"}


def author_of(change: ChangeSummary) -> str:
    """Who made a change, as history shows it."""
    person = change.author
    name = change.author_name or person.name or person.handle or person.id[:8]
    if not change.agent:
        return safe(name)
    whom = change.on_behalf_of
    for_whom = f" for {whom.name or whom.handle or whom.id[:8]}" if whom else ""
    return safe(f"{name} (agent {change.agent}{for_whom})")


def moment(then: datetime) -> str:
    """A time as it was here, to the minute."""
    return then.astimezone().strftime("%Y-%m-%d %H:%M")


def told_change(change: Change, *, oneline: bool = False, files: bool = False) -> Text:
    """One change of the log."""
    first, _, rest = change.message.partition("\n")
    if oneline:
        return Text.assemble(
            (f"#{change.sequence}", "yellow"), f" {moment(change.authored_at)[:10]} ",
            (author_of(change), "cyan"), f"  {safe(first) or '(no message)'}",
        )  # fmt: skip
    told = Text.assemble(
        (f"#{change.sequence} {change.hash[:SHORT]}", "yellow"), f"  {moment(change.authored_at)}  "
    )
    told.append(author_of(change), "cyan")
    if change.origin is not None:
        told.append(f"  (commit {change.origin.id[:SHORT]})", "dim")
    for other in change.co_authors:
        told.append(f"\n    with {safe(other.name)}", "cyan")
    for line in (first, *rest.split("\n")) if change.message else ():
        told.append(f"\n    {safe(line)}".rstrip())
    if files:
        told.append("\n")
        for version in change.versions:
            told.append(f"\n    {version.action.value:<8}", ACTIONS[version.action.value])
            told.append(safe(version.path))
    return told.append("\n")


def told_tag(tag: Tag) -> Text:
    """A tag."""
    told = Text.assemble((safe(tag.name), "bold"), f"  #{tag.change}  {moment(tag.created_at)}")
    return told.append(f"  {safe(tag.message.partition(chr(10))[0])}") if tag.message else told


def told_pair(pair: Pair, old: bytes | None, new: bytes | None, *, context: int) -> Iterator[Text]:
    """A difference, line by line, with its changed words marked."""
    yield _headline(pair)
    if old is None or new is None:
        yield Text(f"  {ERASED}", "dim")
        return
    diff = diff_hunks(old, new, context=context)
    if diff.binary:
        yield Text(f"  binary: {diff.old.size:,} → {diff.new.size:,} bytes", "dim")
    elif diff.too_different:
        yield Text("  too much is different to be shown; --patch shows it", "dim")
    for hunk in diff.hunks:
        yield from _hunk(hunk)
    yield Text()


def stat_of(pair: Pair, old: bytes | None, new: bytes | None) -> dict[str, Any]:
    """What a pair amounts to: its paths, and lines added and removed (None where they can't be told)."""
    diff = None if old is None or new is None else diff_hunks(old, new, context=0, max_lines=0)
    summary = diff.summary if diff is not None else None
    return {
        "from": pair.older.path if pair.older else None,
        "to": pair.newer.path if pair.newer else None,
        "added": summary.added if summary else None,
        "removed": summary.removed if summary else None,
    }


def told_stats(stats: list[dict[str, Any]]) -> Iterator[Text]:
    """Lines added and removed, a line a document."""
    names = [_name(each["from"], each["to"]) for each in stats]
    width = max(map(len, names), default=0)
    for each, name in zip(stats, names, strict=True):
        line = Text(f"{name:<{width}}  ")
        if each["added"] is None:
            yield line.append("not text", "dim")
        else:
            yield line.append(f"+{each['added']}", "green").append(" ").append(f"-{each['removed']}", "red")
    added, removed = (sum(each[kind] or 0 for each in stats) for kind in ("added", "removed"))
    yield Text(
        f"{len(stats)} document{'' if len(stats) == 1 else 's'}, {added} lines added, {removed} removed"
    )


def told_blame(blamed: Blamed) -> Iterator[Text]:
    """Lines with who wrote them, when, and in which change."""
    names = {key: author_of(version.change) for key, version in blamed.origins.items()}
    width = max(map(len, names.values()), default=0)
    change_width = max((len(str(each.change.sequence)) for each in blamed.origins.values()), default=0)
    number_width = len(str(blamed.lines[-1].line)) if blamed.lines else 0
    moved = any(each.path != blamed.version.path for each in blamed.origins.values())
    path_width = max((len(each.path) for each in blamed.origins.values()), default=0) if moved else 0
    for line in blamed.lines:
        change = blamed.origins[line.version].change
        told = Text(f"#{change.sequence:<{change_width}} ", "yellow")
        if moved:
            told.append(f"{safe(blamed.origins[line.version].path):<{path_width}} ", "dim")
        told.append(f"{names[line.version]:<{width}} ", "cyan")
        told.append(f"{moment(change.authored_at)[:10]} {line.line:>{number_width}}  ", "dim")
        yield told.append(safe(line.text.removesuffix("\n")))


def told_spans(spans: Iterable[Span]) -> Iterator[Text]:
    """When a text came and went."""
    for span in spans:
        yield _turn("appeared", span.appeared, "green")
        yield (
            Text("  it is there now")
            if span.disappeared is None
            else _turn("vanished", span.disappeared, "red")
        )


def _turn(what: str, version: Version, colour: str) -> Text:
    change = version.change
    told = Text.assemble(
        (f"  {what}  ", colour), (f"#{change.sequence}", "yellow"), f"  {moment(change.authored_at)}  "
    )
    told.append(author_of(change), "cyan")
    return told.append(f"  {safe(change.message.partition(chr(10))[0])}")


def _headline(pair: Pair) -> Text:
    older = pair.older.path if pair.older else None
    newer = pair.newer.path if pair.newer else None
    told = Text(_name(older, newer), "bold")
    if pair.older is None:
        told.append("  added", "green")
    elif pair.newer is None:
        told.append("  deleted", "red")
    if pair.older and pair.newer and pair.older.mode != pair.newer.mode:
        told.append(f"  mode {pair.older.mode or '100644'} → {pair.newer.mode or '100644'}", "dim")
    return told


def _name(older: str | None, newer: str | None) -> str:
    if older is not None and newer is not None and older != newer:
        return f"{safe(older)} → {safe(newer)}"
    return safe(newer or older or "")


def _hunk(hunk: Hunk) -> Iterator[Text]:
    header = f"@@ -{hunk.old_start},{hunk.old_lines} +{hunk.new_start},{hunk.new_lines} @@"
    yield Text(f"{header} {safe(hunk.section)}".rstrip(), "cyan")
    for line in hunk.lines:
        yield _line(line)
        if not line.newline:
            yield Text("\\ no newline at the end", "dim")


def _line(line: Line) -> Text:
    colour = COLOURS[line.kind]
    told = Text(MARKS[line.kind], colour)
    if line.spans is None:
        return told.append(safe(line.text), colour)
    at = 0
    for start, end in line.spans:
        told.append(safe(line.text[at:start]), colour).append(safe(line.text[start:end]), f"{colour} reverse")
        at = end
    return told.append(safe(line.text[at:]), colour)

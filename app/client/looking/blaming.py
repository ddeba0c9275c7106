"""Who wrote each line of a document, and when a text stood in it: computed from the bytes of its versions.

Lines are asked of the versions in the order in which the server asks them (app.flows.attribute): a restore
of the version that it brought back, an edit of the one before, a merge of the head and then the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from app.client.looking.kept_lines import KeptLines
from app.errors import VersoError
from app.model import Action, Version
from app.text.blame import Attribution, Run, Source, attribute, line_origins
from app.text.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from app.client.looking.source import History

BLANKS = re.compile(r"[ \t\n\r\f\v]+")
"""What the server takes for blanks, too."""


class BlamedLine(msgspec.Struct, frozen=True):
    """A line, the version that it came with, and its number there."""

    line: int
    version: str
    number: int
    text: str


class Blamed(msgspec.Struct, frozen=True):
    """A document's version with its lines, and the versions that they came with by their hash."""

    version: Version
    lines: list[BlamedLine]
    origins: dict[str, Version]


class Span(msgspec.Struct, frozen=True):
    """From the version in which a text appeared to the one in which it was no more; None: it is there."""

    appeared: Version
    disappeared: Version | None


def blame(
    history: History,
    path: str,
    *,
    at: int | None = None,
    first: int = 1,
    last: int | None = None,
    told: Callable[[int, int], None] = lambda _done, _total: None,
) -> Blamed:
    """Who wrote the lines `first` to `last`, from 1, of the document that has a path after a change.

    `told` hears how many of how many versions were gone through. Raises VersoError `document_not_found`,
    `version_is_delete`, `content_erased`, `bad_usage` for lines that aren't there.
    """
    versions = list(reversed(history.mirror.versions(path, at=at)))
    newest = versions[-1]
    if newest.sha256 is None:
        raise VersoError(
            "version_is_delete",
            f"{path} is deleted since #{newest.change.sequence}. Ask for it before that: "
            f"--at {newest.change.sequence - 1}.",
        )
    by_hash = {version.hash: version for version in versions}
    with KeptLines(history.mirror.store.path.parent) as kept:
        runs = _traced(history, versions, by_hash, kept=kept, told=told)
        kept.keep(newest.hash, runs)
    lines = [line.decode("utf-8", "replace") for line in split_lines(history.bytes_of(newest))]
    if first > max(1, len(lines)):
        raise VersoError("bad_usage", f"{path} has {len(lines)} lines.")
    blamed = [
        BlamedLine(line, origin, number, lines[line - 1])
        for line, (origin, number) in enumerate(line_origins(runs, first=first, last=last), start=first)
    ]
    return Blamed(newest, blamed, {each.version: by_hash[each.version] for each in blamed})


def spans(history: History, path: str, text: str, *, at: int | None = None) -> list[Span]:
    """When a text stood in a document, oldest first: its words in their order, with any blanks between.

    Versions whose bytes were erased say nothing. Raises VersoError `document_not_found`, `bad_usage`.
    """
    needle = BLANKS.sub(" ", text).strip().encode()
    if not needle:
        raise VersoError("bad_usage", "Say which text.")
    versions = list(reversed(history.mirror.versions(path, at=at)))
    history.need(versions)
    found: list[Span] = []
    known: dict[str | None, bool] = {None: False}
    appeared: Version | None = None
    for version in versions:
        if history.is_erased(version):
            continue
        if version.sha256 not in known:
            # bytes.split() splits at the same six blanks.
            known[version.sha256] = needle in b" ".join(history.bytes_of(version).split())
        present = known[version.sha256]
        if present and appeared is None:
            appeared = version
        elif not present and appeared is not None:
            found.append(Span(appeared, version))
            appeared = None
    return found if appeared is None else [*found, Span(appeared, None)]


def _traced(
    history: History,
    versions: Sequence[Version],
    by_hash: Mapping[str, Version],
    *,
    kept: KeptLines,
    told: Callable[[int, int], None],
) -> Attribution:
    """The attribution of the last of a document's versions, from the oldest that its lines came through."""
    found: dict[str, Attribution] = {}
    needed = _ancestors(versions[-1], by_hash, found=found, kept=kept)
    wanted = [version for version in versions if version.hash in needed]
    history.need(wanted)
    asked = [version for version in wanted if version.hash not in found]
    left = _uses(asked, by_hash)
    for done, version in enumerate(asked):
        told(done, len(asked))
        found[version.hash] = _attributed(history, version, by_hash, found)
        for source in _sources(version, by_hash):
            left[source.hash] -= 1
            if not left[source.hash]:
                del found[source.hash]
    return found[versions[-1].hash]


def _attributed(
    history: History, version: Version, by_hash: Mapping[str, Version], found: Mapping[str, Attribution]
) -> Attribution:
    sources = _sources(version, by_hash)
    if sources and sources[0].sha256 == version.sha256:
        return found[sources[0].hash]
    text = history.bytes_of(version)
    given = [Source(history.bytes_of(each), found[each.hash]) for each in sources if each.sha256 is not None]
    if not text or b"\0" in text:
        lines = len(split_lines(text))
        return (Run(version.hash, 1, lines),) if lines else ()
    return attribute(text, version=version.hash, sources=given)


def _sources(version: Version, by_hash: Mapping[str, Version]) -> list[Version]:
    """The versions that one was made from, as they are asked for lines, one by one."""
    if version.restored_from is not None and version.restored_from in by_hash:
        return [by_hash[version.restored_from]]
    other = by_hash.get(version.merged_from or "")
    if version.action is Action.add or version.parent is None:
        # What an import adds anew may go on from what the document was on another branch.
        return [] if other is None else [other]
    parent = by_hash[version.parent]
    # Git asks the parent with the same content first, and then no other.
    return [parent] if other is None or parent.sha256 == version.sha256 else [parent, other]


def _ancestors(
    newest: Version, by_hash: Mapping[str, Version], *, found: dict[str, Attribution], kept: KeptLines
) -> set[str]:
    """The versions to go through; those whose lines are kept are put into `found`, and end the way back."""
    needed: set[str] = set()
    ahead = [newest]
    while ahead:
        version = ahead.pop()
        if version.hash not in needed:
            needed.add(version.hash)
            runs = kept.find(version.hash)
            if runs is None:
                ahead += _sources(version, by_hash)
            else:
                found[version.hash] = runs
    return needed


def _uses(wanted: Sequence[Version], by_hash: Mapping[str, Version]) -> dict[str, int]:
    """How often each version is asked still: of a long history only what is wanted again is held."""
    uses: dict[str, int] = {}
    for version in wanted:
        for source in _sources(version, by_hash):
            uses[source.hash] = uses.get(source.hash, 0) + 1
    return uses

"""Git's tags as the project's: those that name an imported commit and have a name that a tag can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.model import is_tag_name
from app.sources.git.target import TagSent

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from app.git.read.repository import TagFound
    from app.sources.git.target import Target

_NO_NAME = (
    "a tag is 1 to 100 of A-Z a-z 0-9 . _ / -, starts with a letter or digit, and is not a number, "
    "v and a number, a hash, a Git object id or a date"
)
_MOST_RAW = 1024 * 1024


class TagLeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that isn't taken, and why."""

    name: str
    reason: str


class TagsReport(msgspec.Struct, kw_only=True):
    """What became of the tags."""

    made: list[str] = []
    there: list[str] = []
    left_out: list[TagLeftOut] = []


def import_tags(
    target: Target, found: Sequence[TagFound], *, imported: Collection[str], dry_run: bool = False
) -> TagsReport:
    """Make those tags that the project lacks, or say which those are.

    A tag of the project never moves, so one that differs stays.
    """
    report = TagsReport()
    known = target.tags()
    for tag in found:
        if tag.name in known:
            report.there.append(tag.name)
        elif tag.commit is None or tag.commit not in imported:
            what = "it names no commit" if tag.commit is None else f"its commit {tag.commit} is not imported"
            report.left_out.append(TagLeftOut(name=tag.name, reason=what))
        elif not is_tag_name(tag.name):
            report.left_out.append(TagLeftOut(name=tag.name, reason=_NO_NAME))
        elif dry_run:
            report.made.append(tag.name)
        else:
            _make(target, tag, tag.commit, report)
    return report


def _make(target: Target, tag: TagFound, commit: str, report: TagsReport) -> None:
    raw = tag.raw if tag.raw is not None and len(tag.raw) <= _MOST_RAW else None
    try:
        target.make_tag(TagSent(name=tag.name, at=commit, message=tag.message, origin=raw))
    except VersoError as error:
        if error.code not in {"bad_tag_name", "tag_exists"}:
            raise
        report.left_out.append(TagLeftOut(name=tag.name, reason=error.sentence))
    else:
        report.made.append(tag.name)

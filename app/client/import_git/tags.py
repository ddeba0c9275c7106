"""Git's tags as the project's: those that name an imported commit and have a name that a tag can have."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.model import Tag

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from app.client.api import Api
    from app.git.read.repository import TagFound

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


def import_tags(api: Api, home: str, found: Sequence[TagFound], *, imported: Collection[str]) -> TagsReport:
    """Make those tags that the project lacks. A tag of the project never moves, so one that differs stays."""
    report = TagsReport()
    known = {tag.name for tag in api.pages(f"{home}/tags", kind=Tag, limit=200)}
    for tag in found:
        if tag.name in known:
            report.there.append(tag.name)
        elif tag.commit is None or tag.commit not in imported:
            what = "it names no commit" if tag.commit is None else f"its commit {tag.commit} is not imported"
            report.left_out.append(TagLeftOut(name=tag.name, reason=what))
        else:
            _make(api, home, tag, report)
    return report


def _make(api: Api, home: str, tag: TagFound, report: TagsReport) -> None:
    value = {"name": tag.name, "at": tag.commit, "message": tag.message}
    if tag.raw is not None and len(tag.raw) <= _MOST_RAW:
        value["origin"] = base64.b64encode(tag.raw).decode()
    try:
        api.post(f"{home}/tags", value)
    except VersoError as error:
        if error.code not in {"bad_tag_name", "tag_exists"}:
            raise
        report.left_out.append(TagLeftOut(name=tag.name, reason=error.sentence))
    else:
        report.made.append(tag.name)

"""What can be asked of this package with a deadline: each task has its arguments and its computation.

Tasks and their results go to a worker process and back as MessagePack, never as pickles: a worker has read
what strangers wrote, and nothing that it answers may be more than data.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from app.text.blame import Attribution, Source, attribute
from app.text.follow import LineRange, Place, follow_lines
from app.text.hunks import DiffResult, diff_hunks
from app.text.lines import Ignoring
from app.text.markdown import Places, Rendered, render_markdown
from app.text.merge import Labels, MergeResult, Style, merge
from app.text.patch import FilePatch, apply_patch, parse_patch
from app.text.restore import restore_lines
from app.text.unified import unified_diff
from app.text.words import Granularity


class Unified(msgspec.Struct, frozen=True, tag=True):
    """A unified diff: see `app.text.unified.unified_diff`."""

    result: ClassVar[type] = bytes

    old: bytes
    new: bytes
    old_path: str | None
    new_path: str | None
    context: int = 3
    ignoring: Ignoring = Ignoring.NOTHING

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes and differences decide the cost."""
        return self.old, self.new

    def compute(self) -> bytes:
        """Do it here and now."""
        return unified_diff(
            self.old,
            self.new,
            old_path=self.old_path,
            new_path=self.new_path,
            context=self.context,
            ignoring=self.ignoring,
        )


class Hunks(msgspec.Struct, frozen=True, tag=True):
    """A structured diff: see `app.text.hunks.diff_hunks`."""

    result: ClassVar[type] = DiffResult

    old: bytes
    new: bytes
    context: int = 3
    ignoring: Ignoring = Ignoring.NOTHING
    granularity: Granularity = Granularity.WORD
    max_lines: int = 20_000

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes and differences decide the cost."""
        return self.old, self.new

    def compute(self) -> DiffResult:
        """Do it here and now."""
        return diff_hunks(
            self.old,
            self.new,
            context=self.context,
            ignoring=self.ignoring,
            granularity=self.granularity,
            max_lines=self.max_lines,
        )


class Merge(msgspec.Struct, frozen=True, tag=True):
    """A three-way merge: see `app.text.merge.merge`."""

    result: ClassVar[type] = MergeResult

    base: bytes
    theirs: bytes
    yours: bytes
    style: Style = Style.MERGE
    labels: Labels = Labels()

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes and differences decide the cost."""
        return self.base, self.theirs, self.yours

    def compute(self) -> MergeResult:
        """Do it here and now."""
        return merge(self.base, self.theirs, self.yours, style=self.style, labels=self.labels)


class ParsePatch(msgspec.Struct, frozen=True, tag=True):
    """Reading a patch: see `app.text.patch.parse_patch`."""

    result: ClassVar[type] = tuple[FilePatch, ...]

    data: bytes

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes and differences decide the cost."""
        return (self.data,)

    def compute(self) -> tuple[FilePatch, ...]:
        """Do it here and now."""
        return parse_patch(self.data)


class ApplyPatch(msgspec.Struct, frozen=True, tag=True):
    """Applying a patch that was read: see `app.text.patch.apply_patch`."""

    result: ClassVar[type] = bytes

    base: bytes
    patch: FilePatch

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes and differences decide the cost."""
        return (self.base,)

    def compute(self) -> bytes:
        """Do it here and now."""
        return apply_patch(self.base, self.patch)


class Attribute(msgspec.Struct, frozen=True, tag=True):
    """Attribution of a version's lines: see `app.text.blame.attribute`."""

    result: ClassVar[type] = Attribution

    text: bytes
    version: str
    sources: tuple[Source, ...] = ()
    ignoring: Ignoring = Ignoring.NOTHING

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes and differences decide the cost."""
        return self.text, *(source.text for source in self.sources)

    def compute(self) -> Attribution:
        """Do it here and now."""
        return attribute(self.text, version=self.version, sources=self.sources, ignoring=self.ignoring)


class Restore(msgspec.Struct, frozen=True, tag=True):
    """Restoring a section: see `app.text.restore.restore_lines`."""

    result: ClassVar[type] = MergeResult

    head: bytes
    old: bytes
    first: int
    last: int
    labels: Labels = Labels()

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes and differences decide the cost."""
        return self.head, self.old

    def compute(self) -> MergeResult:
        """Do it here and now."""
        return restore_lines(self.head, self.old, first=self.first, last=self.last, labels=self.labels)


class FollowLines(msgspec.Struct, frozen=True, tag=True):
    """Finding lines in another text: see `app.text.follow.follow_lines`."""

    result: ClassVar[type] = tuple[Place, ...]

    old: bytes
    new: bytes
    ranges: tuple[LineRange, ...]

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes and differences decide the cost."""
        return self.old, self.new

    def compute(self) -> tuple[Place, ...]:
        """Do it here and now."""
        return follow_lines(self.old, self.new, self.ranges)


class Markdown(msgspec.Struct, frozen=True, tag=True):
    """A document as HTML: see `app.text.markdown.render_markdown`."""

    result: ClassVar[type] = Rendered

    text: str
    places: Places

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Name the texts whose sizes decide the cost."""
        return (self.text.encode(),)

    def compute(self) -> Rendered:
        """Do it here and now."""
        return render_markdown(self.text, self.places)


Task: TypeAlias = (
    Unified | Hunks | Merge | Restore | ParsePatch | ApplyPatch | Attribute | FollowLines | Markdown
)

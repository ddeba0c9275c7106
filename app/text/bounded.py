"""Computations on texts in bounded time: small ones at once, large ones in processes that can be killed.

With `pool` this is the one part of the package that uses asyncio and subprocesses. A thread would not do:
xdiff holds the GIL and cannot be stopped. What decides is how many bytes lie between the first and the last
difference, since all else costs linear time: up to 4 KiB (nine of ten real edits, half a millisecond) the
worst text takes about 10 ms, and is done on the spot. Of Markdown, which takes square time, and of patches of
small hunks that is less text.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import msgspec

from app.text.ends import common_ends
from app.text.errors import TookTooLongError
from app.text.hunks import DiffResult, side_of
from app.text.lines import Ignoring
from app.text.merge import Labels, MergeResult, Style
from app.text.pool import WorkerPool
from app.text.tasks import (
    ApplyPatch,
    Attribute,
    FollowLines,
    Hunks,
    Markdown,
    Merge,
    ParsePatch,
    Restore,
    Task,
    Unified,
)
from app.text.words import Granularity
from app.text.worker import Order, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.text.blame import Attribution, Source
    from app.text.follow import LineRange, Place
    from app.text.markdown import Places, Rendered
    from app.text.patch import FilePatch

_INLINE_BYTES = 512 * 1024
_INLINE_LINES = 10_000
_INLINE_DIFFERING = 4 * 1024
_INLINE_PATCH = 8 * 1024
_INLINE_MARKDOWN = 512
_STEPS = (4096, 64)


class TooDifferentError(Exception):
    """No diff could be made within the bounds; `result` says what is known of the two texts."""

    def __init__(self, result: DiffResult) -> None:
        super().__init__("The two texts are too large or too different to be compared line by line.")
        self.result = result


class TextWorkers:
    """A pool of warm worker processes, and the way to compute anything in bounded time.

    Use it as an async context manager, or call `close` at the end. `deadline_s` is the time that one task
    may take once it has a worker, `wait_s` the time that it waits for one at most (then WorkersBusyError);
    `memory_bytes` is the address space of each worker (0.5 GB is a million
    lines twice).
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        deadline_s: float = 10.0,
        wait_s: float = 60.0,
        memory_bytes: int = 4 << 30,
    ) -> None:
        self._pool = WorkerPool(workers=workers, memory_bytes=memory_bytes, wait_s=wait_s)
        self._deadline_s = deadline_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Kill all workers, busy ones too, and wait until they are gone."""
        await self._pool.close()

    async def unified(
        self,
        old: bytes,
        new: bytes,
        *,
        old_path: str | None,
        new_path: str | None,
        context: int = 3,
        ignoring: Ignoring = Ignoring.NOTHING,
        deadline_s: float | None = None,
    ) -> bytes:
        """Return what `unified_diff` does. Raises TooDifferentError beyond the deadline, and ValueError."""
        task = Unified(old, new, old_path, new_path, context=context, ignoring=ignoring)
        try:
            return bytes(await self.compute(task, deadline_s=deadline_s))
        except TookTooLongError as error:
            raise TooDifferentError(await _sides_only(old, new)) from error

    async def hunks(
        self,
        old: bytes,
        new: bytes,
        *,
        context: int = 3,
        ignoring: Ignoring = Ignoring.NOTHING,
        granularity: Granularity = Granularity.WORD,
        max_lines: int = 20_000,
        deadline_s: float | None = None,
    ) -> DiffResult:
        """Return what `diff_hunks` does; beyond the deadline a result that is `too_different`."""
        task = Hunks(
            old,
            new,
            context=context,
            ignoring=ignoring,
            granularity=granularity,
            max_lines=max_lines,
        )
        try:
            result: DiffResult = await self.compute(task, deadline_s=deadline_s)
        except TookTooLongError:
            return await _sides_only(old, new)
        return result

    async def merge(
        self,
        base: bytes,
        theirs: bytes,
        yours: bytes,
        *,
        style: Style = Style.MERGE,
        labels: Labels | None = None,
    ) -> MergeResult:
        """Return what `merge` does. Raises BinaryMergeError and TookTooLongError."""
        task = Merge(base, theirs, yours, style=style, labels=labels or Labels())
        result: MergeResult = await self.compute(task)
        return result

    async def restore_lines(
        self, head: bytes, old: bytes, *, first: int, last: int, labels: Labels | None = None
    ) -> MergeResult:
        """Return what `restore_lines` does. Raises ValueError and TookTooLongError."""
        task = Restore(head, old, first, last, labels=labels or Labels())
        result: MergeResult = await self.compute(task)
        return result

    async def parse_patch(self, data: bytes, *, deadline_s: float | None = None) -> tuple[FilePatch, ...]:
        """Return what `parse_patch` does. Raises PatchUnreadableError and TookTooLongError."""
        result: tuple[FilePatch, ...] = await self.compute(ParsePatch(data), deadline_s=deadline_s)
        return result

    async def apply_patch(self, base: bytes, patch: FilePatch, *, deadline_s: float | None = None) -> bytes:
        """Return what `apply_patch` does. Raises PatchRejectedError and TookTooLongError."""
        return bytes(await self.compute(ApplyPatch(base, patch), deadline_s=deadline_s))

    async def attribute(
        self,
        text: bytes,
        *,
        version: str,
        sources: Sequence[Source] = (),
        ignoring: Ignoring = Ignoring.NOTHING,
    ) -> Attribution:
        """Return what `attribute` does. Raises ValueError and TookTooLongError."""
        task = Attribute(text, version, tuple(sources), ignoring=ignoring)
        result: Attribution = await self.compute(task)
        return result

    async def follow_lines(
        self, old: bytes, new: bytes, ranges: Sequence[LineRange], *, deadline_s: float | None = None
    ) -> tuple[Place, ...]:
        """Return what `follow_lines` does. Raises TookTooLongError."""
        task = FollowLines(old, new, tuple(ranges))
        result: tuple[Place, ...] = await self.compute(task, deadline_s=deadline_s)
        return result

    async def markdown(self, text: str, places: Places, *, deadline_s: float | None = None) -> Rendered:
        """Return what `render_markdown` does. Raises TookTooLongError."""
        result: Rendered = await self.compute(Markdown(text, places), deadline_s=deadline_s)
        return result

    async def compute(self, task: Task, *, deadline_s: float | None = None) -> Any:
        """Do one task where its cost belongs. Raises what the task documents, and TookTooLongError."""
        if _is_small(task):
            return task.compute()
        seconds = self._deadline_s if deadline_s is None else deadline_s
        order = msgspec.msgpack.encode(Order(task, seconds))
        answer = await self._pool.ask(order, deadline_s=seconds)
        if isinstance(answer, Refused):
            raise answer.as_exception()
        return msgspec.msgpack.decode(answer.result, type=task.result)


async def _sides_only(old: bytes, new: bytes) -> DiffResult:
    # Hashing releases the GIL.
    sides = await asyncio.gather(asyncio.to_thread(side_of, old), asyncio.to_thread(side_of, new))
    return DiffResult(*sides, binary=False, too_different=True, hunks=(), summary=None)


def _is_small(task: Task) -> bool:
    total = sum(map(len, task.inputs))
    if isinstance(task, ParsePatch):
        return total <= _INLINE_PATCH
    if isinstance(task, Markdown):
        return total <= _INLINE_MARKDOWN
    if isinstance(task, ApplyPatch) and sum(len(hunk.lines) for hunk in task.patch.hunks) > _INLINE_LINES:
        return False
    if total > _INLINE_BYTES or sum(text.count(b"\n") for text in task.inputs) > _INLINE_LINES:
        return False
    first, *others = task.inputs
    return sum(_differing(first, other) for other in others) <= _INLINE_DIFFERING


def _differing(old: bytes, new: bytes) -> int:
    """Return about how many bytes of both lie between the first and the last difference."""
    return len(old) + len(new) - 2 * sum(common_ends(old, new, steps=_STEPS))

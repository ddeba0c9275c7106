"""Computations on texts in bounded time: small ones at once, large ones in processes that can be killed.

This is the one module of the package that uses asyncio and subprocesses. A thread would not do: xdiff holds
the GIL and cannot be stopped. What decides is how many bytes lie between the first and the last difference,
since all else costs linear time: up to 8 KiB the worst text takes about 10 ms, and is done on the spot.

Cancelling a call kills its worker; the next one starts another.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from app.text.ends import common_ends
from app.text.errors import TookTooLongError
from app.text.hunks import DiffResult, side_of
from app.text.lines import Ignoring
from app.text.merge import Labels, MergeResult, Style
from app.text.tasks import ApplyPatch, Attribute, Hunks, Merge, ParsePatch, Restore, Task, Unified
from app.text.words import Granularity
from app.text.worker import LENGTH_BYTES, READY, Answer, Order, Refused

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Coroutine, Sequence

    from app.text.blame import Attribution, Source
    from app.text.patch import FilePatch

_INLINE_BYTES = 512 * 1024
_INLINE_DIFFERING = 8 * 1024
_INLINE_PATCH = 64 * 1024
_DYING_S = 1.0
_RETIRING_BYTES = 16 * 1024 * 1024
_STEPS = (4096, 64)


class TooDifferentError(Exception):
    """No diff could be made within the bounds; `result` says what is known of the two texts."""

    def __init__(self, result: DiffResult) -> None:
        super().__init__("The two texts are too large or too different to be compared line by line.")
        self.result = result


class TextWorkers:
    """A pool of warm worker processes, and the way to compute anything in bounded time.

    Use it as an async context manager, or call `close` at the end. `deadline_s` is the time that one task
    may take once it has a worker; `memory_bytes` is the address space of each worker (0.5 GB is a million
    lines twice).
    """

    def __init__(self, *, workers: int = 2, deadline_s: float = 10.0, memory_bytes: int = 4 << 30) -> None:
        self._slots = asyncio.Semaphore(workers)
        self._deadline_s = deadline_s
        self._memory_bytes = memory_bytes
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._closed = False
        self._ending: set[asyncio.Task[int]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Kill all workers, busy ones too, and wait until they are gone."""
        self._closed = True
        for worker in (*self._idle, *self._busy):
            self._kill(worker)
        self._idle.clear()
        await asyncio.gather(*self._ending)

    async def unified(
        self,
        old: bytes,
        new: bytes,
        *,
        old_path: str | None,
        new_path: str | None,
        context: int = 3,
        ignoring: Ignoring = Ignoring.NOTHING,
        text: bool = False,
        deadline_s: float | None = None,
    ) -> bytes:
        """Return what `unified_diff` does. Raises TooDifferentError beyond the deadline, and ValueError."""
        task = Unified(old, new, old_path, new_path, context=context, ignoring=ignoring, text=text)
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
        text: bool = False,
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
            text=text,
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
        deadline_s: float | None = None,
    ) -> MergeResult:
        """Return what `merge` does. Raises BinaryMergeError and TookTooLongError."""
        task = Merge(base, theirs, yours, style=style, labels=labels or Labels())
        result: MergeResult = await self.compute(task, deadline_s=deadline_s)
        return result

    async def restore_lines(
        self,
        head: bytes,
        old: bytes,
        *,
        first: int,
        last: int,
        labels: Labels | None = None,
        deadline_s: float | None = None,
    ) -> MergeResult:
        """Return what `restore_lines` does. Raises ValueError and TookTooLongError."""
        task = Restore(head, old, first, last, labels=labels or Labels())
        result: MergeResult = await self.compute(task, deadline_s=deadline_s)
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
        deadline_s: float | None = None,
    ) -> Attribution:
        """Return what `attribute` does. Raises ValueError and TookTooLongError."""
        task = Attribute(text, version, tuple(sources), ignoring=ignoring)
        result: Attribution = await self.compute(task, deadline_s=deadline_s)
        return result

    async def compute(self, task: Task, *, deadline_s: float | None = None) -> Any:
        """Do one task where its cost belongs. Raises what the task documents, and TookTooLongError."""
        if _is_small(task):
            return task.compute()
        seconds = self._deadline_s if deadline_s is None else deadline_s
        order = msgspec.msgpack.encode(Order(task, seconds))
        async with self._slots:
            answer = await self._ask(order, seconds)
        if isinstance(answer, Refused):
            raise answer.as_exception()
        return msgspec.msgpack.decode(answer.result, type=task.result)

    async def _ask(self, order: bytes, seconds: float) -> Answer:
        while not self._closed:
            was_idle = bool(self._idle)
            worker = self._idle.pop() if was_idle else await self._start()
            self._busy.add(worker)
            try:
                async with asyncio.timeout(seconds):
                    answer = await _exchange(worker, order)
            except TimeoutError:
                self._kill(worker)
                raise TookTooLongError(f"It took more than {seconds:g} s and was stopped.") from None
            except (asyncio.IncompleteReadError, ConnectionError):
                self._bury(worker)
                # A worker that died while idle says nothing about this task; one that dies of it does.
                if not was_idle:
                    raise TookTooLongError("The computation broke its worker's bounds.") from None
            except BaseException:
                self._kill(worker)
                raise
            else:
                self._release(worker, len(order))
                return answer
            finally:
                self._busy.discard(worker)
        raise TookTooLongError("The workers for texts are being closed.")

    def _release(self, worker: Process, order_bytes: int) -> None:
        # What a large task has used, Python does not give back: better a new process than a large idle one.
        if order_bytes > _RETIRING_BYTES or self._closed:
            self._kill(worker)
        else:
            self._idle.append(worker)

    async def _start(self) -> Process:
        # Not the parent's environment: a process that reads strangers' texts needs no keys.
        paths = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.text.worker",
            str(self._memory_bytes),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": os.pathsep.join(paths), **kept},
        )
        try:
            ready = worker.stdout is not None and await worker.stdout.read(1) == READY
        except BaseException:
            self._kill(worker)
            raise
        if not ready:
            self._bury(worker)
            raise RuntimeError(
                "A worker for texts does not start: run `python -m app.text.worker 4000000000`."
            )
        return worker

    def _kill(self, worker: Process) -> None:
        with suppress(ProcessLookupError):
            worker.kill()
        self._watch(worker.wait())

    def _bury(self, worker: Process) -> None:
        """See that a worker ends whose pipe has closed: by itself, or killed if it does not."""
        self._watch(_end(worker))

    def _watch(self, ending: Coroutine[Any, Any, int]) -> None:
        task = asyncio.ensure_future(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _end(worker: Process) -> int:
    # Killed while it ends by itself, it would confuse asyncio's watcher of processes.
    with suppress(TimeoutError):
        async with asyncio.timeout(_DYING_S):
            return await worker.wait()
    with suppress(ProcessLookupError):
        worker.kill()
    return await worker.wait()


async def _exchange(worker: Process, order: bytes) -> Answer:
    if worker.stdin is None or worker.stdout is None:
        raise ConnectionError
    worker.stdin.write(len(order).to_bytes(LENGTH_BYTES, "big"))
    worker.stdin.write(order)
    await worker.stdin.drain()
    length = int.from_bytes(await worker.stdout.readexactly(LENGTH_BYTES), "big")
    answer: Answer = msgspec.msgpack.decode(await worker.stdout.readexactly(length), type=Answer)
    return answer


async def _sides_only(old: bytes, new: bytes) -> DiffResult:
    # Hashing releases the GIL.
    sides = await asyncio.gather(asyncio.to_thread(side_of, old), asyncio.to_thread(side_of, new))
    return DiffResult(*sides, binary=False, too_different=True, hunks=(), summary=None)


def _is_small(task: Task) -> bool:
    first, *others = task.inputs
    total = len(first) + sum(map(len, others))
    if isinstance(task, ParsePatch):
        return total <= _INLINE_PATCH
    return total <= _INLINE_BYTES and sum(_differing(first, other) for other in others) <= _INLINE_DIFFERING


def _differing(old: bytes, new: bytes) -> int:
    """Return about how many bytes of both lie between the first and the last difference."""
    return len(old) + len(new) - 2 * sum(common_ends(old, new, steps=_STEPS))

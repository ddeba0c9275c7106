"""Worker processes that are kept warm, asked one thing at a time, and killed when they must stop."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from app.apart import start_apart
from app.text.errors import TookTooLongError, WorkersBusyError
from app.text.worker import LENGTH_BYTES, READY, Answer
from app.turns import Turns

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Coroutine

_DYING_S = 1.0
_RETIRING_BYTES = 16 * 1024 * 1024


class WorkerPool:
    """At most so many processes of `app.text.worker`, each with so much address space.

    Who finds them all busy waits for a turn, `wait_s` seconds at most.
    """

    def __init__(self, *, workers: int, memory_bytes: int, wait_s: float) -> None:
        self._turns = Turns(workers)
        self._wait_s = wait_s
        self._memory_bytes = memory_bytes
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._closed = False
        self._ending: set[asyncio.Task[int]] = set()

    async def close(self) -> None:
        """Kill all workers, busy ones too, and wait until they are gone."""
        self._closed = True
        for worker in (*self._idle, *self._busy):
            self._kill(worker)
        self._idle.clear()
        await asyncio.gather(*self._ending)

    async def ask(self, order: bytes, *, deadline_s: float) -> Answer:
        """Wait for a free worker and for its answer. Cancelling kills the worker.

        Raises TookTooLongError if the answer does not come within the deadline, if the worker dies of the
        order, or if the pool is closed; WorkersBusyError if no worker gets free in time; RuntimeError if
        none can be started.
        """
        async with AsyncExitStack() as turn:
            try:
                await turn.enter_async_context(self._turns.one(wait_s=self._wait_s))
            except TimeoutError:
                raise WorkersBusyError(
                    f"All workers were busy with other texts for {self._wait_s:g} s. Ask again in a moment."
                ) from None
            return await self._ask(order, deadline_s)

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
        worker = await start_apart("app.text.worker", str(self._memory_bytes))
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

"""What Git's clients ask for: the names of what there is, and packs of what they lack.

Packs are made by processes of their own (`app.git.serve.worker`): the event loop stays free, memory is given
back, and nobody computes for a client who has left.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import structlog

from app.apart import start_apart
from app.errors import VersoError
from app.git.serve.refs import advertised_refs
from app.git.serve.worker import DAMAGED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.flows.git_sync import GitSync
    from app.supabase.identity import Actor

log = structlog.get_logger(__name__)

PIECE = 256 * 1024


class GitServer:
    """Answers to Git's clients; at most `processes` of them compute at a time.

    A client that takes nothing for `patience` seconds loses its place: a laptop that was closed in the middle
    of a clone looks like one that will go on, and would keep it for ever.
    """

    def __init__(self, sync: GitSync, *, processes: int, patience: float) -> None:
        self._sync = sync
        self._slots = asyncio.Semaphore(processes)
        self._patience = patience

    async def list_refs(self, actor: Actor, *, project: str) -> bytes:
        """The answer to `info/refs`, for fetching. Raises VersoError as `GitSync.repository` does."""
        async with self._sync.repository(actor, project=project, tags=True) as path:
            return await asyncio.to_thread(advertised_refs, path)

    async def fetch(self, actor: Actor, *, project: str, request: bytes) -> AsyncIterator[bytes]:
        """The answer to a request of `git fetch`, in pieces; its process is killed when nobody takes them.

        Raises VersoError: before the first piece as `GitSync.repository` does; `git_damaged` when the
        repository lacks something, which the next request mends; `client_left` to who took nothing for long.
        """
        async with (
            self._sync.repository(actor, project=project, tags=False) as path,
            _Place(self._slots) as place,
        ):
            process = await start_apart("app.git.serve.worker", str(path), errors=True, buffer=PIECE)
            said = asyncio.ensure_future(_read_all(process.stderr))

            def give_up() -> None:
                place.leave()
                with suppress(ProcessLookupError):
                    process.kill()

            try:
                async for piece in _exchanged(process, request):
                    untaken = asyncio.get_running_loop().call_later(self._patience, give_up)
                    try:
                        yield piece
                    finally:
                        untaken.cancel()
                status = await process.wait()
                if place.left:
                    raise VersoError("client_left", "Nothing was taken for too long. Fetch again.")
                if status != 0:
                    log.error("git.worker", status=status, said=(await said)[-1000:])
                    if status == DAMAGED:
                        self._sync.drop(path)
                    raise VersoError("git_damaged", "The copy that serves Git was damaged. Fetch again.")
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
                await said


class _Place:
    """One of those that compute, given back once: at the end, or before it to others."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self.left = False

    async def __aenter__(self) -> Self:
        await self._places.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        if not self.left:
            self.left = True
            self._places.release()


async def _exchanged(process: asyncio.subprocess.Process, request: bytes) -> AsyncIterator[bytes]:
    """Send the request, and give what comes back. The process reads all of it before it says a word."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("The process has pipes.")
    with suppress(BrokenPipeError, ConnectionResetError):  # its exit code says more
        process.stdin.write(request)
        await process.stdin.drain()
        process.stdin.close()
    while piece := await process.stdout.read(PIECE):
        yield piece


async def _read_all(stream: asyncio.StreamReader | None) -> str:
    return "" if stream is None else (await stream.read()).decode("utf-8", "replace")

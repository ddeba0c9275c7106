"""A bundle of Git, read by a process of its own, whose questions are answered with the visitor's token.

The process (`app.sources.git.worker`) takes a stranger's bytes apart with bounded memory and time. It
knows no token and no address: what it asks for is done here as the API does it, and checked as if a client
had sent it. Whoever stops listening ends it; what was written by then is whole changes.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from app.apart import start_apart
from app.api.imports import typed
from app.errors import VersoError
from app.flows.import_changes import ImportRun
from app.model.imports import Batch, ImportAnswer
from app.sources.git import frames
from app.supabase.intake import Intake, LimitExceededError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, AsyncIterator

    from app.api.services import Services
    from app.supabase.identity import Actor

log = structlog.get_logger(__name__)

MEMORY = 3 << 30
"""Address space of a reader: an object of the largest size with its delta and base, and three batches."""
_MOST_SAID = 64 * 1024
_PAGE = 1000
_CHANGES = 200


class BundleReader:
    """One bundle on its way into one project."""

    def __init__(self, services: Services, actor: Actor, project: str) -> None:
        self._services = services
        self._actor = actor
        self._project = project

    async def run(self, order: frames.Order) -> AsyncGenerator[frames.Progressed | frames.Outcome]:
        """How far it is, and in the end what came of it.

        Raises VersoError: what an import raises, and `bundle_unreadable`, `bundle_incomplete`,
        `bundle_too_large`, `import_stopped`.
        """
        seconds = self._services.settings.import_seconds
        until = asyncio.get_running_loop().time() + seconds
        async with _started(seconds) as process:
            reader = _Pipes(process, until)
            await reader.send(order)
            while True:
                said = await reader.take()
                if isinstance(said, frames.Refused):
                    raise VersoError(said.code, said.sentence, **said.detail)
                if isinstance(said, frames.Progressed | frames.Outcome):
                    yield said
                    if isinstance(said, frames.Outcome):
                        return
                    continue
                try:
                    value = await self._answer(said, reader)
                except VersoError as error:
                    await reader.send(frames.Refused(error.code, error.sentence, error.detail))
                else:
                    await reader.send(frames.Answer(msgspec.Raw(msgspec.msgpack.encode(value))))

    async def _answer(self, said: frames.Said, reader: _Pipes) -> Any:
        services, token, project = self._services, self._actor.token, self._project
        match said:
            case frames.AskState():
                return await services.imports.read_import(token, project=project)
            case frames.AskCommits():
                return await self._commits()
            case frames.AskHistory(after):
                page = await services.mirroring.list_history(
                    token, project=project, after=after, page_size=_CHANGES
                )
                last = page.changes[-1].sequence if page.changes else after
                more = bool(page.changes) and last < page.newest
                return {"items": page.changes, "next": last if more else None}
            case frames.AskHeld(contents):
                return await services.mirroring.list_held(token, project=project, contents=contents)
            case frames.AskTags():
                return await self._tags()
            case frames.MakeTag(tag):
                await services.ledger.create_tag(
                    token, project=project, name=tag.name, at=tag.at, message=tag.message, origin=tag.origin
                )
                return None
            case frames.Begin(batch):
                return await self._write(_decoded(batch, Batch), reader)
            case _:
                raise _died("It said something at the wrong time.")

    async def _write(self, batch: Batch, reader: _Pipes) -> ImportAnswer:
        run = ImportRun(
            self._services.imports,
            self._services.blobs,
            actor=self._actor,
            batch=typed(batch),
            project=self._project,
            concurrency=self._services.settings.upload_concurrency,
        )
        try:
            await run.prepare()
            await reader.send(frames.Answer(msgspec.Raw(msgspec.msgpack.encode(None))))
            fault = await self._take(run, reader)
            if fault is not None:
                raise fault
            return await run.finish()
        finally:
            await run.close()

    async def _take(self, run: ImportRun, reader: _Pipes) -> VersoError | None:
        """Take in the contents of a batch to their end; what was wrong with them."""
        settings = self._services.settings
        fault: VersoError | None = None
        while isinstance(said := await reader.take(), frames.Piece):
            intake = Intake(settings.spool_dir, limit=settings.max_upload_size)
            try:
                await intake.write(said.data)
                while not said.last:
                    following = await reader.take()
                    if not isinstance(following, frames.Piece) or following.sha256 != said.sha256:
                        raise _died("It broke a content off.")
                    said = following
                    await intake.write(said.data)
                if fault is None:
                    await run.take(said.sha256, await intake.finish())
            except VersoError as error:
                fault = fault or error
            except LimitExceededError:
                raise _died("It sent a content that is too large.") from None
            finally:
                intake.close()
        if not isinstance(said, frames.End):
            raise _died("It broke a batch off.")
        return fault

    async def _commits(self) -> list[str]:
        found: list[str] = []
        after: int | None = None
        while True:
            page = await self._services.imports.list_imports(
                self._actor.token, project=self._project, after=after, page_size=_PAGE
            )
            found += [each.origin_id for each in page]
            if len(page) < _PAGE:
                return found
            after = page[-1].sequence

    async def _tags(self) -> list[str]:
        found: list[str] = []
        while True:
            page = await self._services.ledger.list_tags(
                self._actor.token, project=self._project, after=found[-1] if found else "", page_size=_PAGE
            )
            found += [each.name for each in page]
            if len(page) < _PAGE:
                return found


class _Pipes:
    """Frames to a reader and from it, until a time."""

    def __init__(self, process: Process, until: float) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("The process has pipes.")
        self._process = process
        self._in, self._out = process.stdin, process.stdout
        self._until = until

    async def send(self, value: object) -> None:
        self._in.write(frames.frame_of(value))
        with suppress(BrokenPipeError, ConnectionResetError):  # its end says more
            await self._in.drain()

    async def take(self) -> frames.Said:
        """What it says next. Raises VersoError when it is over."""
        try:
            async with asyncio.timeout_at(self._until):
                head = await self._out.readexactly(frames.LENGTH_BYTES)
                length = int.from_bytes(head, "big")
                if length > frames.MOST:
                    raise _died("It said too much at once.")
                data = await self._out.readexactly(length)
        except TimeoutError:
            raise _over() from None
        except asyncio.IncompleteReadError:
            if await self._process.wait() == -signal.SIGXCPU:
                raise _over() from None
            raise _died("It ended.") from None
        said: frames.Said = _decoded(data, frames.Said)
        return said


def _decoded(data: bytes | msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise _died(str(error)) from None


@asynccontextmanager
async def _started(seconds: float) -> AsyncIterator[Process]:
    """A reader, which is gone at the end whatever happened."""
    limits = str(MEMORY), str(int(seconds) + 1)
    process = await start_apart("app.sources.git.worker", *limits, errors=True, buffer=frames.PIECE)
    said = asyncio.ensure_future(_said_by(process))
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        words = await said
        if words:
            log.warning("import.reader", status=process.returncode, said=words)


async def _said_by(process: Process) -> str:
    """The end of what a process writes to its standard error."""
    kept = b""
    while process.stderr is not None and (piece := await process.stderr.read(_MOST_SAID)):
        kept = (kept + piece)[-_MOST_SAID:]
    return kept.decode("utf-8", "replace")[-2000:]


def _over() -> VersoError:
    return VersoError(
        "import_stopped",
        "This takes longer than an import may here. What is imported by now stays: send the same bundle "
        "again and it goes on from there, or import it from your own machine, with `verso import git`.",
    )


def _died(why: str) -> VersoError:
    log.error("import.reader_died", why=why)
    return VersoError(
        "bundle_unreadable",
        "This bundle can't be read: what read it ended early. Import it from your own machine, with "
        "`verso import git`.",
    )

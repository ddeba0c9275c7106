"""A project's bare repository, brought up to date with its history, under the caller's token.

1  The database says whether the caller may see the project, which change is its newest, and how many contents
   were erased: two round trips.
2  When the repository has that change and was made after the last erasure, nothing more is needed.
3  Else, under the project's lock: history from the newest change there on, missing contents, commits.
   What was done is kept page by page, so that a caller who leaves has helped the next one.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pygit2
import structlog

from app.errors import VersoError
from app.flows.read_contents import each_content
from app.git.write.copy import STATE, GitCopy
from app.git.write.state import newest_hash

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from app.flows.git_cache import GitCache
    from app.model import MirroredChange, Project
    from app.supabase.blobs import Blobs
    from app.supabase.cache import Content
    from app.supabase.erasures import Erasures
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger
    from app.supabase.mirroring import Mirroring

log = structlog.get_logger(__name__)
T = TypeVar("T")

PAGE = 500
TAGS = 1000
BATCH = 500
BATCH_BYTES = 64 * 1024 * 1024
WAIT_SECONDS = 600.0
"""How long one waits for another process that fills the repository."""
_IN_MEMORY = 1024 * 1024
_BROKEN = (sqlite3.DatabaseError, pygit2.GitError, OSError)
"""What work on a copy raises whose files were damaged, or removed by an erasure or an operator."""
_START_ANEW = frozenset({"git_damaged", "other_export", "export_damaged", "history_diverged"})
COPYING_CODES = _START_ANEW | {"content_altered", "folder_busy", "history_altered"}
"""What `app.git.write` refuses. Those are sentences for whoever exports to a folder of theirs."""


class GitSync:
    """What brings repositories up to date."""

    def __init__(
        self,
        cache: GitCache,
        ledger: Ledger,
        mirroring: Mirroring,
        erasures: Erasures,
        blobs: Blobs,
        *,
        ahead: int,
    ) -> None:
        self._cache = cache
        self._ledger = ledger
        self._mirroring = mirroring
        self._erasures = erasures
        self._blobs = blobs
        self._ahead = ahead

    @asynccontextmanager
    async def repository(self, actor: Actor, *, project: str, tags: bool) -> AsyncIterator[Path]:
        """The project's repository at its newest change (and its newest tags, when asked), for reading.

        Raises VersoError: `project_not_found` for whoever is no member, `git_busy`, and what reading raises.
        """
        found = await self._find(actor, project)
        erased = await self._erasures.count_erasures(actor.token, project=found.id)
        async with self._cache.reading(found.id) as path:  # held from here on, so that nobody evicts it
            if tags or not await self._is_current(found, erased):
                await self._update(actor, found, erased)
            yield path

    def drop(self, path: Path) -> None:
        """Throw a damaged repository away; the next request makes it again."""
        log.error("git.damaged", project=path.stem)
        self._cache.drop(path.stem)

    async def _find(self, actor: Actor, project: str) -> Project:
        """A project by its id or slug, `.git` at its end or not: a slug may end so itself."""
        plain = project.removesuffix(".git")
        try:
            return await self._ledger.read_project(actor.token, project=plain or project)
        except VersoError as error:
            if plain == project or error.code != "project_not_found":
                raise
        return await self._ledger.read_project(actor.token, project=project)

    async def _is_current(self, project: Project, erased: int) -> bool:
        state = self._cache.path(project.id) / STATE
        newest = await asyncio.to_thread(newest_hash, state, erasures=erased)
        return newest is not None and newest == project.change_hash

    async def _update(self, actor: Actor, project: Project, erased: int) -> None:
        async with self._cache.writing(project.id, seconds=WAIT_SECONDS) as path:
            try:
                written = await self._fill(actor, project, path, erased)
            except (VersoError, *_BROKEN) as error:
                if isinstance(error, VersoError) and error.code not in _START_ANEW:
                    raise
                log.warning("git.made_anew", project=project.id, error=str(error))
                self._cache.drop(project.id)
                written = await self._fill_anew(actor, project, path, erased)
        if written:
            await asyncio.to_thread(self._cache.evict)

    async def _fill_anew(self, actor: Actor, project: Project, path: Path, erased: int) -> int:
        """Fill an empty repository: what is wrong now isn't its past, so it is said, and not tried again."""
        try:
            return await self._fill(actor, project, path, erased)
        except (VersoError, *_BROKEN) as error:
            if isinstance(error, VersoError) and error.code not in COPYING_CODES:
                raise
            if not await asyncio.to_thread(path.exists):
                raise VersoError(
                    "git_busy", "The copy that serves Git was thrown away while it was made. Fetch again."
                ) from error
            log.exception("git.not_made", project=project.id)
            raise VersoError(
                "git_damaged",
                "The project's repository can't be made. Read its history by the API, and tell an operator.",
            ) from error

    async def _fill(self, actor: Actor, project: Project, path: Path, erased: int) -> int:
        copy = await _quietly(lambda: GitCopy(path, project=project.id))
        try:
            await _quietly(lambda: copy.follow_erasures(erased))
            before = copy.newest.sequence if copy.newest else 0
            if before > project.change_sequence or (
                before == project.change_sequence and copy.newest and copy.newest.hash != project.change_hash
            ):
                raise VersoError(
                    "git_damaged", "The copy that serves Git is of another history. Fetch again."
                )
            at = before
            while at < project.change_sequence:
                page = await self._mirroring.list_history(
                    actor.token, project=project.id, after=at, page_size=PAGE
                )
                await self._take(actor, project, copy, page.changes)
                at = page.changes[-1].sequence
            await self._take_tags(actor, project, copy)
            await _quietly(copy.finish)
            return at - before
        finally:
            await _quietly(copy.close)

    async def _take(
        self, actor: Actor, project: Project, copy: GitCopy, changes: list[MirroredChange]
    ) -> None:
        missing = await _quietly(lambda: copy.missing(changes))
        batch: list[str] = []
        size = 0
        for sha256, each in missing.items():
            batch.append(sha256)
            size += each
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                await self._take_contents(actor, project, copy, batch)
                batch, size = [], 0
        if batch:
            await self._take_contents(actor, project, copy, batch)
        await _quietly(lambda: copy.add_changes(changes))

    async def _take_contents(
        self, actor: Actor, project: Project, copy: GitCopy, contents: list[str]
    ) -> None:
        located = await self._mirroring.locate_contents(actor.token, project=project.id, contents=contents)
        erased = [each.sha256 for each in located.contents if not each.copies]
        await _quietly(lambda: _add_erased(copy, erased))
        small: list[tuple[str, bytes]] = []
        async for each, content in each_content(self._blobs, actor=actor, located=located, ahead=self._ahead):
            with content:
                if content.size > _IN_MEMORY:
                    await _take_large(copy, each.sha256, content)
                else:
                    small.append((each.sha256, await content.read()))
            if len(small) >= self._ahead:
                await _quietly(_adding(copy, small))
                small = []
        await _quietly(_adding(copy, small))

    async def _take_tags(self, actor: Actor, project: Project, copy: GitCopy) -> None:
        after = ""
        while True:
            tags = await self._ledger.list_tags(actor.token, project=project.id, after=after, page_size=TAGS)
            await _quietly(lambda: copy.add_tags(tags))  # noqa: B023 - awaited here
            if len(tags) < TAGS:
                return
            after = tags[-1].name


def _add_erased(copy: GitCopy, contents: list[str]) -> None:
    for sha256 in contents:
        copy.add_erased(sha256)


def _adding(copy: GitCopy, contents: list[tuple[str, bytes]]) -> Callable[[], None]:
    def add() -> None:
        for sha256, data in contents:
            copy.add_content(sha256, data)

    return add


async def _take_large(copy: GitCopy, sha256: str, content: Content) -> None:
    with tempfile.TemporaryDirectory(prefix=".content-", dir=copy.directory) as folder:
        path = Path(folder) / sha256
        with path.open("wb") as file:
            async for piece in content.chunks(0, content.size):
                await asyncio.to_thread(file.write, piece)
        await _quietly(lambda: copy.add_content(sha256, path))


async def _quietly(work: Callable[[], T]) -> T:
    """Do the work in a thread to its end, even when the caller leaves: a copy is not for two threads."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():  # who leaves may be told to more than once
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        raise

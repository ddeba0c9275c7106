"""A project as a Git repository on this machine: made, or continued from where an earlier run ended.

1  The history is asked for page by page, from the newest change that the repository has.
2  What a page's versions hold and the repository lacks comes in large requests, each content hashed.
3  The page becomes commits. A kill leaves a shorter history; the same command goes on.
4  At the end the tags, and the branch `main`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from app.client.bulk import TRIES, asked_contents, batches
from app.client.history import home_of
from app.errors import VersoError
from app.git.write.copy import GitCopy
from app.model import MirroredChange, Project, Tag
from app.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.client.api import Api
    from app.progress import Progress

_IN_MEMORY = 16 * 1024 * 1024
"""Larger contents pass through a file, so that memory stays flat."""


class WholePage(msgspec.Struct, frozen=True):
    """A page of GET …/history, with the commits that imported changes were."""

    items: list[MirroredChange]
    next: int | None
    newest: int


class ExportedGit(msgspec.Struct, frozen=True, kw_only=True):
    """What the repository holds now."""

    directory: str
    project: str
    head: str | None
    """The newest change's commit; null for a project without changes."""
    changes: int
    """Commits, all of them."""
    new_changes: int
    """Commits that this run wrote."""
    same_ids: int
    """Commits that have the very ids of the Git commits that they were imported from."""
    contents: int
    erased: int
    """Contents whose bytes were erased; a note stands in their place."""
    tags: int


def export_git(api: Api, project: str, directory: Path, *, progress: Progress = no_progress) -> ExportedGit:
    """Bring the repository in `directory` up to date with a project (id or slug), or make it.

    Raises VersoError: the server's refusals; `other_export` when the directory is something else;
    `history_altered` and `content_altered` when the server isn't to be believed; `history_diverged` when its
    history isn't the continuation of what is there; `folder_busy` when another export is at it.
    """
    found = api.get(home_of(project), kind=Project)
    home = found.id
    with GitCopy(directory, project=home) as copy:
        before = copy.newest.sequence if copy.newest else 0
        if found.change_sequence == before and copy.newest and found.change_hash != copy.newest.hash:
            raise _diverged(before)
        for page in _pages(api, home, before):
            if page.newest < before:
                raise _diverged(before)
            _take_contents(api, home, copy, copy.missing(page.items))
            copy.add_changes(page.items)
            progress(copy.newest.sequence if copy.newest else 0, page.newest, "changes")
        copy.add_tags(api.pages(f"{home_of(home)}/tags", kind=Tag))
        copy.finish()
        newest, counts = copy.newest, copy.counts()
        return ExportedGit(
            directory=str(directory),
            project=home,
            head=newest.id.hex() if newest else None,
            changes=counts["changes"],
            new_changes=counts["changes"] - before,
            same_ids=sum(oid == origin for _, oid, origin in copy.commits()),
            contents=counts["contents"],
            erased=counts["erased"],
            tags=counts["tags"],
        )


def _pages(api: Api, home: str, after: int) -> Iterator[WholePage]:
    at: int | None = after
    while at is not None:
        page = api.get(f"{home_of(home)}/history", kind=WholePage, after=at)
        yield page
        at = page.next


def _take_contents(api: Api, home: str, copy: GitCopy, missing: Mapping[str, int]) -> None:
    left = dict(missing)
    tries = TRIES
    while left:
        batch = next(batches(left.items()))
        came: set[str] = set()
        try:
            _ask(api, home, copy, batch, came)
        except VersoError as error:
            tries -= 1
            if error.code != "unreachable" or not tries:
                raise
        else:
            # The answer came to its end, so what it left out is what the server has no more.
            for sha256 in batch.keys() - came:
                copy.add_erased(sha256)
            came = set(batch)
        left = {sha256: size for sha256, size in left.items() if sha256 not in came}


def _ask(api: Api, home: str, copy: GitCopy, batch: Mapping[str, int], came: set[str]) -> None:
    with asked_contents(api, home_of(home), batch) as members:
        for sha256, size, pieces in members:
            if sha256 not in batch:
                continue
            if size <= _IN_MEMORY:
                copy.add_content(sha256, b"".join(pieces))
            else:
                _add_large(copy, sha256, pieces)
            came.add(sha256)


def _add_large(copy: GitCopy, sha256: str, pieces: Iterator[bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix=".verso-content-", dir=copy.directory) as folder:
        path = Path(folder) / sha256
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        copy.add_content(sha256, path)


def _diverged(newest: int) -> VersoError:
    return VersoError(
        "history_diverged",
        f"The server's history is not a continuation of this repository's (#{newest}). Was it restored from "
        "a backup? Keep this repository, and export into a new directory.",
        newest=newest,
    )

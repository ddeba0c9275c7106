"""The mirror filled from a server: nothing is kept before its hash was computed again.

1  `fetch_history` asks for the changes after the newest one here, page by page; each page is checked against
   the chain and stored in one transaction, so that a kill leaves a shorter history and never a wrong one.
2  `fetch_tags` takes the names for points.
3  `fetch_contents` asks for what is missing, many contents at once, and keeps what hashes to its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import msgspec

from app.client.bulk import TRIES, asked_contents, batches
from app.errors import VersoError
from app.model import (
    Action,
    Change,
    Tag,
    VersionState,
    canonical_time,
    change_canonical,
    hash_of,
    normal_path,
    version_canonical,
)
from app.progress import Progress, no_progress

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from app.client.api import Api
    from app.client.mirror import Mirror


class Page(msgspec.Struct, frozen=True):
    """A page of GET …/history."""

    items: list[Change]
    next: int | None
    newest: int


def home_of(project: str) -> str:
    """Where a project's resources are on its server."""
    return f"/v1/projects/{quote(project, safe='')}"


def fetch_history(api: Api, mirror: Mirror, project: str, *, progress: Progress = no_progress) -> int:
    """Take in what is new of a project (its id); the number of changes that came.

    Raises VersoError `history_altered` when a hash isn't what its rows give, `history_diverged` when the
    server's history isn't the continuation of the one here.
    """
    came = 0
    while True:
        after = mirror.newest
        page = api.get(f"{home_of(project)}/history", kind=Page, after=after)
        if page.newest < after:
            raise _diverged(after)
        with mirror.store.writing() as sql:
            for change in page.items:
                if change.project != project:
                    _altered(change, "it is another project's")
                _keep(sql, change)
        came += len(page.items)
        progress(mirror.newest, page.newest, "changes")
        if page.next is None or not page.items:
            return came


def fetch_tags(api: Api, mirror: Mirror, project: str) -> None:
    """Take in the tags; they never move, so what is here stays right."""
    tags = list(api.pages(f"{home_of(project)}/tags", kind=Tag))
    with mirror.store.writing() as sql:
        sql.executemany(
            "insert or ignore into tags values (?, ?)",
            [(tag.name, msgspec.msgpack.encode(tag)) for tag in tags],
        )


def fetch_contents(
    api: Api, mirror: Mirror, project: str, missing: Mapping[str, int], *, progress: Progress = no_progress
) -> int:
    """Take in contents, by their SHA-256 with sizes; the number of bytes that came.

    What breaks off goes on where it was. Raises VersoError, `content_altered` when bytes aren't what they
    should be; all that came whole before stays.
    """
    total, came = sum(missing.values()), 0
    for batch in batches(missing.items()):
        wanted = batch
        for tries_left in reversed(range(TRIES)):
            try:
                for size in _ask_contents(api, mirror, project, wanted):
                    came += size
                    progress(came, total, "bytes")
            except VersoError as error:
                if error.code != "unreachable" or not tries_left:
                    raise
                wanted = {sha256: size for sha256, size in wanted.items() if not mirror.contents.has(sha256)}
            else:
                break
    return came


def _ask_contents(api: Api, mirror: Mirror, project: str, wanted: Mapping[str, int]) -> Iterator[int]:
    came: set[str] = set()
    with asked_contents(api, home_of(project), wanted) as members:
        for sha256, size, pieces in members:
            if sha256 in wanted:
                mirror.contents.add(sha256, size, pieces)
                came.add(sha256)
                yield size
    # The answer came to its end, so what it left out is what the server has no more.
    for sha256 in wanted.keys() - came:
        mirror.contents.note_erased(sha256)


def _keep(sql: sqlite3.Connection, change: Change) -> None:
    """Store a change that continues the chain; whatever doesn't is refused, with all of its page."""
    newest, previous = sql.execute(
        "select coalesce(max(sequence), 0), "
        "(select hash from changes order by sequence desc limit 1) from changes"
    ).fetchone()
    if change.sequence != newest + 1:
        _altered(change, f"it follows #{newest}")
    if change.previous != previous:
        if newest:
            raise _diverged(newest)
        _altered(change, "the first one names a change before it")
    if len(change.versions) != change.version_count:
        _altered(change, "versions are missing")
    for position, version in enumerate(change.versions, 1):
        _keep_version(sql, change, version, position)
    if hash_of(change_canonical(change, [version.hash for version in change.versions])) != change.hash:
        _altered(change, "its hash is not that of its fields")
    origin: Any = getattr(change, "origin", None)
    # The versions are rows of their own.
    body = msgspec.msgpack.encode(msgspec.structs.replace(change, versions=[]))
    sql.execute(
        "insert into changes values (?, ?, ?, ?, ?)",
        (
            change.sequence,
            change.hash,
            None if origin is None else origin.id,
            canonical_time(change.committed_at),
            body,
        ),
    )


def _keep_version(sql: sqlite3.Connection, change: Change, version: VersionState, position: int) -> None:
    head = sql.execute("select version from heads where document = ?", (version.document,)).fetchone()
    if version.parent != (None if head is None else head[0]):
        _altered(change, f"{version.path} doesn't follow the version before it")
    if version.project != change.project or normal_path(version.path) != version.path:
        _altered(change, "a version isn't of this project, or its path can't be a document's")
    if hash_of(version_canonical(version)) != version.hash:
        _altered(change, f"the hash of {version.path} is not that of its fields")
    sql.execute(
        "insert into versions values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            version.hash,
            version.document,
            version.number,
            change.sequence,
            position,
            version.path,
            version.sha256,
            msgspec.msgpack.encode(version),
        ),
    )
    sql.execute(
        "insert into heads values (?, ?, ?, ?) on conflict (document) do update set "
        "version = excluded.version, path = excluded.path, live = excluded.live",
        (version.document, version.hash, version.path, int(version.action is not Action.delete)),
    )


def _altered(change: Change, why: str) -> NoReturn:
    raise VersoError(
        "history_altered",
        f"Change #{change.sequence} of this server is not to be believed: {why}. Nothing of it was taken. "
        "Ask who runs the server; `verso verify` there says more.",
        sequence=change.sequence,
    )


def _diverged(newest: int) -> VersoError:
    return VersoError(
        "history_diverged",
        f"The server's history is not a continuation of the one here (#{newest}). Was it restored "
        "from a backup? Keep this folder, and clone into a new one.",
        newest=newest,
    )

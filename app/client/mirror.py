"""A project's history on this machine, so that reading it needs no server.

Rows are here only after every hash was computed again and found in its place (`app.client.history`), so
whoever trusts the newest change's hash may trust all that a Mirror gives. Contents may be missing: a clone
with `--latest` holds the newest ones only.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import msgspec

from app.client import contents
from app.client.contents import Contents
from app.client.store import Store
from app.errors import VersoError
from app.model import Action, Change, Tag, Version, VersionState, canonical_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORM = 1
SHORTEST_HASH = 4
_TABLES = f"""
create table notes (name text primary key, value text not null) strict, without rowid;
create table changes (
  sequence integer primary key, hash text not null unique, origin text, committed_at text not null,
  body blob not null
) strict;
create index changes_by_origin on changes (origin) where origin is not null;
create table versions (
  hash text primary key, document text not null, number integer not null, sequence integer not null,
  position integer not null, path text not null, sha256 text, body blob not null,
  unique (document, number), unique (sequence, position)
) strict, without rowid;
create index versions_by_path on versions (path, sequence);
create index versions_by_content on versions (sha256) where sha256 is not null;
create table heads (
  document text primary key, version text not null, path text not null, live integer not null
) strict, without rowid;
create index heads_by_path on heads (path) where live = 1;
create table tags (name text primary key, body blob not null) strict, without rowid;
{contents.TABLES}
"""


class Mirror:
    """The mirror of one project. A context manager, or `close` it.

    Nothing here asks the server. Methods raise VersoError as they say, and `bad_working_folder` at the start.
    """

    def __init__(self, hidden: Path) -> None:
        # What is lost of it when the power fails is fetched again.
        self.store = Store(hidden / "mirror.db", tables=_TABLES, form=FORM, durable=False)
        self.contents = Contents(self.store, hidden / "contents")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its files."""
        self.store.close()

    # The log ---------------------------------------------------------------------------------------

    @property
    def newest(self) -> int:
        """Number of the newest change that is here; 0 before the first."""
        return int(self._one("select coalesce(max(sequence), 0) from changes")[0])

    def changes(
        self, *, at: int | None = None, after: int = 0, path: str | None = None, oldest_first: bool = False
    ) -> Iterator[Change]:
        """Changes with their versions, newest first, up to change `at`, not `after` and before.

        `path` keeps those that wrote that path, or anything below it. Read lazily: stop when you have enough.
        """
        query = "select sequence, body from changes c where sequence > ? and sequence <= ?"
        given: list[object] = [after, self.newest if at is None else at]
        if path:
            query += (
                " and exists (select 1 from versions v where v.sequence = c.sequence"
                " and (v.path = ? or v.path >= ? and v.path < ?))"
            )
            given += [path, f"{path}/", f"{path}0"]  # "0" is the character after "/"
        order = "asc" if oldest_first else "desc"
        for sequence, body in self.store.sql.execute(f"{query} order by sequence {order}", given):
            yield self._change(sequence, body)

    def change(self, sequence: int) -> Change:
        """One change with its versions. Raises VersoError `not_mirrored`."""
        found = self._maybe("select body from changes where sequence = ?", sequence)
        if found is None:
            raise _not_mirrored(f"change #{sequence}")
        return self._change(sequence, found[0])

    def tags(self) -> list[Tag]:
        """The project's tags by name."""
        rows = self.store.sql.execute("select body from tags order by name")
        return [msgspec.msgpack.decode(body, type=Tag) for (body,) in rows]

    def resolve(self, point: str) -> int:
        """The number of the change that a point means; raises VersoError `point_not_found`.

        As the server's `?at=`: a number (`42`, `#42`), a tag, a hash of a change or a version, a Git commit's
        id (each may be cut to 4 digits or more if only one fits), a time (RFC 3339; the newest change then).
        """
        text = point.removeprefix("#")
        if text.isascii() and text.isdigit() and len(text) < 19:  # noqa: PLR2004 - SQLite's integers
            if 0 < int(text) <= self.newest:
                return int(text)
        elif (tag := self._maybe("select body from tags where name = ?", point)) is not None:
            return msgspec.msgpack.decode(tag[0], type=Tag).change
        if re.fullmatch(rf"[0-9a-f]{{{SHORTEST_HASH},64}}", text):
            found = self._of_hash(text)
            if found is not None:
                return found
        moment = _moment(point)
        if moment is not None:
            row = self._one(
                "select coalesce(max(sequence), 0) from changes where committed_at <= ?",
                canonical_time(moment),
            )
            if row[0]:
                return int(row[0])
        raise VersoError(
            "point_not_found",
            f"{point} is no change, tag, hash or time of the history that is on this machine. "
            "`verso pull` fetches what is new.",
        )

    # Documents -------------------------------------------------------------------------------------

    def tree(self, at: int | None = None) -> dict[str, VersionState]:
        """What each path had after a change (None: the newest), by path in the order of their bytes."""
        if at is None or at >= self.newest:
            query = "select v.body from heads h join versions v on v.hash = h.version where h.live = 1"
            rows = self.store.sql.execute(query)
        else:
            # SQLite gives the other columns of a max() from the row that holds it.
            query = "select body, max(number) from versions where sequence <= ? group by document"
            rows = self.store.sql.execute(query, (at,))
        states = (_version(row[0]) for row in rows)
        live = {state.path: state for state in states if state.action is not Action.delete}
        return dict(sorted(live.items(), key=lambda each: each[0].encode()))

    def heads(self) -> dict[str, VersionState]:
        """The newest version of every document by its id, deleted ones included."""
        query = "select h.document, v.body from heads h join versions v on v.hash = h.version"
        return {document: _version(body) for document, body in self.store.sql.execute(query)}

    def document_at(self, path: str, at: int | None = None) -> str:
        """The id of the document that has the path after a change, else of the last one that had it.

        One that was there under another name, and got this one later, is meant when there is no other.
        Raises VersoError `document_not_found`.
        """
        until = self.newest if at is None else at
        if at is None or at >= self.newest:
            live = self._maybe("select document from heads where path = ? and live = 1", path)
        else:
            state = self.tree(at).get(path)
            live = None if state is None else (state.document,)
        found = live or self._maybe(
            "select document from versions where path = ? and sequence <= ? "
            "order by sequence desc, position desc",
            path,
            until,
        )
        found = found or self._maybe(
            "select v.document from versions v where v.path = ? and exists ("
            "select 1 from versions w where w.document = v.document and w.sequence <= ?) "
            "order by v.sequence desc",
            path,
            until,
        )
        if found is None:
            when = "in the history here" if until >= self.newest else f"up to change #{until}"
            raise VersoError("document_not_found", f"Nothing was ever at {path} {when}.", path=path)
        return str(found[0])

    def versions(self, path: str, *, at: int | None = None) -> list[Version]:
        """The versions of the document at a path with their changes, newest first, across moves and deletes.

        Raises VersoError `document_not_found`.
        """
        return self.document_versions(self.document_at(path, at), at=at)

    def document_versions(self, document: str, *, at: int | None = None) -> list[Version]:
        """All versions of a document with their changes, newest first, up to change `at`."""
        rows = self.store.sql.execute(
            "select v.body, c.body from versions v join changes c on c.sequence = v.sequence "
            "where v.document = ? and v.sequence <= ? order by v.number desc",
            (document, self.newest if at is None else at),
        )
        return [_with_change(version, change) for version, change in rows]

    def version(self, name: str) -> Version:
        """A version by its hash, which may be cut. Raises VersoError `version_not_found`."""
        row = None
        if re.fullmatch(rf"[0-9a-f]{{{SHORTEST_HASH},64}}", name):
            rows = self.store.sql.execute(
                "select v.body, c.body from versions v join changes c on c.sequence = v.sequence "
                "where v.hash >= ? and v.hash < ? limit 2",
                (name, f"{name}g"),
            ).fetchall()
            row = rows[0] if len(rows) == 1 else None
        if row is None:
            raise VersoError("version_not_found", f"No version, or more than one, has a hash like {name}.")
        return _with_change(*row)

    def version_at(self, path: str, sha256: str) -> VersionState | None:
        """The newest version that had this content at this path; None when there never was one."""
        query = "select body from versions where path = ? and sha256 = ? order by sequence desc limit 1"
        row = self._maybe(query, path, sha256)
        return None if row is None else _version(row[0])

    # Contents --------------------------------------------------------------------------------------

    def content(self, sha256: str) -> bytes:
        """The bytes of a content. Raises VersoError `content_absent`, `content_erased`, `mirror_damaged`."""
        return self.contents.read(sha256)

    def names(self, sha256: str) -> bool:
        """Whether some version of the history here has this content, and it isn't known to be erased."""
        named = self._maybe("select 1 from versions where sha256 = ? limit 1", sha256)
        return named is not None and not self.contents.is_erased(sha256)

    def missing(self, wanted: Iterable[str] | None = None) -> dict[str, int]:
        """Contents that history names and that are not here, with their sizes: of these, or of all."""
        if wanted is None:
            query = (
                "select v.sha256, v.body from versions v left join contents c on c.sha256 = v.sha256 "
                "where v.sha256 is not null and c.sha256 is null"
            )
            rows = self.store.sql.execute(query).fetchall()
            return {sha256: _version(body).size or 0 for sha256, body in rows}
        found: dict[str, int] = {}
        for sha256 in dict.fromkeys(wanted):
            row = self._maybe(
                "select v.body from versions v where v.sha256 = ? "
                "and not exists (select 1 from contents c where c.sha256 = v.sha256) limit 1",
                sha256,
            )
            if row is not None:
                found[sha256] = _version(row[0]).size or 0
        return found

    # Notes -----------------------------------------------------------------------------------------

    def note(self, name: str) -> str | None:
        """A remembered setting of the mirror."""
        found = self._maybe("select value from notes where name = ?", name)
        return None if found is None else str(found[0])

    def set_note(self, name: str, value: str) -> None:
        """Remember a setting."""
        self.store.sql.execute(
            "insert into notes values (?, ?) on conflict (name) do update set value = excluded.value",
            (name, value),
        )

    def _of_hash(self, text: str) -> int | None:
        span = (text, f"{text}g")  # "g" is beyond every hexadecimal digit
        rows = self.store.sql.execute(
            "select sequence from changes where hash >= ? and hash < ? union "
            "select sequence from changes where origin >= ? and origin < ? union "
            "select sequence from versions where hash >= ? and hash < ? limit 2",
            span * 3,
        ).fetchall()
        return int(rows[0][0]) if len(rows) == 1 else None

    def _change(self, sequence: int, body: bytes) -> Change:
        rows = self.store.sql.execute(
            "select body from versions where sequence = ? order by position", (sequence,)
        )
        change = msgspec.msgpack.decode(body, type=Change)
        return msgspec.structs.replace(change, versions=[_version(each) for (each,) in rows])

    def _maybe(self, query: str, *given: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.store.sql.execute(query, given).fetchone()
        return found

    def _one(self, query: str, *given: object) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self.store.sql.execute(query, given).fetchone()
        return found


def _version(body: bytes) -> VersionState:
    return msgspec.msgpack.decode(body, type=VersionState)


def _with_change(version: bytes, change: bytes) -> Version:
    # The summary's fields are among the change's; msgspec leaves the others out.
    return msgspec.convert(
        {**msgspec.msgpack.decode(version), "change": msgspec.msgpack.decode(change)}, Version, strict=False
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        # As the server has it: without a zone, a time is UTC.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter at both ends of time, in other zones
        return None


def _not_mirrored(what: str) -> VersoError:
    return VersoError(
        "not_mirrored", f"The history on this machine has no {what}. `verso pull` fetches what is new."
    )

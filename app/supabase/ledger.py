"""Rows: one method a use case, named like the SQL function that it calls, in one round trip each.

Arguments named `project` take an id or a slug. Every method takes the caller's token first and raises
VersoError with the database's own code and sentence.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError
from app.model import (
    Change,
    Document,
    LoggedChange,
    Member,
    Project,
    Role,
    Session,
    SessionStatus,
    SessionType,
    Tag,
    Tree,
    Version,
    VersionRead,
)
from app.supabase.answers import (
    Committed,
    Compared,
    ComparedTrees,
    Contents,
    Me,
    PlannedRestore,
    Prepared,
    Row,
)

if TYPE_CHECKING:
    from datetime import datetime

    from app.supabase.pool import Pool


class Ledger:
    """The rows of one Supabase project."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    # Changes ---------------------------------------------------------------------------------------

    async def prepare_change(
        self, token: str, *, project: str | None, items: list[dict[str, Any]], idempotency_key: str | None
    ) -> Prepared:
        """Check role, bases and paths before any bytes travel."""
        # project is the one argument that the function needs even when there is none
        answer = await self._pool.rpc(
            token, "prepare_change", {"project": project, "items": items, "idempotency_key": idempotency_key}
        )
        return msgspec.convert(answer, Prepared)

    async def commit_change(
        self,
        token: str,
        *,
        project: str | None,
        items: list[dict[str, Any]],
        message: str,
        idempotency_key: str,
        request: dict[str, Any] | None = None,
    ) -> Change | None:
        """Write one atomic change; None when everything is as asked already. Repeats write once.

        `request` is what items were made for that were made from the present state: a repeat is known by it.
        """
        answer = await self._pool.rpc(
            token,
            "commit_change",
            {
                "project": project,
                "items": items,
                "message": message,
                "idempotency_key": idempotency_key,
                "request": request,
            },
        )
        return msgspec.convert(answer, Committed, strict=False).change

    async def list_changes(  # the filters of the project log
        self,
        token: str,
        *,
        project: str,
        before: int | None,
        page_size: int,
        prefix: str | None = None,
        author: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        search: str | None = None,
    ) -> list[LoggedChange]:
        """A project's changes, newest first."""
        return await self._pool.call(
            list[LoggedChange],
            token,
            "list_changes",
            project=project,
            before=before,
            page_size=page_size,
            prefix=prefix,
            author=author,
            since=since and since.isoformat(),
            until=until and until.isoformat(),
            search=search,
        )

    async def read_change(self, token: str, *, project: str, sequence: int) -> Change:
        """A change with its versions, and its diffstat as far as that is kept."""
        return await self._pool.call(Change, token, "read_change", project=project, sequence=sequence)

    # Documents and versions ------------------------------------------------------------------------

    async def read_file(self, token: str, *, project: str, path: str, at: str | None = None) -> VersionRead:
        """The version that a path has, now or at a point."""
        return await self._pool.call(VersionRead, token, "read_file", project=project, path=path, at=at)

    async def read_version(self, token: str, *, document: str, at: str | None = None) -> VersionRead:
        """A document's version at a point; its newest when there is none."""
        return await self._pool.call(VersionRead, token, "read_version", document=document, at=at)

    async def read_versions(self, token: str, *, project: str, versions: list[str]) -> list[VersionRead]:
        """The versions of a project that have these hashes."""
        return await self._pool.call(
            list[VersionRead], token, "read_versions", project=project, versions=versions
        )

    async def read_document(self, token: str, *, document: str, at: str | None = None) -> Document:
        """A document with its newest version, or the one at a point."""
        function = "read_document" if at is None else "read_document_at"
        return await self._pool.call(Document, token, function, document=document, at=at)

    async def list_versions(
        self, token: str, *, document: str, before: int | None, page_size: int
    ) -> list[Version]:
        """A document's versions, newest first."""
        return await self._pool.call(
            list[Version], token, "list_versions", document=document, before=before, page_size=page_size
        )

    async def compare_versions(
        self, token: str, *, document: str, older: str | None, newer: str | None
    ) -> Compared:
        """Two versions: the newest and the one before it unless said."""
        return await self._pool.call(
            Compared, token, "compare_versions", document=document, from_point=older, to_point=newer
        )

    async def compare_files(
        self, token: str, *, project: str, older: tuple[str, str | None], newer: tuple[str, str | None]
    ) -> Compared:
        """Two documents of a project, each by path or id, now or at a point."""
        return await self._pool.call(
            Compared,
            token,
            "compare_files",
            project=project,
            from_file=older[0],
            from_point=older[1],
            to_file=newer[0],
            to_point=newer[1],
        )

    async def list_tree(
        self, token: str, *, project: str, at: str | None, prefix: str, after: str, page_size: int
    ) -> Tree:
        """A page of the paths of a project at a point, in byte order."""
        return await self._pool.call(
            Tree, token, "list_tree", project=project, at=at, prefix=prefix, after=after, page_size=page_size
        )

    async def compare_trees(
        self,
        token: str,
        *,
        project: str,
        older: str,
        newer: str | None,
        prefix: str,
        after: str | None,
        page_size: int,
    ) -> ComparedTrees:
        """A page of the documents that differ between two points."""
        return await self._pool.call(
            ComparedTrees,
            token,
            "compare_trees",
            project=project,
            from_point=older,
            to_point=newer,
            prefix=prefix,
            after=after,
            page_size=page_size,
        )

    async def list_contents(
        self, token: str, *, project: str, at: str | None, prefix: str, after: str, page_size: int
    ) -> Contents:
        """A page of the tree at a point, with the objects that may hold each content."""
        return await self._pool.call(
            Contents,
            token,
            "list_contents",
            project=project,
            at=at,
            prefix=prefix,
            after=after,
            page_size=page_size,
        )

    async def plan_restore(self, token: str, *, project: str, at: str, prefix: str) -> PlannedRestore:
        """What a change must do to bring a folder or the project back to a point."""
        return await self._pool.call(
            PlannedRestore, token, "plan_restore", project=project, at=at, prefix=prefix
        )

    # Projects, members, sessions, tags -------------------------------------------------------------

    async def me(self, token: str) -> Me:
        """The caller's profile and projects. Raises VersoError `no_profile` before they have one."""
        answer = await self._pool.rpc(token, "me", {})
        if answer is None:
            raise VersoError("no_profile", "This account has no profile yet. Sign out and in again.")
        return msgspec.convert(answer, Me)

    async def update_me(self, token: str, *, edit: dict[str, str | None]) -> Me:
        """Change the caller's `handle`, `name`, `avatar_url`: those that the edit names. Answers as `me`."""
        return await self._pool.call(Me, token, "update_me", edit=edit)

    async def create_project(self, token: str, *, slug: str, name: str | None, description: str) -> Project:
        """Make a project; the caller becomes its owner."""
        return await self._pool.call(
            Project, token, "create_project", repeatable=False, slug=slug, name=name, description=description
        )

    async def read_project(self, token: str, *, project: str) -> Project:
        """One of the caller's projects."""
        return await self._pool.call(Project, token, "read_project", project=project)

    async def list_projects(self, token: str, *, after: str | None, page_size: int) -> list[Project]:
        """The caller's projects by slug."""
        return await self._pool.call(list[Project], token, "list_projects", after=after, page_size=page_size)

    async def update_project(
        self, token: str, *, project: str, name: str | None, description: str | None, archived: bool | None
    ) -> Project:
        """Rename, describe, archive or reopen a project; None leaves a field as it is."""
        return await self._pool.call(
            Project,
            token,
            "update_project",
            project=project,
            name=name,
            description=description,
            archived=archived,
        )

    async def list_members(
        self,
        token: str,
        *,
        project: str,
        after: str | None,
        page_size: int,
        agents: bool = True,
    ) -> list[Member]:
        """A project's members, owners first; without its agents people only. `after` is a `position`."""
        return await self._pool.call(
            list[Member],
            token,
            "list_members",
            project=project,
            after=after,
            page_size=page_size,
            agents=agents,
        )

    async def set_member(self, token: str, *, project: str, person: str, role: Role) -> Member:
        """Add a member by handle or id, or change their role."""
        return await self._pool.call(
            Member, token, "set_member", project=project, person=person, role=role.value
        )

    async def set_folders(
        self, token: str, *, project: str, person: str, folders: list[str] | None
    ) -> Member:
        """Make somebody an editor of some folders, or of everything (None)."""
        arguments = {"project": project, "person": person, "folders": folders}
        answer = await self._pool.rpc(token, "set_folders", arguments)
        return msgspec.convert(answer, Member, strict=False)

    async def remove_member(self, token: str, *, project: str, person: str) -> None:
        """Remove a member by handle or id; anyone may remove themselves."""
        await self._pool.rpc(token, "remove_member", {"project": project, "person": person}, repeatable=False)

    async def list_rows(
        self, token: str, *, project: str, part: str, after: str | None, page_size: int
    ) -> list[Row]:
        """The rows of one part of a project, as they are."""
        return await self._pool.call(
            list[Row], token, "list_rows", project=project, part=part, after=after, page_size=page_size
        )

    async def create_session(
        self,
        token: str,
        *,
        project: str,
        slug: str,
        title: str | None,
        kind: SessionType,
        parent: str | None,
        root: str | None,
        status: SessionStatus,
    ) -> Session:
        """Start a session; its root is sessions/<slug> unless said."""
        return await self._pool.call(
            Session,
            token,
            "create_session",
            repeatable=False,
            project=project,
            slug=slug,
            title=title,
            type=kind.value,
            parent=parent,
            root=root,
            status=status.value,
        )

    async def read_session(self, token: str, *, project: str, session: str) -> Session:
        """A session with its live documents."""
        return await self._pool.call(Session, token, "read_session", project=project, session=session)

    async def update_session(
        self, token: str, *, project: str, session: str, title: str | None, status: SessionStatus | None
    ) -> Session:
        """Retitle a session or move it on; None leaves a field as it is."""
        return await self._pool.call(
            Session,
            token,
            "update_session",
            project=project,
            session=session,
            title=title,
            status=status and status.value,
        )

    async def list_sessions(
        self, token: str, *, project: str, status: SessionStatus | None, after: str | None, page_size: int
    ) -> list[Session]:
        """A project's sessions by slug."""
        return await self._pool.call(
            list[Session],
            token,
            "list_sessions",
            project=project,
            status=status and status.value,
            after=after,
            page_size=page_size,
        )

    async def create_tag(
        self,
        token: str,
        *,
        project: str,
        name: str,
        at: str | None,
        message: str,
        origin: bytes | None = None,
    ) -> Tag:
        """Name the project at a change, or a version by its hash; `origin` is a raw Git tag object."""
        return await self._pool.call(
            Tag,
            token,
            "create_tag",
            repeatable=False,
            project=project,
            name=name,
            at=at,
            message=message,
            origin=None if origin is None else base64.b64encode(origin).decode(),
        )

    async def list_tags(self, token: str, *, project: str, after: str, page_size: int) -> list[Tag]:
        """A project's tags by name."""
        return await self._pool.call(
            list[Tag], token, "list_tags", project=project, after=after, page_size=page_size
        )

    async def schema_version(self) -> str:
        """The version of the schema that the database has; needs no token."""
        return str(await self._pool.rpc(None, "schema_version", {}, repeatable=False))

"""An IDSE tree into a server: projects, people, sessions, then documents, which belong to those; then stages.

Each step makes only what isn't there, so a second run, after a kill or after more work in the tree, goes on.
What is there already (a session's status, a member's role) stays as it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from app.client.history import home_of
from app.client.idse.stages import report_stages
from app.client.idse.survey import ProjectSource, survey
from app.client.import_folder import Imported, import_source
from app.errors import VersoError
from app.model import LeftOut, Member, Session, SessionStatus, SessionType
from app.model.pipelines import StageState
from app.progress import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.client.api import Api
    from app.client.idse.survey import ProjectFound, SessionFound
    from app.sources.listing import Source


class SessionTold(msgspec.Struct, frozen=True, kw_only=True):
    """A session of the report. `stages` are what the tree says of them."""

    name: str
    slug: str
    root: str
    type: SessionType
    status: SessionStatus
    parent: str | None
    is_new: bool
    stages: dict[str, str]
    reported: dict[str, str] = {}
    """Those of them that were reported, or would be: what somebody reported before stays as it is."""
    notes: list[str]


class PeopleTold(msgspec.Struct, frozen=True, kw_only=True):
    """Who became a member, by handle; and the names that no account is known for."""

    added: dict[str, str]
    unknown: list[str]


class ProjectTold(msgspec.Struct, frozen=True, kw_only=True):
    """A project of the report."""

    name: str
    slug: str
    is_new: bool
    sessions: list[SessionTold]
    people: PeopleTold
    documents: Imported
    notes: list[str]


class IdseImported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import of a tree did, or would do."""

    dry_run: bool
    projects: list[ProjectTold]
    left_out: list[LeftOut]


def import_idse(
    api: Api,
    source: Source,
    *,
    people: Mapping[str, str],
    into: str | None = None,
    message: str = "",
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> IdseImported:
    """Bring a tree in. `people` maps names (casefolded) to handles; `into` names a tree's only project.

    Raises VersoError: `no_idse_layout`, `bad_usage`, and the server's refusals.
    """
    found = survey(source)
    if into is not None:
        if len(found.projects) != 1:
            raise VersoError(
                "bad_usage", f"--project is for a tree of one project; this has {len(found.projects)}."
            )
        next(iter(found.projects.values())).slug = into
    told = []
    for project in found.projects.values():
        known = _known(api, project.slug)
        home = project.slug if known is None else str(known["id"])
        if known is None and not dry_run:
            body = {"slug": project.slug, "name": project.name[:200]}
            home = str(api.post("/v1/projects", body)["id"])
        exists = known is not None or not dry_run
        added = _people(api, home, project, people, exists=exists, dry_run=dry_run)
        sessions = _sessions(api, home, project, exists=exists, dry_run=dry_run)
        documents = import_source(
            api,
            home,
            ProjectSource(source, project),
            is_there=exists,
            message=message,
            dry_run=dry_run,
            progress=progress,
        )
        told.append(
            ProjectTold(
                name=project.name,
                slug=project.slug,
                is_new=known is None,
                sessions=[
                    _reported(
                        api, home, each, exists=exists and not (dry_run and each.is_new), dry_run=dry_run
                    )
                    for each in sessions
                ],
                people=added,
                documents=documents,
                notes=project.notes,
            )
        )
    return IdseImported(dry_run=dry_run, projects=told, left_out=found.left_out)


def _known(api: Api, ref: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = api.get(f"/v1/projects/{quote(ref, safe='')}")
    except VersoError as error:
        if error.code != "project_not_found":
            raise
        return None
    return found


def _people(
    api: Api, home: str, project: ProjectFound, people: Mapping[str, str], *, exists: bool, dry_run: bool
) -> PeopleTold:
    """Make owners and editors of those whose account is known. Nobody's role is ever lowered."""
    members = api.pages(f"{home_of(home)}/members", kind=Member) if exists else []
    held = {member.person.handle: member.role for member in members}
    added: dict[str, str] = {}
    unknown: list[str] = []
    wanted = [(name, "owner") for name in project.owners] + [
        (name, "editor") for name in project.collaborators
    ]
    for name, role in wanted:
        handle = people.get(name.casefold())
        if handle is None:
            if name not in unknown:
                unknown.append(name)
            continue
        if handle in added or held.get(handle) in {"owner", role}:
            continue
        try:
            if not dry_run:
                url = f"{home_of(home)}/members/{quote(handle, safe='')}"
                api.send("PUT", url, {"role": role}, again=True)
            added[handle] = role
        except VersoError as error:
            if error.code != "person_not_found":
                raise
            unknown.append(f"{name} ({handle} is nobody's handle there)")
    return PeopleTold(added=added, unknown=unknown)


def _sessions(
    api: Api, home: str, project: ProjectFound, *, exists: bool, dry_run: bool
) -> list[SessionTold]:
    """Start what isn't there: blueprints first, because features name them."""
    there = {s.slug: s for s in api.pages(f"{home_of(home)}/sessions", kind=Session)} if exists else {}
    decided = [_decided(session, project) for session in project.sessions.values()]
    told = []
    for session in sorted(decided, key=lambda each: each.type is not SessionType.blueprint):
        before = there.get(session.slug)
        if before is not None:
            note = [] if before.root == session.root else [f"the session there has the root {before.root}"]
            told.append(msgspec.structs.replace(session, is_new=False, notes=[*session.notes, *note]))
            continue
        if not dry_run:
            title = project.sessions[session.name].state.title or session.name[:200]
            body = {
                "slug": session.slug,
                "title": title,
                "type": session.type,
                "status": session.status,
                "parent": session.parent,
                "root": session.root,
            }
            api.post(f"{home_of(home)}/sessions", body)
        told.append(session)
    return told


def _decided(session: SessionFound, project: ProjectFound) -> SessionTold:
    """A session's type, status and parent, with what had to be decided otherwise than the tree says."""
    state = session.state
    notes = list(state.notes)
    parent = _find(state.parent, project)
    kind = state.type or (SessionType.feature if parent is not None else SessionType.exploratory)
    if state.parent is not None and parent is None:
        notes.append(f"its parent {state.parent[:100]!r} is not in the tree")
    if kind is SessionType.feature and parent is not None and parent.state.type is not SessionType.blueprint:
        notes.append(f"its parent {parent.name} is no blueprint")
        parent = None
    if kind is SessionType.feature and parent is None:
        notes.append("a feature needs a blueprint as its parent, so it becomes exploratory")
        kind = SessionType.exploratory
    return SessionTold(
        name=session.name,
        slug=session.slug,
        root=session.root,
        type=kind,
        status=state.status or SessionStatus.draft,
        parent=parent.slug if parent and kind is SessionType.feature else None,
        is_new=True,
        stages=state.stages,
        notes=notes,
    )


def _reported(api: Api, home: str, session: SessionTold, *, exists: bool, dry_run: bool) -> SessionTold:
    """A session with what is reported of its stages; of one that isn't there yet, with what would be."""
    if not exists:
        would = {stage: state for stage, state in session.stages.items() if state != StageState.pending}
        return msgspec.structs.replace(session, reported=would)
    reported, notes = report_stages(api, home, session.slug, session.stages, dry_run=dry_run)
    return msgspec.structs.replace(session, reported=reported, notes=[*session.notes, *notes])


def _find(name: str | None, project: ProjectFound) -> SessionFound | None:
    if name is None:
        return None
    # Some programs write "<project>::<session>" or a path; the session is the last of it.
    short = name.replace("::", "/").rstrip("/").rpartition("/")[2]
    for session in project.sessions.values():
        if short in {session.name, session.slug}:
            return session
    return None

"""A project's first page: its sessions, its documents by folder with what changed last, its newest changes.

With `at` it is all as it was then: a date, a tag, a change's number.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.errors import VersoError
from app.flows.read_content import read_whole
from app.model import ChangeSummary, Project, Stage, TreeEntry
from app.model.pipelines import Pipeline, PipelineSession, StageState
from app.text.errors import TookTooLongError, WorkersBusyError
from app.text.markdown import Places, Rendered
from app.web.folders import Row, list_folder, with_changes
from app.web.rendering import render
from app.web.visiting import Visitor, together

MOST_SESSIONS = 30
MOST_INTRODUCTION = 32 * 1024
"""The most bytes of a README that is shown on the first page."""
RENDER_SECONDS = 3.0

At = Annotated[str | None, QueryParameter(max_length=200)]


class Standing(msgspec.Struct, frozen=True):
    """A stage of a session at a glance."""

    stage: Stage
    state: StageState | None
    """As it was last reported; None before anything was, and of the past."""
    documents: int


class Progress(msgspec.Struct, frozen=True):
    """A session and its stages, in order."""

    session: PipelineSession
    stages: list[Standing]


class View(msgspec.Struct, frozen=True):
    """The tree that is looked at: the newest, or the one after `change`."""

    at: str | None
    sequence: int
    change: ChangeSummary | None
    """The change that it is the tree after; None for the newest, and before the first."""

    @property
    def query(self) -> str:
        """What addresses of this view end with."""
        return f"?at={self.sequence}" if self.at is not None else ""


@get("/p/{project:str}")
async def read_overview(
    visitor: NamedDependency[Visitor], project: FromPath[str], at: At = None
) -> Response[Any]:
    """What is here, what changed last and by whom."""
    at = at.strip() or None if at is not None else None
    page = await visitor.services.glances.read_overview_page(visitor.token, project=project, at=at)
    here = page.project
    folder = await list_folder(visitor, project=here.id, folder="", at=at, first=page.tree)
    readme = readme_of(folder.rows)
    view, rows, introduction = await together(
        view_of(visitor, project=here.id, at=at, sequence=folder.sequence),
        with_changes(visitor, folder.rows, project=here.id),
        introduction_of(visitor, here=here, readme=readme, at=None if at is None else folder.sequence),
    )
    return await render(
        visitor,
        "projects/overview.html",
        title=here.name,
        point=view.query,
        project=here,
        tab="overview",
        view=view,
        rows=rows,
        more=folder.more,
        readme=readme,
        introduction=introduction,
        progress=[
            progress_of(each, folder.entries, now=at is None) for each in page.sessions[:MOST_SESSIONS]
        ],
        more_sessions=len(page.sessions) > MOST_SESSIONS,
        tags=page.tags,
        recent=[] if at is not None else page.recent,
    )


async def introduction_of(
    visitor: Visitor, *, here: Project, readme: Row | None, at: int | None
) -> Rendered | None:
    """What the README says, if there is one that is small enough to be there at once."""
    entry = readme.entry if readme is not None else None
    if entry is None or entry.size > MOST_INTRODUCTION or entry.mode is not None:
        return None
    home = await visitor.home(here)
    places = places_of(home, folder="", query="" if at is None else f"?at={at}")
    try:
        read = await visitor.services.ledger.read_version(
            visitor.token, document=entry.document, at=entry.version
        )
        data = await read_whole(visitor.services.blobs, actor=visitor.actor, read=read)
        text = data.decode("utf-8", "replace")
        return await visitor.services.workers.markdown(text, places, deadline_s=RENDER_SECONDS)
    except (VersoError, TookTooLongError, WorkersBusyError):
        return None  # the list has it all the same; its own page says what is the matter


def places_of(home: str, *, folder: str, query: str) -> Places:
    """Where the links of a document in a folder lead."""
    base = home.removeprefix("/p/")
    return Places(folder=folder, pages=f"{home}/files/", contents=f"/v1/projects/{base}/files/", query=query)


async def view_of(visitor: Visitor, *, project: str, at: str | None, sequence: int) -> View:
    """The view of a point that came out as a change's number."""
    change = None
    if at is not None and sequence:
        found = await visitor.services.glances.list_summaries(visitor.token, [(project, sequence)])
        change = found.get((project, sequence))
    return View(at, sequence, change)


def progress_of(pipeline: Pipeline, entries: list[TreeEntry], *, now: bool) -> Progress:
    """Where a session's stages stand: as reported, and by the documents that are there."""
    counts = dict.fromkeys(Stage, 0)
    for entry in entries:
        if entry.session == pipeline.session.id and entry.stage is not None:
            counts[entry.stage] += 1
    reported = {each.stage: each.state for each in pipeline.stages if now and each.report is not None}
    stages = [Standing(stage, reported.get(stage), documents) for stage, documents in counts.items()]
    return Progress(pipeline.session, stages)


def readme_of(rows: list[Row]) -> Row | None:
    """The document that introduces a folder, if there is one."""
    return next((row for row in rows if row.entry is not None and row.name.lower() == "readme.md"), None)

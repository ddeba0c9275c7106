"""In and out: an archive becomes one change, after a look at what it would do; and the ways to take all away.

Nothing is kept between the look and the import: the archive is sent again, and must be the one that was
looked at, on the project as it was then. Otherwise nothing is written, and what would happen now is shown
instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.same_site import own_url
from app.api.writing import write_change
from app.errors import VersoError
from app.flows.add_change import Item
from app.media_types import suggested_media_type
from app.model import LeftOut, Project, Role, TreeEntry, normal_path
from app.model.imports import ImportState
from app.model.modes import ORDINARY
from app.sources.git.frames import Outcome
from app.web import messages, notices
from app.web.forms import PageForm
from app.web.overview import At, view_of
from app.web.rendering import Crumb, render
from app.web.unpacking import Archive, Unpacked, unpacked
from app.web.uploading import check_first, go_on, troubles_of
from app.web.visiting import Sender, Visitor, together

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.web.uploading import Trouble

SHOWN = 50
"""Paths of each kind that a look lists."""
PAGE = 1000
_REFUSALS = frozenset(
    {
        "already_exists",
        "archive_refused",
        "bad_change",
        "bad_path",
        "bad_pattern",
        "base_required",
        "content_too_large",
        "file_changed",
        "message_too_long",
        "outside_folders",
        "path_taken",
        "source_unreadable",
        "stale_base",
        "too_many_files",
    }
)
"""What is told beside the form."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive would do to a project, or did."""

    added: list[str]
    edited: list[str]
    unchanged: int
    left_out: list[LeftOut]
    items: list[Item]
    size: int
    """Bytes of the contents that it writes."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The form for a history: what was given, and what was said of it."""

    branch: str = ""
    include: str = ""
    exclude: str = ""
    looked: str = ""
    act: str = ""
    name: str = ""
    outcome: Outcome | None = None
    again: bool = False
    """Whether this is another bundle, or another project, than was looked at."""
    sentence: str = ""
    """Why nothing, or nothing more, was done."""


@get("/p/{project:str}/import")
async def read_import(
    visitor: NamedDependency[Visitor], project: FromPath[str], at: At = None
) -> Response[Any]:
    """The form for an archive, and the ways out: of now, or of the point looked at."""
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    return await import_page(visitor, here=here, at=(at or "").strip() or None)


@post("/p/{project:str}/import", status_code=303, request_max_body_size=None)
async def import_archive(sender: NamedDependency[Sender], project: FromPath[str]) -> Response[Any]:
    """Say what an archive would do; or do it, if that was looked at."""
    form: PageForm

    async def check(visitor: Visitor, _name: str) -> None:
        await check_first(visitor, project, path=f"{_folder(form.fields)}archive")

    with PageForm(sender, check) as form:
        visitor = await form.read()
        here = await visitor.services.ledger.read_project(visitor.token, project=project)
        try:
            return await _import(visitor, here=here, form=form)
        except VersoError as error:
            if error.code not in _REFUSALS:
                raise
            return await import_page(visitor, here=here, given=form.fields, error=error)


async def _import(visitor: Visitor, *, here: Project, form: PageForm) -> Response[Any]:
    if len(form.files) != 1:
        raise VersoError("bad_change", "Choose one archive first.")
    fields, sent = form.fields, form.files[0]
    message = messages.message_of(visitor, fields.get("message", ""), proposed=messages.imported(sent.name))
    strip = 1 if fields.get("strip") else 0
    async with visitor.pages.unpacking.one():
        archive = await unpacked(sent.upload, visitor.services.settings, strip=strip)
    try:
        plan = await _plan(visitor, here=here, archive=archive, folder=_folder(fields))
        looked = f"{here.change_sequence}-{sent.upload.sha256}"
        if fields.get("act") != "import" or fields.get("looked") != looked:
            given = dict(fields) | {"looked": looked, "name": sent.name}
            return await import_page(visitor, here=here, given=given, plan=plan)
        change = None
        if plan.items:
            change = await write_change(
                visitor.services,
                actor=visitor.actor,
                project=here.id,
                items=plan.items,
                message=message,
                key=None,
            )
    finally:
        archive.close()
    home = await visitor.home(here)
    if change is None:
        return go_on(visitor.request, home, [notices.leave("unchanged")])
    count = len(plan.added) + len(plan.edited)
    notice = notices.leave("imported", count=count, change=change.sequence)
    return go_on(visitor.request, f"{home}/changes/{change.sequence}", [notice])


async def _plan(visitor: Visitor, *, here: Project, archive: Archive, folder: str) -> Plan:
    """What differs, by path, hash and mode, from the project as it is at its newest change."""
    tree = await _tree(visitor, here=here, folder=folder)
    added: list[str] = []
    edited: list[str] = []
    items: list[Item] = []
    unchanged = 0
    left_out, size = list(archive.left_out), 0
    folders = {above for path in tree for above in _above(path)}
    for each in archive.files:
        path = folder + each.path
        entry = tree.get(path)
        if entry is not None and entry.sha256 == each.upload.sha256 and _same_mode(entry, each):
            unchanged += 1
            continue
        if entry is None and (path in folders or any(above in tree for above in _above(path))):
            left_out.append(LeftOut(path, "the project has a document and a folder of one name here"))
            continue
        (added if entry is None else edited).append(path)
        size += each.upload.size
        items.append(
            Item(
                path=normal_path(path),
                base=entry.version if entry is not None else None,
                create=entry is None,
                media_type=suggested_media_type(path),
                mode=each.mode or (ORDINARY if entry is not None and entry.mode else None),
                upload=each.upload,
            )
        )
    return Plan(added=added, edited=edited, unchanged=unchanged, left_out=left_out, items=items, size=size)


async def _tree(visitor: Visitor, *, here: Project, folder: str) -> dict[str, TreeEntry]:
    """All below a folder as it was at the newest change that is known; a round trip for each thousand."""
    found: dict[str, TreeEntry] = {}
    after = ""
    while True:
        tree = await visitor.services.ledger.list_tree(
            visitor.token,
            project=here.id,
            at=str(here.change_sequence),
            prefix=folder,
            after=after,
            page_size=PAGE,
        )
        found |= {entry.path: entry for entry in tree.entries}
        if len(tree.entries) < PAGE:
            return found
        after = tree.entries[-1].path


async def import_page(
    visitor: Visitor,
    *,
    here: Project,
    given: Mapping[str, str] | None = None,
    plan: Plan | None = None,
    error: VersoError | None = None,
    history: History | None = None,
    status: int | None = None,
    at: str | None = None,
) -> Response[Any]:
    """The page, with what was said of an archive or of a history."""
    given = given or {}
    home = await visitor.home(here)
    sequence = here.change_sequence
    if at is not None:
        tree = await visitor.services.ledger.list_tree(
            visitor.token, project=here.id, at=at, prefix="", after="", page_size=1
        )
        sequence = tree.sequence
    view, state = await together(
        view_of(visitor, project=here.id, at=at, sequence=sequence), _state(visitor, here)
    )
    name = here.slug if home.endswith(f"/{here.slug}") else here.id
    troubles: list[Trouble] = troubles_of(error)
    return await render(
        visitor,
        "projects/import.html",
        title="Import and export",
        crumbs=[Crumb("Import and export")],
        project=here,
        tab="import",
        status=status or (200 if error is None else 422 if not troubles else 409),
        given={"folder": "", "message": "", "strip": "", "looked": "", "name": "", **given},
        plan=plan,
        again=plan is not None and given.get("act") == "import",
        sentence=error.sentence if error is not None else "",
        troubles=troubles,
        history=history or History(),
        state=state,
        view=view,
        most=SHOWN,
        archive=f"/v1/projects/{quote(name, safe='')}/archive?at={sequence}&format=",
        git=f"{own_url(visitor.request, visitor.services.settings)}/git/{name}",
        server=own_url(visitor.request, visitor.services.settings),
        name=name,
    )


async def _state(visitor: Visitor, here: Project) -> ImportState | None:
    """Where the import of a history stands; None for whoever may not import one."""
    if here.role is not Role.owner or here.archived_at is not None:
        return None
    return await visitor.services.imports.read_import(visitor.token, project=here.id)


def _folder(fields: Mapping[str, str]) -> str:
    folder = fields.get("folder", "").strip().strip("/")
    return f"{normal_path(folder)}/" if folder else ""


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _same_mode(entry: TreeEntry, file: Unpacked) -> bool:
    return (entry.mode or ORDINARY) == (file.mode or ORDINARY)

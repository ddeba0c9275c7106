"""Uploading: several files at once into a folder, or one file as the next version of a document.

A file whose path has a document already is a new version of it, if that was asked for. It is then based on
what the document was when the form was opened (`seen`, a change's number): nobody replaces what nobody has
shown them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from app.api.media_types import media_type_of
from app.api.writing import write_change
from app.errors import VersoError
from app.flows.add_change import Item, check_change
from app.flows.side_by_side import side_by_side
from app.media_types import suggested_media_type
from app.model import Change, Project, normal_path
from app.web import messages, notices
from app.web.forms import PageForm
from app.web.rendering import Crumb, render
from app.web.shown import in_url
from app.web.visiting import Sender, Visitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.datastructures import Cookie

FolderQuery = Annotated[str, QueryParameter(max_length=1024)]
PathQuery = Annotated[str, QueryParameter(max_length=1024)]


class Trouble(msgspec.Struct, frozen=True):
    """Why one file of an upload was not taken."""

    path: str
    sentence: str


@get("/p/{project:str}/upload")
async def read_upload(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    folder: FolderQuery = "",
    to: PathQuery = "",
) -> Response[Any]:
    """The form: into a folder, or with `to` the next version of the document at that path."""
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    base = ""
    if to:
        read = await visitor.services.ledger.read_file(visitor.token, project=project, path=normal_path(to))
        base = read.version.hash
    return await upload_page(visitor, here=here, given={"folder": folder, "to": to, "base": base})


@post("/p/{project:str}/upload", status_code=303, request_max_body_size=None)
async def upload_files(sender: NamedDependency[Sender], project: FromPath[str]) -> Response[Any]:
    """Take the files in as one change. A script that asks for JSON is told where to go on to."""
    form: PageForm

    async def check(visitor: Visitor, name: str) -> None:
        await check_first(visitor, project, path=form.fields.get("to") or _path(form.fields, name))

    with PageForm(sender, check) as form:
        visitor = await form.read()
        here = await visitor.services.ledger.read_project(visitor.token, project=project)
        fields = form.fields
        if not form.files:
            nothing = VersoError("bad_change", "Choose a file first.")
            return await _refused(visitor, here=here, error=nothing)
        try:
            items = _items(form)
            proposed = messages.uploaded([item.path or "" for item in items])
            message = messages.message_of(visitor, fields.get("message", ""), proposed=proposed)
            change = await _write(visitor, here=here, items=items, message=message)
        except VersoError as error:
            return await _refused(visitor, here=here, error=error)
    home = await visitor.home(here)
    where = fields.get("to") or fields.get("folder", "").strip("/")
    if fields.get("to") or (change is not None and len(change.versions) == 1):
        where = fields.get("to") or (change.versions[0].path if change is not None else where)
    address = f"{home}/files/{in_url(where)}" if where else home
    return go_on(visitor.request, address, [_notice(change)])


async def upload_page(
    visitor: Visitor,
    *,
    here: Project,
    given: Mapping[str, str],
    error: VersoError | None = None,
    status: int = 200,
) -> Response[Any]:
    """The form, with what was given and what was wrong with it."""
    to = given.get("to", "")
    crumbs = [Crumb(to, f"/files/{in_url(to)}")] if to else []
    return await render(
        visitor,
        "documents/upload.html",
        title="New version" if to else "Upload documents",
        crumbs=[*crumbs, Crumb("Upload")],
        project=here,
        given={"folder": "", "to": "", "base": "", "message": "", "replace": "", **given},
        seen=given.get("seen") or str(here.change_sequence),
        sentence=error.sentence if error is not None else "",
        troubles=troubles_of(error),
        status=status,
    )


def go_on(request: Request[Any, Any, Any], address: str, cookies: list[Cookie]) -> Response[Any]:
    """The answer to a form: 303 for browsers; for a script, where to go on to."""
    if "application/json" in request.headers.get("accept", ""):
        return Response({"go_on_to": address}, status_code=200, cookies=cookies)
    return Redirect(address, status_code=303, cookies=cookies)


def troubles_of(error: VersoError | None) -> list[Trouble]:
    """What was wrong with which document, of a refused change."""
    if error is None:
        return []
    return [
        Trouble(str(each.get("path", "")), _SENTENCES.get(each["code"], each.get("sentence", "")))
        for each in error.detail.get("items", ())
        if each.get("path")
    ]


_SENTENCES = {
    "base_required": "There is a document at this path already. Choose to replace it, or another folder.",
    "already_exists": "There is a document at this path already. Choose to replace it, or another folder.",
    "stale_base": "Somebody changed this document after you opened this page. Look at it, then replace it.",
    "path_taken": "A document or a folder has this path already.",
    "outside_folders": "This is outside the folders that you may write.",
}


def _items(form: PageForm) -> list[Item]:
    fields = form.fields
    to = fields.get("to", "")
    if to:
        if len(form.files) > 1:
            raise VersoError("bad_change", "Choose one file: it becomes the next version of this document.")
        file = form.files[0]
        path = normal_path(to)
        # What a browser thinks of a file's name is no better than what our table says of the document's.
        kind = suggested_media_type(path)
        return [Item(path=path, base=fields.get("base") or None, media_type=kind, upload=file.upload)]
    items = []
    for file in form.files:
        path = normal_path(_path(fields, file.name))
        kind = suggested_media_type(path)
        if kind == "application/octet-stream":
            kind = media_type_of(file.media_type, path)
        items.append(Item(path=path, media_type=kind, upload=file.upload))
    return items


def _path(fields: Mapping[str, str], name: str) -> str:
    folder = fields.get("folder", "").strip().strip("/")
    return f"{folder}/{name}" if folder else name


async def check_first(visitor: Visitor, project: str, *, path: str) -> None:
    """Stop who may not write before their bytes travel. What is there already is told of at the end."""
    item = Item(path=normal_path(path), media_type="application/octet-stream", pending=True)
    try:
        await check_change(
            visitor.services.ledger, actor=visitor.actor, project=project, items=[item], idempotency_key=None
        )
    except VersoError as error:
        if error.code not in _SENTENCES:
            raise


async def _write(visitor: Visitor, *, here: Project, items: list[Item], message: str) -> Change | None:
    services, actor = visitor.services, visitor.actor
    try:
        return await write_change(
            services, actor=actor, project=here.id, items=items, message=message, key=None
        )
    except VersoError as error:
        if error.code != "base_required" or not visitor.form.get("replace"):
            raise
        seen = visitor.form.get("seen", "0")
        known = [
            each["index"] - 1 for each in error.detail.get("items", ()) if each["code"] == "base_required"
        ]

    async def based(at: int) -> tuple[int, str | None]:
        return at, await _hash_as_seen(visitor, here, items[at], seen)

    # A folder may have thousands of them: no more at a time than other requests can do with.
    bases = dict(await side_by_side(based, known, most=services.settings.upload_concurrency))
    newer = [
        {"index": at + 1, "code": "stale_base", "path": items[at].path} for at in known if bases[at] is None
    ]
    if newer:
        raise VersoError("stale_base", _SENTENCES["stale_base"], items=newer)
    items = [msgspec.structs.replace(item, base=bases.get(at, item.base)) for at, item in enumerate(items)]
    return await write_change(services, actor=actor, project=here.id, items=items, message=message, key=None)


async def _hash_as_seen(visitor: Visitor, here: Project, item: Item, seen: str) -> str | None:
    """What an item's path had when the form was opened, as a version's hash; None for nothing."""
    point = seen if seen.isascii() and seen.isdigit() else "0"
    try:
        read = await visitor.services.ledger.read_file(
            visitor.token, project=here.id, path=item.path or "", at=point
        )
    except VersoError as error:
        if error.code not in {"document_not_found", "document_moved", "document_deleted", "point_not_found"}:
            raise
        return None
    return read.version.hash


async def _refused(visitor: Visitor, *, here: Project, error: VersoError) -> Response[Any]:
    """The form once more with what was wrong; to a script, the problem document."""
    if "application/json" in visitor.request.headers.get("accept", ""):
        raise error
    status = 422 if error.code in {"bad_change", "bad_path"} else 409
    if error.code not in _SENTENCES and error.code not in {"bad_change", "bad_path", "message_too_long"}:
        raise error
    return await upload_page(visitor, here=here, given=visitor.form, error=error, status=status)


def _notice(change: Change | None) -> Cookie:
    if change is None:
        return notices.leave("unchanged")
    if len(change.versions) == 1:
        return notices.leave("uploaded_one", path=change.versions[0].path, change=change.sequence)
    return notices.leave("uploaded", count=len(change.versions), change=change.sequence)

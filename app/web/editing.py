"""Writing a document in the browser: a plain text field, the version that it was based on, and a message.

A browser sends a field's lines with CRLF; they are stored with the line ends that the document had. When
somebody else was faster, nothing is stored and nothing typed is lost: the form comes back with the text.
"""

from __future__ import annotations

from typing import Any, Literal

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.errors import VersoError
from app.flows.read_content import read_whole
from app.model import Project, VersionRead
from app.web import notices
from app.web.addresses import path_after
from app.web.conflict import conflict_page
from app.web.forms import PageForm
from app.web.rendering import Crumb, render
from app.web.shown import in_url
from app.web.typed import MAX_EDITED, Typed, save
from app.web.uploading import FolderQuery, go_on, troubles_of
from app.web.visiting import Sender, Visitor

_REFUSED_IN_PLACE = frozenset(
    {"already_exists", "bad_path", "path_taken", "message_too_long", "too_large", "outside_folders"}
)


@get("/p/{project:str}/create")
async def read_create(
    visitor: NamedDependency[Visitor], project: FromPath[str], folder: FolderQuery = ""
) -> Response[Any]:
    """The form for a new document."""
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    path = f"{folder.strip('/')}/" if folder.strip("/") else ""
    return await edit_page(visitor, here=here, typed=Typed(path=path, text=""))


@get("/p/{project:str}/edit/{path:path}")
async def read_edit(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], project: FromPath[str]
) -> Response[Any]:
    """The form with a document's newest version."""
    ledger, path = visitor.services.ledger, path_after(request, "edit")
    here = await ledger.read_project(visitor.token, project=project)
    read = await ledger.read_file(visitor.token, project=project, path=path)
    return await edit_page(visitor, here=here, typed=await typed_of(visitor, read), read=read)


@post("/p/{project:str}/create", status_code=303)
async def create_document(sender: NamedDependency[Sender], project: FromPath[str]) -> Response[Any]:
    """Write a new document."""
    return await _save(sender, project=project, path=None)


@post("/p/{project:str}/edit/{path:path}", status_code=303)
async def edit_document(
    request: Request[Any, Any, Any], sender: NamedDependency[Sender], project: FromPath[str]
) -> Response[Any]:
    """Write a document's next version."""
    return await _save(sender, project=project, path=path_after(request, "edit"))


async def typed_of(visitor: Visitor, read: VersionRead) -> Typed:
    """A version as the form has it. Raises VersoError `bad_text` for what a text field cannot hold."""
    version = read.version
    if (version.size or 0) > MAX_EDITED:
        raise VersoError("too_large", "This document is too large to be edited here. Upload a new version.")
    data = await read_whole(visitor.services.blobs, actor=visitor.actor, read=read)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\x00"
    ends: Literal["lf", "crlf"] = "crlf" if "\r\n" in text else "lf"
    plain = text.replace("\r\n", "\n") if ends == "crlf" else text
    # What would come back otherwise than it went out must not be edited here.
    if "\x00" in plain or "\r" in plain or (ends == "crlf" and plain.count("\n") != data.count(b"\r\n")):
        raise VersoError(
            "bad_text",
            "A text field would change this document's bytes. Download it, and upload a new version.",
        )
    return Typed(path=version.path, text=plain, base=version.hash, ends=ends)


async def edit_page(
    visitor: Visitor,
    *,
    here: Project,
    typed: Typed,
    error: VersoError | None = None,
    newer: VersionRead | None = None,
    read: VersionRead | None = None,
    status: int = 200,
) -> Response[Any]:
    """The form, with what was typed; `newer` is the version that somebody else wrote meanwhile.

    `read` is the version that the form begins with.
    """
    crumbs = [Crumb(typed.path, f"/files/{in_url(typed.path)}")] if typed.base else []
    return await render(
        visitor,
        "documents/edit.html",
        title=f"Edit {typed.path.rpartition('/')[2]}" if typed.base else "New document",
        crumbs=[*crumbs, Crumb("Edit" if typed.base else "New document")],
        project=here,
        typed=typed,
        sentence=_sentence(error) if error is not None else "",
        newer=newer,
        read=read,
        status=status,
    )


def _sentence(error: VersoError) -> str:
    """What was wrong with the one document that was sent."""
    if any(each["code"] in {"already_exists", "base_required"} for each in error.detail.get("items", ())):
        return "There is a document at this path already. Choose another path."
    troubles = troubles_of(error)
    return troubles[0].sentence if troubles else error.sentence


async def _save(sender: Sender, *, project: str, path: str | None) -> Response[Any]:
    with PageForm(sender) as form:
        visitor = await form.read()
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    typed = Typed.sent(form.fields, path)
    wanted = typed.path.strip()
    try:
        change = await save(visitor, here=here, typed=typed, merge=form.fields.get("merge"))
    except VersoError as error:
        if error.code in {"stale_base", "merge_conflict", "merge_impossible"}:
            met = await conflict_page(visitor, here=here, typed=typed) if typed.base else None
            return met or await stale_page(visitor, here=here, typed=typed, error=error)
        if error.code not in _REFUSED_IN_PLACE:
            raise
        return await edit_page(visitor, here=here, typed=typed, error=error, status=422)
    home = await visitor.home(here)
    if change is None:
        notice = notices.leave("unchanged")
    elif change.versions[0].merged_from is not None:
        notice = notices.leave("merged", change=change.sequence)
    else:
        notice = notices.leave("saved", change=change.sequence)
    shown = wanted if change is None else change.versions[0].path
    return go_on(visitor.request, f"{home}/files/{in_url(shown)}", [notice])


async def stale_page(visitor: Visitor, *, here: Project, typed: Typed, error: VersoError) -> Response[Any]:
    """Somebody else was faster: what was typed, and what is there now."""
    try:
        newer = await visitor.services.ledger.read_file(visitor.token, project=here.id, path=typed.path)
    except VersoError as gone:
        if gone.code not in {"document_deleted", "document_moved", "document_not_found"}:
            raise
        newer = None
    return await edit_page(visitor, here=here, typed=typed, error=error, newer=newer, status=409)

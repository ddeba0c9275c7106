"""Moving, deleting, bringing back: each is a version, based on the one that its form showed."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from app.api.writing import write_change
from app.errors import VersoError
from app.flows.add_change import Item
from app.model import Change, Project, Version, VersionRead, normal_path
from app.web import messages, notices
from app.web.addresses import path_after
from app.web.documents import body_of
from app.web.rendering import Crumb, render
from app.web.shown import in_url
from app.web.visiting import Visitor, together

_REFUSED_IN_PLACE = frozenset({"bad_path", "path_taken", "stale_base", "outside_folders", "message_too_long"})


@get("/p/{project:str}/move/{path:path}")
async def read_move(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], project: FromPath[str]
) -> Response[Any]:
    """The form for a document's new path."""
    here, read = await _read(visitor, project, path_after(request, "move"))
    return await _page(visitor, "documents/move.html", "Move", here=here, version=read.version)


@post("/p/{project:str}/move/{path:path}", status_code=303)
async def move_document(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], project: FromPath[str]
) -> Response[Any]:
    """Give the document another path."""
    here, read = await _read(visitor, project, path_after(request, "move"))
    try:
        item = Item(
            document=read.version.document, path=normal_path(_field(visitor, "to")), base=_base(visitor)
        )
        change = await _write(visitor, here, item, messages.moved(read.version.path, item.path or ""))
    except VersoError as error:
        if error.code not in _REFUSED_IN_PLACE:
            raise
        return await _page(
            visitor, "documents/move.html", "Move", here=here, version=read.version, error=error
        )
    where = read.version.path if change is None else change.versions[0].path
    notice = notices.leave("unchanged") if change is None else notices.leave("moved", path=where)
    return await _go(visitor, here, where, notice)


@get("/p/{project:str}/delete/{path:path}")
async def read_delete(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], project: FromPath[str]
) -> Response[Any]:
    """Ask whether the document shall go."""
    here, read = await _read(visitor, project, path_after(request, "delete"))
    return await _page(visitor, "documents/delete.html", "Delete", here=here, version=read.version)


@post("/p/{project:str}/delete/{path:path}", status_code=303)
async def delete_document(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], project: FromPath[str]
) -> Response[Any]:
    """Delete the document; its history stays."""
    here, read = await _read(visitor, project, path_after(request, "delete"))
    try:
        item = Item(document=read.version.document, delete=True, base=_base(visitor))
        await _write(visitor, here, item, messages.deleted(read.version.path))
    except VersoError as error:
        if error.code not in _REFUSED_IN_PLACE:
            raise
        return await _page(
            visitor, "documents/delete.html", "Delete", here=here, version=read.version, error=error
        )
    notice = notices.leave("deleted", path=read.version.path)
    return await _go(visitor, here, read.version.path, notice)  # a page that says so, and offers it back


@get("/p/{project:str}/documents/{document:str}/restore/{number:int}")
async def read_restore(
    visitor: NamedDependency[Visitor], project: FromPath[str], document: FromPath[str], number: FromPath[int]
) -> Response[Any]:
    """Show what would be there, before it is."""
    here, read = await _version(visitor, project, document, number)
    return await _restore_page(visitor, here, read)


@post("/p/{project:str}/documents/{document:str}/restore/{number:int}", status_code=303)
async def restore_document(
    visitor: NamedDependency[Visitor], project: FromPath[str], document: FromPath[str], number: FromPath[int]
) -> Response[Any]:
    """Bring a version's content back as the newest one; also of a deleted document."""
    here, read = await _version(visitor, project, document, number)
    try:
        item = Item(document=document, restore=number, base=_base(visitor))
        change = await _write(visitor, here, item, messages.restored(read.head.path, number))
    except VersoError as error:
        if error.code not in _REFUSED_IN_PLACE:
            raise
        return await _restore_page(visitor, here, read, error=error)
    if change is None:
        return await _go(visitor, here, read.head.path, notices.leave("unchanged"))
    notice = notices.leave("restored", number=number, change=change.sequence)
    return await _go(visitor, here, change.versions[0].path, notice)


@post("/p/{project:str}/documents/{document:str}/undelete", status_code=303)
async def undelete_document(
    visitor: NamedDependency[Visitor], project: FromPath[str], document: FromPath[str]
) -> Response[Any]:
    """Bring a deleted document back as it was before."""
    here, read = await _version(visitor, project, document, None)
    item = Item(document=document, restore="latest", base=_base(visitor))
    change = await _write(visitor, here, item, messages.restored(read.version.path, None))
    where = read.version.path if change is None else change.versions[0].path
    return await _go(visitor, here, where, notices.leave("undeleted", path=where))


async def _read(visitor: Visitor, project: str, path: str) -> tuple[Project, VersionRead]:
    ledger, token = visitor.services.ledger, visitor.token
    here, read = await together(
        ledger.read_project(token, project=project), ledger.read_file(token, project=project, path=path)
    )
    return here, read


async def _version(
    visitor: Visitor, project: str, document: str, number: int | None
) -> tuple[Project, VersionRead]:
    ledger, token = visitor.services.ledger, visitor.token
    here, read = await together(
        ledger.read_project(token, project=project),
        ledger.read_version(token, document=document, at=None if number is None else f"v{number}"),
    )
    if read.version.project != here.id:
        raise VersoError("document_not_found", "There is no such document in this project.")
    return here, read


async def _write(visitor: Visitor, here: Project, item: Item, proposed: str) -> Change | None:
    message = messages.message_of(visitor, _field(visitor, "message"), proposed=proposed)
    return await write_change(
        visitor.services, actor=visitor.actor, project=here.id, items=[item], message=message, key=None
    )


async def _restore_page(
    visitor: Visitor, here: Project, read: VersionRead, error: VersoError | None = None
) -> Response[Any]:
    home = await visitor.home(here)
    query = f"?at={read.version.hash}"
    body = await body_of(visitor, home=home, read=read, query=query, source=False, line=1)
    return await _page(
        visitor,
        "documents/restore.html",
        f"Restore version {read.version.number}",
        here=here,
        version=read.version,
        error=error,
        head=read.head,
        body=body,
        query=query,
    )


async def _page(
    visitor: Visitor,
    template: str,
    title: str,
    *,
    here: Project,
    version: Version,
    error: VersoError | None = None,
    **facts: Any,
) -> Response[Any]:
    return await render(
        visitor,
        template,
        title=title,
        crumbs=[Crumb(version.path, f"/files/{in_url(version.path)}"), Crumb(title)],
        project=here,
        version=version,
        given=visitor.form,
        sentence=error.sentence if error is not None else "",
        status=200 if error is None else 409,
        **facts,
    )


async def _go(visitor: Visitor, here: Project, path: str, notice: Any) -> Response[Any]:
    home = await visitor.home(here)
    address = f"{home}/files/{in_url(path)}" if path else home
    return Redirect(address, status_code=303, cookies=[notice])


def _field(visitor: Visitor, name: str) -> str:
    return visitor.form.get(name, "").strip()


def _base(visitor: Visitor) -> str | None:
    return visitor.form.get("base") or None

"""Erasing: the one way in which bytes leave a project, for owners, recorded, and for ever."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.links import Page, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.errors import VersoError
from app.flows.erase_content import erase_content
from app.supabase.erasures import Erasure, ErasurePreview
from app.supabase.identity import Actor

ERASURES = "/v1/projects/{project:str}/erasures"
_HASH = r"^[0-9a-f]{64}$"
_CREATED, _ACCEPTED = 201, 202


class NewErasure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A content to be erased: by its SHA-256, or by the hash of a version that has it."""

    reason: Annotated[
        str, msgspec.Meta(max_length=1000, description="Why. The project's members can read it.")
    ]
    confirm: Annotated[
        str, msgspec.Meta(description="The content's SHA-256, repeated: GET …/preview tells it.")
    ]
    sha256: Annotated[str, msgspec.Meta(pattern=_HASH)] | None = None
    version: Annotated[str, msgspec.Meta(pattern=_HASH)] | None = None


@get(ERASURES, tags=["erasing"], summary="What was erased")
async def list_erasures(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    pending: Annotated[bool, QueryParameter(description="Those only that wait for their end.")] = False,  # noqa: FBT002
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Erasure]]:
    """For every member, newest first: which contents, by whom, when and why."""
    size = page_size(limit, services.settings)
    found = await services.erasures.list_erasures(
        actor.token, project=project, pending=pending, before=position_of(cursor, int), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.sequence)


@get(f"{ERASURES}/preview", tags=["erasing"], summary="What erasing would touch")
async def preview_erasure(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    sha256: Annotated[str | None, QueryParameter(description="A content.")] = None,
    version: Annotated[str | None, QueryParameter(description="A version, for its content.")] = None,
) -> ErasurePreview:
    """For owners, by one of `sha256` and `version`. Every version that has the content loses its bytes."""
    _check_named(sha256, version)
    return await services.erasures.preview_erasure(
        actor.token, project=project, sha256=sha256, version=version
    )


@post(ERASURES, tags=["erasing"], summary="Erase a content's bytes for ever")
async def create_erasure(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[NewErasure],
) -> Response[Erasure]:
    """For owners, where the law asks for it. Nobody can take it back, and the content can't be written again.

    Versions, hashes and messages stay, so the history still verifies. 202: it is recorded and nobody is given
    the bytes any more, but storage could not delete all of them now. The same request goes on with it.
    Mirrors, clones, bundles and backups are out of reach.
    """
    _check_named(data.sha256, data.version)
    erasing = await erase_content(
        services.erasures,
        services.blobs,
        services.forgetter,
        actor=actor,
        project=project,
        sha256=data.sha256,
        version=data.version,
        reason=data.reason,
        confirm=data.confirm,
    )
    finished = erasing.erasure.finished_at is not None
    return Response(erasing.erasure, status_code=_CREATED if finished else _ACCEPTED)


def _check_named(sha256: str | None, version: str | None) -> None:
    if (sha256 is None) == (version is None):
        raise VersoError("bad_erasure", "Name what to erase by one of `sha256` and `version`.")

"""Git over HTTP, read-only: `git clone https://…/git/<project>` (gitprotocol-http, the smart protocol).

Refusals are plain text here: Git shows that to its user, and would not show a problem document.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import structlog
from litestar import Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from app.api.bodies import too_large
from app.api.problems import PROBLEMS
from app.api.services import Services
from app.api.witness import note_act, note_refusal, remember_actor
from app.errors import VersoError
from app.settings import Settings
from app.supabase.identity import Actor

log = structlog.get_logger(__name__)

FETCH = "git-upload-pack"
PUSH = "git-receive-pack"
_READ_ONLY = (
    "Verso serves Git for reading only. Write with the verso command: `verso clone`, then `verso push`."
)
_HEADERS = {"Cache-Control": "no-cache, max-age=0, must-revalidate", "X-Content-Type-Options": "nosniff"}
_CHALLENGE = 'Basic realm="Verso: any user name, and an access token (verso token) as the password"'
_UNAUTHORIZED = 401
_UNAVAILABLE = 503


async def provide_git_actor(request: Request[Any, Any, Any], services: Services) -> Actor:
    """Who is calling: a Bearer token, or one as the password of any user. Raises `unauthenticated`."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    token = ""
    if scheme.lower() == "bearer":
        token = value.strip()
    elif scheme.lower() == "basic":
        try:
            token = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            token = ""
    if not token:
        raise VersoError(
            "unauthenticated", "Sign in: any user name, and an access token as the password (`verso token`)."
        )
    return remember_actor(request, await services.identity.verify(token))


def on_refusal(request: Request[Any, Any, Any], error: VersoError) -> Response[str]:
    """A refusal as Git shows it."""
    note_refusal(request, error)
    status = PROBLEMS[error.code].status
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if status == _UNAUTHORIZED:
        headers["WWW-Authenticate"] = _CHALLENGE
    elif status == _UNAVAILABLE:
        headers["Retry-After"] = "2"
    return Response(
        f"{error.sentence}\n", status_code=status, media_type="text/plain; charset=utf-8", headers=headers
    )


_ROUTE: dict[str, Any] = {
    "dependencies": {"actor": Provide(provide_git_actor)},
    "exception_handlers": {VersoError: on_refusal},
    "include_in_schema": False,  # Git's own documentation describes it
}


@get("/git/{project:str}/info/refs", **_ROUTE)
async def list_refs(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    service: Annotated[str | None, QueryParameter(max_length=100)] = None,
) -> Response[bytes]:
    """What there is to be fetched, brought up to date first."""
    if service == PUSH:
        raise VersoError("git_read_only", _READ_ONLY)
    if service != FETCH:
        raise VersoError("git_read_only", "Verso speaks Git's smart protocol only: use Git 1.6.6 or newer.")
    refs = await services.git.list_refs(actor, project=project)
    return Response(refs, media_type=f"application/x-{FETCH}-advertisement", headers=_HEADERS)


@post("/git/{project:str}/git-upload-pack", status_code=200, request_max_body_size=None, **_ROUTE)
async def fetch_objects(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
) -> Response[Any]:
    """A pack of what the client lacks, or a step on the way there."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != f"application/x-{FETCH}-request":
        raise VersoError("bad_media_type", f"Send application/x-{FETCH}-request, as Git does.")
    asked = await _body(request, services.settings)
    pieces = services.git.fetch(actor, project=project, request=asked)
    # What can be refused is refused with the first piece, before the answer begins.
    first = await anext(pieces, b"")
    note_act(request, services, token=actor.token, kind="export.git", about=project)
    return Stream(_with(first, pieces), media_type=f"application/x-{FETCH}-result", headers=_HEADERS)


@post("/git/{project:str}/git-receive-pack", **_ROUTE)
async def refuse_push(actor: NamedDependency[Actor]) -> None:  # noqa: ARG001 - one signs in first
    """Nothing is written by Git."""
    raise VersoError("git_read_only", _READ_ONLY)


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()  # type: ignore[attr-defined]


async def _body(request: Request[Any, Any, Any], settings: Settings) -> bytes:
    """The request's body, unpacked when it is gzipped; as large as JSON may be, both ways."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise VersoError(
            "unsupported_encoding", "Send the request as it is, or gzipped.", accepted="gzip, identity"
        )
    limit = settings.max_json_size
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if "gzip" in encoding else None
    data = bytearray()
    async for piece in request.stream():
        try:
            data += piece if unpack is None else unpack.decompress(piece, limit + 1 - len(data))
        except zlib.error:
            raise VersoError("bad_request", "The body is not gzip.") from None
        if len(data) > limit:
            raise too_large(limit)
    if unpack is not None and not unpack.eof:
        raise VersoError("body_incomplete", "The body ended early. Send it again.")
    return bytes(data)

"""The Storage server as an ASGI application: which handler a request goes to, and how a refusal goes back."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from app.local.storage import buckets, downloads, faults, listing, objects, uploads
from app.local.storage.exchange import JSON, Answer, ClientGone, Request, json_answer, reply
from app.local.storage.files import Files
from app.local.storage.rows import Rows
from app.local.storage.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from app.local.database import Database
    from app.local.keys import Keys

    Handler = Callable[["Service", Request, str, str], Awaitable[Answer]]

_log = logging.getLogger(__name__)


class Service:
    """The parts that handlers share, and the application itself."""

    def __init__(self, database: Database, keys: Keys, *, root: Path, file_size_limit: int) -> None:
        self.keys = keys
        self.file_size_limit = file_size_limit
        """Bytes; no bucket's limit may be larger."""
        self.rows = Rows(database)
        self.files = Files(root)
        self.signer = Signer(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientGone:
            return
        except faults.StorageFault as fault:
            answer = Answer(fault.http, [JSON], b"" if request.method == "HEAD" else fault.body())
            if (request.declared_length or 0) > self.file_size_limit:
                answer.headers.append((b"connection", b"close"))
        except Exception:  # noqa: BLE001 - the last resort: whatever went wrong, the client gets an answer
            _log.exception("Storage failed on %s %s", request.method, request.path)
            answer = Answer(500, [JSON], faults.internal().body())
        await reply(answer, request, send)

    async def forget(self, versions: list[tuple[str, str, str | None]]) -> None:
        """Delete the files of versions (bucket, key, version) that no row names any more."""
        paths = [path for version in versions if (path := self.files.path(*version)) is not None]
        if paths:
            await asyncio.get_running_loop().run_in_executor(None, self.files.remove, paths)

    async def _answer(self, request: Request) -> Answer:
        handler, bucket, name = route(request.method, request.path)
        if handler is None:
            message = f"Route {request.method}:{request.path} not found"
            return json_answer({"message": message, "error": "Not Found", "statusCode": 404}, 404)
        return await handler(self, request, bucket, name)


def route(method: str, path: str) -> tuple[Handler | None, str, str]:
    """The handler for a request, its bucket and its key.

    A key is the rest of the path as it is, slashes included, so this is done by cutting, not by patterns.
    """
    kind, slash, rest = path[1:].partition("/")
    if kind == "bucket":
        return _route_bucket(method, rest)
    if kind == "object":
        return _route_object(method, rest)
    return _status if (method, kind, slash) == ("GET", "status", "") else None, "", ""


def _route_object(method: str, rest: str) -> tuple[Handler | None, str, str]:
    """Fixed words come before a bucket of the same name, as in the real server's router."""
    if (method, rest) in _WHOLE:
        return _WHOLE[method, rest], "", ""
    word, slash, tail = rest.partition("/")
    for words, handler in _OBJECT_ROUTES.get((method, word), ()):
        if tail.startswith(words):
            bucket, more, name = tail[len(words) :].partition("/")
            if bucket and bool(more) == (handler in _WITH_KEY):
                return handler, bucket, name
    if not word:
        return None, "", ""
    if slash:
        return _KEYED.get(method), word, tail
    return objects.remove if method == "DELETE" else None, word, ""


def _route_bucket(method: str, rest: str) -> tuple[Handler | None, str, str]:
    bucket, slash, tail = rest.partition("/")
    if not bucket and not slash:
        return {"POST": buckets.create, "GET": buckets.list_all}.get(method), "", ""
    if tail == "empty" and method == "POST":
        return buckets.empty, bucket, ""
    if slash:
        return None, "", ""
    return {"GET": buckets.get, "PUT": buckets.update, "DELETE": buckets.delete}.get(method), bucket, ""


async def _status(_service: Service, _request: Request, _bucket: str, _name: str) -> Answer:
    return Answer(200, [])


_WHOLE: dict[tuple[str, str], Handler] = {
    ("POST", "move"): objects.move,
    ("POST", "copy"): objects.copy,
}
_KEYED: dict[str, Handler] = {
    "GET": downloads.get,
    "HEAD": downloads.head,
    "POST": uploads.create,
    "PUT": uploads.update,
    "DELETE": objects.remove_one,
}
# By method and first word: further words, and the handler. The longer words come first.
_OBJECT_ROUTES: dict[tuple[str, str], tuple[tuple[str, Handler], ...]] = {
    ("GET", "authenticated"): (("", downloads.get_authenticated),),
    ("GET", "public"): (("", downloads.get_public),),
    ("GET", "sign"): (("", downloads.get_signed),),
    ("GET", "info"): (
        ("authenticated/", downloads.info_authenticated),
        ("public/", downloads.info_public),
        ("", downloads.info),
    ),
    ("HEAD", "authenticated"): (("", downloads.head_authenticated),),
    ("HEAD", "public"): (("", downloads.head_public),),
    ("POST", "sign"): (("", listing.sign), ("", listing.sign_many)),
    ("POST", "upload"): (("sign/", listing.sign_upload),),
    ("POST", "list"): (("", listing.list_objects),),
    ("POST", "list-v2"): (("", listing.list_page),),
    ("PUT", "upload"): (("sign/", uploads.signed),),
}
_WITH_KEY: frozenset[Handler] = frozenset(
    {
        downloads.get_authenticated,
        downloads.get_public,
        downloads.get_signed,
        downloads.info,
        downloads.info_authenticated,
        downloads.info_public,
        downloads.head_authenticated,
        downloads.head_public,
        listing.sign,
        listing.sign_upload,
        uploads.signed,
    }
)

"""The ASGI app: finds out who calls, lets a handler answer, and turns failures into answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import asyncpg
import msgspec
from starlette.requests import ClientDisconnect

from app.local.caller import InvalidToken, MissingKey, UnknownKey, caller_of
from app.local.database import UNREACHABLE, DatabaseUnavailable, UnknownRole
from app.local.keys import TokenExpired
from app.local.rest.ask import Answer, Ask
from app.local.rest.catalog import EXPOSED
from app.local.rest.errors import (
    RestError,
    bad_path,
    bad_token,
    no_root,
    unknown_schema,
    unreachable_database,
)
from app.local.rest.refusals import refusal_of
from app.local.rest.schema_cache import SchemaCache
from app.local.rest.tables import answer_table, table_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from app.local.caller import Caller
    from app.local.database import Database
    from app.local.keys import Keys
    from app.local.rest.schema_cache import Known

# Refusals that may be due to a catalog read before a change: a name is missing, or isn't what it was.
_STALE = frozenset(
    (
        *("PGRST200", "PGRST202", "PGRST203", "PGRST204", "PGRST205"),
        *("42P01", "42703", "42883", "42804", "0A000"),
    )
)
# What a token may make of its bearer; the database has pools for other roles, which no token opens.
_ROLES = frozenset(("anon", "authenticated", "service_role"))
_CHANGING = frozenset(("POST", "PATCH", "PUT", "DELETE"))
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ALLOWED = {"allow": "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE", "access-control-allow-origin": "*"}


class RestService:
    """Serves what PostgREST would serve under `/rest/v1`."""

    def __init__(self, database: Database, keys: Keys, *, max_rows: int) -> None:
        self._database = database
        self._keys = keys
        self._max_rows = max_rows
        self._cache = SchemaCache(database, max_rows=max_rows)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; never raises for what a request or PostgreSQL did wrong."""
        headers = _headers(scope)
        anonymous = True
        try:
            caller = _served(caller_of(headers, self._keys))
            anonymous = caller.role == "anon"
            name, is_call = _target(scope["path_params"]["path"])
            _check_profile(scope["method"], headers)
            ask = Ask(
                method=scope["method"],
                name=name,
                path=f"/rpc/{name}" if is_call else f"/{name}",
                query=scope["query_string"].decode("latin-1"),
                headers=headers,
                body=await _body(receive),
                caller=caller,
                database=self._database,
                max_rows=self._max_rows,
            )
            answer = await self._answer(ask, is_call=is_call, anonymous=anonymous)
        except ClientDisconnect:
            return
        except (MissingKey, UnknownKey) as error:
            answer = _without_key(error)
        except InvalidToken as error:
            answer = _refused(bad_token(error.message, expired=isinstance(error.cause, TokenExpired)))
        except UnknownRole as error:
            answer = _refused(RestError(401, "22023", str(error)))
        except RestError as error:
            answer = _refused(error)
        except asyncpg.PostgresError as error:
            answer = _refused(refusal_of(error, anonymous=anonymous))
        except (DatabaseUnavailable, *UNREACHABLE):
            answer = _refused(unreachable_database())
        await _send(send, answer, head=scope["method"] == "HEAD")

    async def _answer(self, ask: Ask, *, is_call: bool, anonymous: bool) -> Answer:
        known = await self._cache.current()
        try:
            return await _handle(ask, known, is_call=is_call)
        except asyncpg.PostgresError as error:
            refusal = refusal_of(error, anonymous=anonymous)
        except RestError as error:
            refusal = error
        if refusal.code in _STALE:
            newer = await self._cache.newer_than(known)
            if newer is not known:
                # Nothing was done: the refused transaction was rolled back, or never begun.
                return await _handle(ask, newer, is_call=is_call)
        raise refusal


async def _handle(ask: Ask, known: Known, *, is_call: bool) -> Answer:
    if ask.method == "OPTIONS":
        if not is_call:
            table_of(known.catalog, ask.name)
        return Answer(200, dict(_ALLOWED))
    if is_call:
        return await known.functions.answer(ask)
    return await answer_table(ask, known.catalog)


def _served(caller: Caller) -> Caller:
    if caller.role not in _ROLES:
        raise UnknownRole(f'role "{caller.role}" does not exist')
    return caller


def _target(path: str) -> tuple[str, bool]:
    """A table's name, or a function's and True. Raises RestError PGRST125, PGRST126."""
    parts = path.strip("/").split("/") if path.strip("/") else []
    if not parts:
        raise no_root()
    if len(parts) == 1:
        return parts[0], False
    if len(parts) == 2 and parts[0] == "rpc":  # noqa: PLR2004
        return parts[1], True
    raise bad_path()


def _check_profile(method: str, headers: dict[str, str]) -> None:
    schema = headers.get("content-profile" if method in _CHANGING else "accept-profile")
    if schema is not None and schema != EXPOSED:
        raise unknown_schema(unquote(schema), (EXPOSED,))


def _headers(scope: Scope) -> dict[str, str]:
    """The headers by their names in lower case; of several lines one is made (RFC 9110 §5.3)."""
    lines: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        lines[name] = f"{lines[name]}, {value}" if name in lines else value
    return lines


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _refused(error: RestError) -> Answer:
    headers = {name.lower(): value for name, value in error.headers.items()}
    headers["content-type"] = "application/json; charset=utf-8"
    headers["proxy-status"] = f"PostgREST; error={error.code}"
    return Answer(error.status, headers, error.body())


def _without_key(error: InvalidToken) -> Answer:
    """What the hosted gateway, in front of PostgREST, says to a request without a valid key."""
    hint = (
        "No `apikey` request header or url param was found."
        if isinstance(error, MissingKey)
        else "Double check your Supabase `anon` or `service_role` API key."
    )
    body = msgspec.json.encode({"message": error.message, "hint": hint})
    return Answer(401, {"content-type": "application/json; charset=utf-8"}, body)


async def _send(send: Send, answer: Answer, *, head: bool) -> None:
    # A function may set any text as a header, and any status: what HTTP has no form for isn't sent.
    headers = [
        (name.encode(), _CONTROL.sub(" ", value).encode())
        for name, value in answer.headers.items()
        if _TOKEN.fullmatch(name)
    ]
    has_body = answer.status not in (204, 304) and not head
    if has_body:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if has_body else b""})

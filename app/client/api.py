"""HTTP to a Verso server: JSON in and out, streams to files, refusals as VersoError, and patience.

What may be asked again is asked again: reads, and writes that carry an Idempotency-Key, which the server
takes once only. Waiting times double, with chance in them so that a crowd spreads, or are what Retry-After
says.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, overload
from urllib.parse import urlsplit

import httpx
import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")

TRIES = 5
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 20.0
CONNECT_SECONDS = 10.0
PAGE = 200
"""Entries of a list that are asked for at once: what a server gives at most, unless it was told otherwise."""
SILENCE_SECONDS = 120.0
"""How long an answer may take, or stand still: large changes are stored before they are answered."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PASSING = frozenset({408, 429, 502, 503, 504})
_NOT_PASSING = frozenset({"content_altered", "content_missing"})
"""502 with these codes says that stored bytes are wrong: asking again makes them no better."""


def may_pass(error: VersoError) -> bool:
    """Whether what was refused may be taken in a while, for whoever can wait longer than an Api does.

    A fault of the server's (500) counts: it may be that of one process, or be mended.
    """
    if error.code in _NOT_PASSING:
        return False
    failed = error.detail.get("status") in _PASSING | {500}
    return failed or error.code in {"unreachable", "not_verso"}


class TokenSource(Protocol):
    """Where access tokens come from."""

    def token(self) -> str | None:
        """The token for the next request, made fresh if it is about to end; None to ask without one."""

    def refused(self, token: str) -> str | None:
        """Another token in place of one that the server refused, to be tried once; None if there is none."""


@dataclass(frozen=True)
class FixedToken:
    """A token that was given, by VERSO_TOKEN or by a test; nothing can make it fresh."""

    value: str | None

    def token(self) -> str | None:
        """The token."""
        return self.value

    def refused(self, token: str) -> str | None:  # noqa: ARG002 - the protocol's
        """Nothing: there is no other."""
        return None


@dataclass(frozen=True)
class Answer:
    """A response that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @overload
    def json(self, kind: type[T]) -> T: ...
    @overload
    def json(self, kind: None = None) -> Any: ...
    def json(self, kind: type[T] | None = None) -> Any:
        """The body as JSON of a kind. Raises VersoError `not_verso` when it isn't."""
        return _decoded(self.body, kind)


@dataclass
class Traffic:
    """What an Api moved, for reports and tests: requests sent (each try counts) and bytes of bodies."""

    requests: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list."""

    items: list[T]
    next: str | None


class Api:
    """One Verso server as one person sees it: a context manager, or `close` it. Not for two threads at once.

    Every method raises VersoError: the server's own refusals with their code, sentence and detail (which has
    the `status`), else `unreachable`, `not_signed_in`, or `not_verso` when something else answers there.
    """

    def __init__(
        self,
        base_url: str,
        token: TokenSource | str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        tries: int = TRIES,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.traffic = Traffic()
        self._tokens = FixedToken(token) if token is None or isinstance(token, str) else token
        self._sleep = sleep
        self._tries = tries
        loopback = (urlsplit(base_url).hostname or "") in _LOOPBACK
        self._http = httpx.Client(
            transport=transport,
            headers={"User-Agent": f"verso/{version_of('verso')}", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            # A proxy of the environment can't reach this machine's own loopback.
            trust_env=not loopback,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @overload
    def get(self, path: str, *, kind: type[T], **query: object) -> T: ...
    @overload
    def get(self, path: str, *, kind: None = None, **query: object) -> Any: ...
    def get(self, path: str, *, kind: type[T] | None = None, **query: object) -> Any:
        """The JSON at a path (which starts with `/`); None is left out of the query."""
        return self.ask("GET", path, query=query).json(kind)

    @overload
    def post(
        self, path: str, value: object = None, *, kind: type[T], key: str | None = None, again: bool = False
    ) -> T: ...
    @overload
    def post(
        self,
        path: str,
        value: object = None,
        *,
        kind: None = None,
        key: str | None = None,
        again: bool = False,
    ) -> Any: ...
    def post(
        self,
        path: str,
        value: object = None,
        *,
        kind: type[T] | None = None,
        key: str | None = None,
        again: bool = False,
    ) -> Any:
        """Post JSON, get JSON. `key` is the Idempotency-Key; `again` says that a repeat does no harm."""
        return self.send("POST", path, value, kind=kind, key=key, again=again)

    def send(
        self,
        method: str,
        path: str,
        value: object = None,
        *,
        kind: type[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        again: bool = False,
    ) -> Any:
        """JSON by any method; an empty answer is None."""
        content = None if value is None else msgspec.json.encode(value)
        fields = {**({} if value is None else {"Content-Type": "application/json"}), **(headers or {})}
        answer = self.ask(method, path, content=content, headers=fields, key=key, again=again)
        return answer.json(kind) if answer.body else None

    def pages(self, path: str, *, kind: type[T], **query: object) -> Iterator[T]:
        """All entries of a list with cursors, page by page as they are asked for.

        A page has 200 entries, unless `limit` is another number, or None for a list that takes none; and no
        more than the server lets a page have (`VERSO_MAX_PAGE_SIZE`).
        """
        asked: dict[str, object] = {"limit": PAGE, **query}
        while True:
            try:
                answer = self.ask("GET", path, query=asked)
            except VersoError as error:
                most = error.detail.get("limit")
                if error.code != "bad_value" or most is None or most == asked["limit"]:
                    raise
                asked["limit"] = most
                continue
            page = answer.json(Page[kind])  # type: ignore[valid-type]
            yield from page.items
            if page.next is None:
                return
            asked["cursor"] = page.next

    def ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Callable[[], Iterator[bytes]] | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        again: bool = False,
    ) -> Answer:
        """One request, and the answer read into memory.

        `content` that is too large for memory is a function that gives its pieces anew for each try; then say
        its Content-Length in `headers`.
        """
        with self.stream(
            method, path, content=content, query=query, headers=headers, key=key, again=again
        ) as response:
            return Answer(response.status_code, response.headers, b"".join(self.pieces(response)))

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Callable[[], Iterator[bytes]] | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        again: bool = False,
    ) -> Iterator[httpx.Response]:
        """One request, its answer open: read it with `pieces`. Refusals are raised before that."""
        fields = {**(headers or {}), **({} if key is None else {"Idempotency-Key": key})}
        repeatable = again or key is not None or method in _SAFE
        response = self._answered(method, path, content, _query(query), fields, repeatable=repeatable)
        try:
            yield response
        finally:
            response.close()

    def pieces(self, response: httpx.Response) -> Iterator[bytes]:
        """The body of an open answer as it comes. Raises VersoError `unreachable` when it breaks off."""
        try:
            for piece in response.iter_bytes():
                self.traffic.received_bytes += len(piece)
                yield piece
        except httpx.TransportError as error:
            raise self._unreachable(response.request.url.path, error) from error
        except httpx.DecodingError as error:
            raise _not_understood(error) from None

    def _answered(
        self,
        method: str,
        path: str,
        content: bytes | Callable[[], Iterator[bytes]] | None,
        query: dict[str, str],
        fields: dict[str, str],
        *,
        repeatable: bool,
    ) -> httpx.Response:
        token = self._tokens.token()
        wait = FIRST_WAIT_SECONDS
        tries = 0
        refreshed = False
        while True:
            tries += 1
            try:
                response = self._sent(method, path, content, query, fields, token)
            except httpx.TransportError as error:
                # What was never connected was never read: that may be tried again whatever it is.
                if tries >= self._tries or not (repeatable or isinstance(error, httpx.ConnectError)):
                    raise self._unreachable(path, error) from error
                self._sleep(random.uniform(wait / 2, wait))
            else:
                if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
                    return response
                refusal = self._refusal(response)
                # Once: whoever is refused with a fresh token, too, would be refused with any.
                if response.status_code == httpx.codes.UNAUTHORIZED and token is not None and not refreshed:
                    refreshed = True
                    other = self._tokens.refused(token)
                    if other is not None and other != token:
                        token = other
                        continue
                passing = response.status_code in _PASSING and refusal.code not in _NOT_PASSING
                if tries >= self._tries or not (repeatable and passing):
                    raise refusal
                self._sleep(_told_to_wait(response) or random.uniform(wait / 2, wait))
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _sent(  # noqa: PLR0917 - `_answered` calls it, with all that it has
        self,
        method: str,
        path: str,
        content: bytes | Callable[[], Iterator[bytes]] | None,
        query: dict[str, str],
        fields: dict[str, str],
        token: str | None,
    ) -> httpx.Response:
        signed = fields if token is None else {**fields, "Authorization": f"Bearer {token}"}
        self.traffic.requests += 1
        request = self._http.build_request(
            method,
            f"{self.base_url}{path}",
            params=query or None,
            headers=signed,
            content=self._counted(content) if callable(content) else content,
        )
        if isinstance(content, bytes):
            self.traffic.sent_bytes += len(content)
        return self._http.send(request, stream=True)

    def _counted(self, content: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        for piece in content():
            self.traffic.sent_bytes += len(piece)
            yield piece

    def _refusal(self, response: httpx.Response) -> VersoError:
        """The refusal of an answer that isn't one to go on with."""
        try:
            body = response.read()
        except httpx.RequestError:
            body = b""
        finally:
            response.close()
        status = response.status_code
        problem: Any = None
        if response.headers.get("content-type", "").startswith("application/problem+json"):
            problem = _decoded(body, None)
        if not isinstance(problem, dict) or "code" not in problem:
            return VersoError(
                "not_verso",
                f"{self.base_url} answered {status}, and not as a Verso server does. Is the address right?",
                status=status,
            )
        known = {"type", "title", "detail", "code"}
        detail = {name: value for name, value in problem.items() if name not in known}
        if status == httpx.codes.UNAUTHORIZED:
            detail = {"server": self.base_url, **detail}
            sentence = f"{self.base_url} doesn't know you: run `verso login` and try again."
            if isinstance(self._tokens, FixedToken) and self._tokens.value is not None:
                # A login would change nothing: what was given wins.
                sentence = (
                    f"{self.base_url} doesn't take the token of VERSO_TOKEN: give a fresh one, or unset it "
                    "and run `verso login`."
                )
            return VersoError("not_signed_in", sentence, **detail)
        return VersoError(str(problem["code"]), str(problem.get("detail", "")), **detail)

    def _unreachable(self, path: str, error: httpx.TransportError) -> VersoError:
        # The error's own text may hold nothing at all; its name says at least what kind of failure it was.
        reason = str(error) or type(error).__name__
        return VersoError(
            "unreachable",
            f"{self.base_url} can't be reached ({reason}). Nothing is lost: check the connection and the "
            "address, and run the same command again.",
            server=self.base_url,
            path=path,
        )


def _query(query: Mapping[str, object] | None) -> dict[str, str]:
    given = ((name, value) for name, value in (query or {}).items() if value is not None)
    return {name: str(it).lower() if isinstance(it, bool) else str(it) for name, it in given}


def _decoded(body: bytes, kind: type[T] | None) -> Any:
    try:
        return msgspec.json.decode(body) if kind is None else msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_understood(error) from None


def _not_understood(error: Exception) -> VersoError:
    return VersoError(
        "not_verso", f"The server's answer isn't what this `verso` understands ({error}). Is it newer?"
    )


def _told_to_wait(response: httpx.Response) -> float | None:
    """Seconds that Retry-After asks for, at most a minute; a date there is left to the usual waiting."""
    field = response.headers.get("retry-after", "")
    return min(float(field), 60.0) if field.isascii() and field.isdigit() else None

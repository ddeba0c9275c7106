"""Around every request: an id, one log line, and metrics. Never a body, a token or a query string."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar.enums import ScopeType
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.api.cookies import own_cookies
from app.api.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, problem_body
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from litestar.types import ASGIApp, Message, Receive, Scope, Send


_TALLY: ContextVar[list[str] | None] = ContextVar("round_trips", default=None)
"""What the request that is being answered has asked of Supabase so far; tasks that it starts share it."""

DEFAULT_HEADERS = (
    # No answer may be sniffed, framed or run; the page at /schema has one stylesheet.
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    # No page of another site shares a window or a process with an answer, nor embeds one.
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    # What someone may see is theirs alone, and asked for again.
    (b"cache-control", b"private, no-cache"),
)
"""What every answer carries unless its handler says otherwise."""
HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")
"""Where the service's address is https; other hosts of its domain are their operators' business."""

_FAULT = "Something went wrong in Verso itself. The log has it under this request_id."
_STOPPING = (
    "The server was stopped before this was done, so it is not known whether anything was written. Read what "
    "is there first; what you sent with an Idempotency-Key may be sent again, and is written once."
)
CLIENT_LEFT = 499
"""The status of a request that got no answer, as nginx has it."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")


class Metrics:
    """What operators can count, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "verso_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "verso_request_seconds",
            "Seconds from a request's start to its answer's end.",
            ["method", "route"],
            registry=self.registry,
        )
        self.active = Gauge("verso_active_requests", "Requests being answered.", registry=self.registry)
        self.round_trips = Counter(
            "verso_supabase_requests", "HTTP requests sent to Supabase.", ["service"], registry=self.registry
        )

    def watch_streams(self, count: Callable[[], int]) -> None:
        """Show how many streams of events are open, by asking when somebody looks."""
        Gauge("verso_event_streams", "Streams of events that are open.", registry=self.registry).set_function(
            count
        )

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer. Its series are looked up once: that takes a lock and three strings each time."""
        found = self._series.get((method, route, status))
        if found is None:
            found = (self.requests.labels(method, route, status), self.seconds.labels(method, route))
            self._series[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def count_round_trip(self, service: str) -> None:
        """Count a request to `rest`, `storage` or `auth`, also for the request that it is made for."""
        tally = _TALLY.get()
        if tally is not None:
            tally.append(service)
        self.round_trips.labels(service if service in {"rest", "storage", "auth"} else "other").inc()


class Observer:
    """The outermost ASGI application: lets every request through, watching."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, https: bool = False) -> None:
        self._app = app
        self._defaults = (*DEFAULT_HEADERS, HTTPS_ONLY) if https else DEFAULT_HEADERS
        self._metrics = metrics
        # Bound once: a lazy logger is made anew for each line.
        self._log = structlog.get_logger("verso.request").bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["headers"] = own_cookies(scope["headers"])
        scope["verso_request_id"] = request_id  # type: ignore[typeddict-unknown-key]
        fields: list[tuple[bytes, bytes]] = []
        scope["verso_fields"] = fields  # type: ignore[typeddict-unknown-key]  # for the answer, whatever it is
        started = time.perf_counter()
        status = CLIENT_LEFT
        size = 0

        async def watch(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*_completed(message["headers"], request_id, self._defaults), *fields]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        tally: list[str] = []
        outer = _TALLY.set(tally)
        self._metrics.active.inc()
        try:
            await self._app(scope, receive, watch)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - nobody above tells one request from another
            await self._escaped(error, watch, begun=status != CLIENT_LEFT, request_id=request_id)
        finally:
            self._metrics.active.dec()
            _TALLY.reset(outer)
            self._note(
                scope,
                status=status,
                size=size,
                seconds=time.perf_counter() - started,
                request_id=request_id,
                round_trips=len(tally),
            )

    async def _escaped(self, error: BaseException, send: Send, *, begun: bool, request_id: str) -> None:
        """Log what no handler could shape: a failure once the answer had begun, or of the shaping itself.

        An answer that has begun is left unfinished, and the server cuts the connection: whoever reads it
        sees that it isn't whole. CancelledError is how the server ends what is late when it stops.
        """
        if isinstance(error, asyncio.CancelledError):
            self._log.warning("cut_off", request_id=request_id, begun=begun)
            told = VersoError("server_stopping", _STOPPING)
        else:
            self._log.error("escaped", request_id=request_id, begun=begun, exc_info=error)
            told = VersoError("internal", _FAULT)
        if begun:
            return
        problem = problem_body(told, request_id)
        body = msgspec.json.encode(problem)
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
        if problem["status"] == 503:  # noqa: PLR2004
            headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
        await send({"type": "http.response.start", "status": problem["status"], "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _note(
        self, scope: Any, *, status: int, size: int, seconds: float, request_id: str, round_trips: int
    ) -> None:
        # The route, not the path: a path is a document's name, and a made-up one would be a new time series.
        route = scope.get("path_template") or "none"
        method = (
            scope["method"]
            if scope["method"] in {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"}
            else "other"
        )
        self._metrics.count_request(method, route, status, seconds)
        self._log.info(
            "request",
            request_id=request_id,
            method=method,
            route=route,
            status=status,
            bytes=size,
            ms=round(seconds * 1000, 2),
            round_trips=round_trips,
        )


def _completed(
    headers: Iterable[tuple[bytes, bytes]], request_id: str, defaults: Iterable[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    given = list(headers)
    names = {name.lower() for name, _ in given}
    given += [field for field in defaults if field[0] not in names]
    given.append((b"x-request-id", request_id.encode()))
    return given


def _request_id(scope: Any) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.match(value):
            return str(value.decode())
    return secrets.token_hex(8)

"""A project's events: a page of them, or a stream that goes on (server-sent events)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from app.api.accepting import wanted_type
from app.api.conditions import CHOSEN_FORM
from app.api.diff_forms import comparing_with
from app.api.links import next_link
from app.api.paging import Limit, page_size
from app.api.services import Services
from app.errors import VersoError
from app.flows.event_filter import EventFilter, checked_kinds
from app.flows.event_hunks import EventHunks
from app.supabase.feed import EventRows
from app.supabase.identity import Actor

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

    from app.flows.subscribe import Subscription

STREAM = "text/event-stream"
LAST = "last-event-id"
PAGE_WITH_HUNKS = 20
_DIGITS = 18


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events, oldest first. `next` is the `after` of the page that follows; null on the last one."""

    items: list[dict[str, Any]]
    next: int | None
    newest: int
    """Number of the project's newest event when this was read: after the last page, ask on after this."""


@get("/v1/projects/{project:str}/events", tags=["events"], summary="What happens in a project")
async def list_events(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    after: Annotated[
        int | None,
        QueryParameter(
            description="The number of the last event that one has; 0 for all. Unless said, pages begin at "
            "the first event, and streams now.",
            ge=0,
            lt=1 << 62,
        ),
    ] = None,
    limit: Limit = None,
    path: Annotated[
        str | None,
        QueryParameter(description="Only events about paths that begin so.", min_length=1, max_length=1024),
    ] = None,
    kind: Annotated[
        list[str] | None,
        QueryParameter(description="Only this kind, or noun.* for a noun's; may be repeated."),
    ] = None,
    session: Annotated[
        str | None, QueryParameter(description="Only events about this session: a slug or an id.")
    ] = None,
    hunks: Annotated[  # noqa: FBT002 - a query parameter has a name
        bool, QueryParameter(description="With the hunks of each text that a change changed, within bounds.")
    ] = False,
) -> Response[EventPage]:
    """Every change, move, delete, restore, tag, review, comment and membership, numbered without gaps.

    `text/event-stream` goes on until the token ends, resumes with Last-Event-ID, and says `ready` first and
    `end` last, with a reason. As JSON it is a page, for those who poll.
    """
    kinds = checked_kinds(kind)
    if wants_stream(request):
        wanted = EventFilter(kinds=kinds, prefix=path, session=session)
        return await _stream(
            request, services, actor=actor, project=project, after=after, wanted=wanted, hunks=hunks
        )
    size = page_size(limit, services.settings)
    page = await services.feed.list_events(
        actor.token,
        project=project,
        after=after or 0,
        page_size=min(size, PAGE_WITH_HUNKS) if hunks else size,
        kinds=sorted(kinds),
        prefix=path,
        session=session,
    )
    items = page.events
    if hunks:
        finder = _finder(services, actor, page)
        items = [await finder.find(row) or row for row in items]
    following = page.scanned if page.scanned < page.newest else None
    headers = CHOSEN_FORM | next_link(request, following, name="after")
    return Response(EventPage(items=items, next=following, newest=page.newest), headers=headers)


def wants_stream(request: Request[Any, Any, Any]) -> bool:
    """Whether a stream is wanted; raises VersoError `not_acceptable` when neither that nor JSON is."""
    best = wanted_type(request, ["application/json", STREAM])
    if best is None:
        raise VersoError("not_acceptable", f"Events come as application/json or {STREAM}.")
    return best == STREAM


async def _stream(
    request: Request[Any, Any, Any],
    services: Services,
    *,
    actor: Actor,
    project: str,
    after: int | None,
    wanted: EventFilter,
    hunks: bool,
) -> Response[Any]:
    services.hub.check_room(actor.id)
    last = request.headers.get(LAST)
    if last:  # the stream is resumed: a browser asks with the address that it began with
        if not last.isascii() or not last.isdigit() or len(last) > _DIGITS:
            raise VersoError("bad_cursor", "Last-Event-ID is the id of the last event that you got.")
        after = int(last)
    opened = await services.feed.list_events(actor.token, project=project, after=None, session=wanted.session)
    if after is not None and after > opened.newest:
        raise VersoError(
            "bad_cursor",
            f"The project has events 1 to {opened.newest}. Begin anew: without a number, or after 0.",
            newest=opened.newest,
        )
    wanted = msgspec.structs.replace(wanted, session=opened.session)
    finder = _finder(services, actor, opened) if hunks else None
    return EventStream(services, actor=actor, opened=opened, wanted=wanted, after=after, finder=finder)


def _finder(services: Services, actor: Actor, opened: EventRows) -> EventHunks:
    comparing = comparing_with(services)
    return EventHunks(services.ledger, comparing, actor=actor, project=opened.project)


class EventStream(Response[None]):
    """An answer that goes on for as long as there is something to tell."""

    def __init__(
        self,
        services: Services,
        *,
        actor: Actor,
        opened: EventRows,
        wanted: EventFilter,
        after: int | None,
        finder: EventHunks | None,
    ) -> None:
        super().__init__(None)
        self._services = services
        self._actor = actor
        self._opened = opened
        self._wanted = wanted
        self._after = opened.newest if after is None else after
        self._finder = finder

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **_given: Any) -> ASGIResponse:  # noqa: ARG002 - Litestar's signature
        """What sends it."""
        return _Sender(self, abort=request.scope.get("verso_abort"))

    def subscribed(self) -> contextlib.AbstractContextManager[Subscription]:
        """The subscription behind it."""
        return self._services.hub.subscribed(
            self._actor,
            project=self._opened.project,
            wanted=self._wanted,
            after=self._after,
            newest=self._opened.newest,
            find_hunks=None if self._finder is None else self._finder.find,
        )


class _Sender(ASGIResponse):
    _should_set_content_length = False

    def __init__(self, stream: EventStream, *, abort: Any) -> None:
        headers = {
            **CHOSEN_FORM,
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx would keep events back until it has a page of them
        }
        super().__init__(headers=headers, media_type=STREAM)
        self._stream = stream
        self._abort = abort

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Send frames until the stream ends, its client leaves, or takes nothing any more.

        Raises VersoError `too_many_streams` before anything is sent.
        """
        with self._stream.subscribed() as subscription:
            await self.start_response(send)
            sending = asyncio.create_task(self._send(send, subscription))
            leaving = asyncio.create_task(_left(receive))
            subscription.cut = sending.cancel
            try:
                await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                cut = sending.cancelling() > 0
                sending.cancel()
                leaving.cancel()
                await asyncio.wait({sending, leaving})
            if cut and self._abort is not None:
                self._abort()  # else what nobody takes would keep the connection
            if not sending.cancelled():
                sending.result()

    async def _send(self, send: Send, subscription: Subscription) -> None:
        async with contextlib.aclosing(subscription.frames()) as frames:
            async for some in frames:
                await send({"type": "http.response.body", "body": some, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> Literal[True]:
    while (await receive())["type"] != "http.disconnect":
        pass
    return True

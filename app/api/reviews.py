"""Reviews: verdicts on versions, and comments that stay beside their lines."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.bodies import check_idempotency_key
from app.api.files import At
from app.api.links import Page, cursor_of, cut, next_link, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.errors import VersoError
from app.flows.follow_comments import PlacedComment, check_lines, follow_comments
from app.model import Version
from app.supabase.identity import Actor
from app.supabase.reviews import Comment, CommentAct, Review, Reviewed, ReviewState, Rules, Side, Verdict

VERSION = "/v1/versions/{version:str}"
COMMENT = "/v1/comments/{comment:uuid}"
MAX_COMMENT_BYTES = 65_536

LineNumber = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class NewReview(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verdict, with its reasons as a comment on the version."""

    verdict: Verdict
    body: str = ""


class NewComment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A remark on lines of a version (the last one is the first unless said), or on all of it."""

    body: str
    first_line: LineNumber | None = None
    last_line: LineNumber | None = None
    side: Side | None = None
    """`new` (unless said) counts the lines of this version, `old` those of the version before it."""


class NewReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A remark on a remark."""

    body: str


class RulesEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a project's rules; what is left out stays."""

    tags_need_approval: bool | None = None
    completion_needs_approval: bool | None = None
    completion_needs_document: bool | None = None
    completion_needs_validation: bool | None = None


class ReviewPage(msgspec.Struct, frozen=True):
    """A page of a version's reviews, and what all of them come to."""

    state: ReviewState
    items: list[Review]
    next: str | None


class DocumentCommentPage(msgspec.Struct, frozen=True):
    """A page of a document's comments beside the lines of version `at`."""

    at: Version
    items: list[PlacedComment]
    next: str | None


@get(f"{VERSION}/reviews", tags=["reviews"], summary="What reviewers say of a version")
async def list_reviews(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    version: FromPath[str],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[ReviewPage]:
    """Verdicts, newest first. `state` is `approved` when somebody approves and nobody requests changes.

    The newest verdict of each reviewer counts, while they are one.
    """
    size = page_size(limit, services.settings)
    found: Reviewed = await services.reviews.list_reviews(
        actor.token, version=version, before=position_of(cursor, int), page_size=size + 1
    )
    reviews, following = cut(found.reviews, size, lambda each: each.sequence)
    page = ReviewPage(found.state, reviews, following)
    return Response(page, headers=next_link(request, following))


@post(f"{VERSION}/reviews", tags=["reviews"], summary="Approve a version, or request changes")
async def create_review(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    version: FromPath[str],
    data: JSONBody[NewReview],
) -> Response[Review]:
    """For reviewers. A verdict replaces one's earlier one; nobody approves what they wrote themselves."""
    made = await services.reviews.create_review(
        actor.token,
        version=version,
        verdict=data.verdict,
        body=check_comment(data.body) if data.body else "",
        idempotency_key=check_idempotency_key(request),
    )
    return Response(made, status_code=201)


@get(f"{VERSION}/comments", tags=["reviews"], summary="The comments made on a version")
async def list_comments(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    version: FromPath[str],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Comment]]:
    """Oldest first, replies among them. For those made on other versions ask the document."""
    size = page_size(limit, services.settings)
    found = await services.reviews.list_comments(
        actor.token, version=version, seen=position_of(cursor, int), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.sequence)


@post(f"{VERSION}/comments", tags=["reviews"], summary="Comment on lines of a version")
async def create_comment(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    version: FromPath[str],
    data: JSONBody[NewComment],
) -> Response[Comment]:
    """For reviewers. Without lines it is about the whole version.

    Comments can't be edited, only retracted.
    """
    body = check_comment(data.body)
    side, lines = data.side, None
    if data.first_line is not None:
        side = side or Side.new
        lines = data.first_line, data.last_line or data.first_line
        await check_comment_lines(services, actor, version=version, side=side, lines=lines)
    elif data.last_line is not None or side is not None:
        raise VersoError("bad_lines", "Say first_line, and last_line when there are more than one.")
    made = await services.reviews.create_comment(
        actor.token,
        version=version,
        body=body,
        side=side,
        lines=lines,
        idempotency_key=check_idempotency_key(request),
    )
    return Response(made, status_code=201, headers={"Location": f"/v1/comments/{made.id}"})


@get(COMMENT, tags=["reviews"], summary="One comment")
async def read_comment(
    services: NamedDependency[Services], actor: NamedDependency[Actor], comment: FromPath[UUID]
) -> Comment:
    """The comment, and whether its thread is resolved."""
    return await services.reviews.read_comment(actor.token, comment=str(comment))


@post(f"{COMMENT}/replies", tags=["reviews"], summary="Reply to a comment")
async def create_reply(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    comment: FromPath[UUID],
    data: JSONBody[NewReply],
) -> Response[Comment]:
    """For reviewers. A reply to a reply goes to the same thread."""
    made = await services.reviews.reply(
        actor.token,
        comment=str(comment),
        body=check_comment(data.body),
        idempotency_key=check_idempotency_key(request),
    )
    return Response(made, status_code=201, headers={"Location": f"/v1/comments/{made.id}"})


@post(f"{COMMENT}/resolve", status_code=200, tags=["reviews"], summary="Resolve a thread")
async def resolve_comment(
    services: NamedDependency[Services], actor: NamedDependency[Actor], comment: FromPath[UUID]
) -> Comment:
    """For reviewers. Resolves the thread that the comment is in; twice is once."""
    return await services.reviews.act_on_comment(actor.token, comment=str(comment), act=CommentAct.resolve)


@post(f"{COMMENT}/reopen", status_code=200, tags=["reviews"], summary="Reopen a thread")
async def reopen_comment(
    services: NamedDependency[Services], actor: NamedDependency[Actor], comment: FromPath[UUID]
) -> Comment:
    """For reviewers. Reopens the thread that the comment is in; twice is once."""
    return await services.reviews.act_on_comment(actor.token, comment=str(comment), act=CommentAct.reopen)


@delete(COMMENT, status_code=200, tags=["reviews"], summary="Retract a comment")
async def retract_comment(
    services: NamedDependency[Services], actor: NamedDependency[Actor], comment: FromPath[UUID]
) -> Comment:
    """For its author. Its text is hidden from everybody; that it was there, and was retracted, stays."""
    return await services.reviews.act_on_comment(actor.token, comment=str(comment), act=CommentAct.retract)


@get(
    "/v1/documents/{document:uuid}/comments",
    tags=["reviews"],
    summary="A document's comments, beside their lines",
)
async def list_document_comments(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    at: At = None,
    resolved: Annotated[
        bool | None, QueryParameter(description="Only resolved threads, or only open ones.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[DocumentCommentPage]:
    """All comments on all versions, oldest first, each with where its lines are in the version at `at`.

    `outdated` is true when the lines changed since; `at_line` says where they were. A page may end before
    `limit`, when its comments are on many versions.
    """
    size = page_size(limit, services.settings)
    found = await services.reviews.list_document_comments(
        actor.token,
        document=str(document),
        at=at,
        resolved=resolved,
        seen=position_of(cursor, int),
        page_size=size + 1,
    )
    placed = await follow_comments(
        found,
        blobs=services.blobs,
        workers=services.workers,
        actor=actor,
        page_size=size,
        limit=services.settings.max_diff_size,
        seconds=services.settings.diff_seconds,
    )
    following = cursor_of(placed.comments[-1].sequence) if placed.more else None
    page = DocumentCommentPage(placed.at, placed.comments, following)
    return Response(page, headers=next_link(request, following))


@get("/v1/projects/{project:str}/rules", tags=["reviews"], summary="A project's rules")
async def read_rules(
    services: NamedDependency[Services], actor: NamedDependency[Actor], project: FromPath[str]
) -> Rules:
    """What the project demands of its members."""
    return await services.reviews.read_rules(actor.token, project=project)


@patch("/v1/projects/{project:str}/rules", tags=["reviews"], summary="Set a project's rules")
async def set_rules(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[RulesEdit],
) -> Rules:
    """For owners. With `tags_need_approval` a tag needs every version that it names to be approved.

    With `completion_needs_approval` the stage documents of a session or stage have to be before it is
    `complete`. With `completion_needs_document` a stage needs its own document, with
    `completion_needs_validation` a validation without errors.
    """
    return await services.reviews.set_rules(
        actor.token,
        project=project,
        tags_need_approval=data.tags_need_approval,
        completion_needs_approval=data.completion_needs_approval,
        completion_needs_document=data.completion_needs_document,
        completion_needs_validation=data.completion_needs_validation,
    )


def check_comment(body: str) -> str:
    """A comment's text as it came. Raises VersoError `bad_value`, `comment_empty`, `comment_too_long`."""
    if "\x00" in body:
        raise VersoError("bad_value", "A comment has no NUL characters.")
    if not body.strip():
        raise VersoError("comment_empty", "A comment says something: send a body.")
    if len(body.encode("utf-8", "surrogatepass")) > MAX_COMMENT_BYTES:
        raise VersoError(
            "comment_too_long",
            f"A comment has at most {MAX_COMMENT_BYTES:,} bytes. Put longer texts into a document.",
            limit=MAX_COMMENT_BYTES,
        )
    return body


async def check_comment_lines(
    services: Services, actor: Actor, *, version: str, side: Side, lines: tuple[int, int]
) -> None:
    """Raise VersoError `bad_lines` where that side of a version doesn't have these lines."""
    read = await services.reviews.read_version(actor.token, version=version)
    if side is Side.old and read.version.parent is not None:
        read = await services.reviews.read_version(actor.token, version=read.version.parent)
    # The database says it when there is no such side, or the lines are in no order.
    if lines[0] <= lines[1] and read.version.sha256 is not None:
        await check_lines(
            read,
            blobs=services.blobs,
            actor=actor,
            last_line=lines[1],
            limit=services.settings.max_diff_size,
        )

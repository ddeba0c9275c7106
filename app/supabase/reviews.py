"""Verdicts and comments: one method a use case, named like the SQL function that it calls, in one round trip.

As in the ledger, every method takes the caller's token first and raises VersoError with the database's own
code and sentence.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.model import ActorKind, Person, VersionRead
from app.supabase.pool import key_of

if TYPE_CHECKING:
    from app.supabase.pool import Pool


class Verdict(StrEnum):
    """What a reviewer says of a version; `withdraw` takes their earlier verdict back."""

    approve = "approve"
    request_changes = "request_changes"
    withdraw = "withdraw"


class ReviewState(StrEnum):
    """What a version's reviews come to."""

    pending = "pending"
    approved = "approved"
    changes_requested = "changes_requested"


class Side(StrEnum):
    """Whose lines a comment is about: its version's (`new`), or those of the version before it (`old`)."""

    old = "old"
    new = "new"


class CommentAct(StrEnum):
    """What can happen to a comment after it was made."""

    resolve = "resolve"
    reopen = "reopen"
    retract = "retract"


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict on a version. The newest of each reviewer counts, while they are one."""

    id: str
    project: str
    document: str
    version: str
    number: int
    """The version's number."""
    sequence: int
    """The number of its event in the project."""
    reviewer: Person
    actor: ActorKind
    agent: str | None = None
    on_behalf_of: Person | None = None
    """For whom an agent acted."""
    verdict: Verdict
    comment: str | None = None
    """The comment that gives the reasons: reply to it, resolve it."""
    body: str | None = None
    created_at: datetime
    counts: bool


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """Who said last that a thread is dealt with."""

    person: Person
    actor: ActorKind
    agent: str | None = None
    on_behalf_of: Person | None = None
    """For whom an agent acted."""
    at: datetime


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """A remark on lines of a version (or on all of it: no lines), or a reply to one."""

    id: str
    project: str
    document: str
    version: str
    number: int
    """The version's number."""
    thread: str
    """The first comment of its thread: its own id when it is the first."""
    sequence: int
    """The number of its event in the project."""
    author: Person
    actor: ActorKind
    agent: str | None = None
    on_behalf_of: Person | None = None
    """For whom an agent acted."""
    body: str | None = None
    """Null once it was retracted."""
    created_at: datetime
    side: Side | None = None
    first_line: int | None = None
    last_line: int | None = None
    """Lines count from 1; a reply has those of its thread."""
    resolved: bool
    """Whether its thread is."""
    resolution: Resolution | None = None
    """By whom, while it is."""
    retracted_at: datetime | None = None


class SourcedComment(Comment, frozen=True, kw_only=True):
    """A comment with the hash of the version that its lines are of; null when it has none."""

    source: str | None = None


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a version's reviews, newest first, and what all of them come to."""

    state: ReviewState
    reviews: list[Review]


class DocumentComments(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a document's comments, the version to show them on, and those that their lines are of."""

    at: VersionRead
    comments: list[SourcedComment]
    sources: list[VersionRead]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a project demands of its members."""

    tags_need_approval: bool
    """A tag needs an approval of every version that it names, and no open request for changes."""
    completion_needs_approval: bool
    """So does the completion of a session or a stage, of every live stage document's newest version."""
    completion_needs_document: bool
    """The completion of a stage needs its own document."""
    completion_needs_validation: bool
    """It needs a validation with it, without errors and without `[REQUIRES INPUT]`."""


class Reviews:
    """The reviews and comments of one Supabase project.

    All of it may be asked again: what writes has a key, or does nothing the second time.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read_version(self, token: str, *, version: str) -> VersionRead:
        """A version by its hash alone. Raises VersoError `version_not_found`."""
        answer = await self._pool.rpc(token, "version_answer", {"version": version})
        if answer is None:
            raise VersoError(
                "version_not_found", "There is no such version, or you are not a member of its project."
            )
        return msgspec.convert(answer, VersionRead, strict=False)

    async def create_review(
        self, token: str, *, version: str, verdict: Verdict, body: str, idempotency_key: str | None
    ) -> Review:
        """Give a verdict on a version; it replaces the caller's earlier one."""
        return await self._pool.call(
            Review,
            token,
            "create_review",
            version=version,
            verdict=verdict.value,
            body=body,
            idempotency_key=key_of(idempotency_key),
        )

    async def list_reviews(self, token: str, *, version: str, before: int | None, page_size: int) -> Reviewed:
        """A version's reviews, newest first; `before` is the sequence of the last one seen."""
        return await self._pool.call(
            Reviewed, token, "list_reviews", version=version, before=before, page_size=page_size
        )

    async def create_comment(
        self,
        token: str,
        *,
        version: str,
        body: str,
        side: Side | None,
        lines: tuple[int, int] | None,
        idempotency_key: str | None,
    ) -> Comment:
        """Start a thread on lines of a version (first and last, from 1), or on all of it."""
        first, last = lines or (None, None)
        return await self._pool.call(
            Comment,
            token,
            "create_comment",
            version=version,
            body=body,
            side=side and side.value,
            first_line=first,
            last_line=last,
            idempotency_key=key_of(idempotency_key),
        )

    async def reply(self, token: str, *, comment: str, body: str, idempotency_key: str | None) -> Comment:
        """Add to the thread of a comment."""
        key = key_of(idempotency_key)
        return await self._pool.call(Comment, token, "reply", comment=comment, body=body, idempotency_key=key)

    async def act_on_comment(self, token: str, *, comment: str, act: CommentAct) -> Comment:
        """Resolve or reopen a comment's thread, or retract the comment. Twice is once."""
        return await self._pool.call(Comment, token, "act_on_comment", comment=comment, act=act.value)

    async def read_comment(self, token: str, *, comment: str) -> Comment:
        """One comment."""
        return await self._pool.call(Comment, token, "read_comment", comment=comment)

    async def list_comments(
        self, token: str, *, version: str, seen: int | None, page_size: int
    ) -> list[Comment]:
        """The comments made on a version, oldest first; `seen` is the sequence of the last one seen."""
        return await self._pool.call(
            list[Comment], token, "list_comments", version=version, seen=seen, page_size=page_size
        )

    async def list_document_comments(
        self,
        token: str,
        *,
        document: str,
        at: str | None,
        resolved: bool | None,
        seen: int | None,
        page_size: int,
    ) -> DocumentComments:
        """All comments on a document, oldest first, and the versions needed to find their lines."""
        return await self._pool.call(
            DocumentComments,
            token,
            "list_document_comments",
            document=document,
            at=at,
            resolved=resolved,
            seen=seen,
            page_size=page_size,
        )

    async def read_rules(self, token: str, *, project: str) -> Rules:
        """The rules of a project."""
        return await self._pool.call(Rules, token, "read_rules", project=project)

    async def set_rules(
        self,
        token: str,
        *,
        project: str,
        tags_need_approval: bool | None,
        completion_needs_approval: bool | None,
        completion_needs_document: bool | None,
        completion_needs_validation: bool | None,
    ) -> Rules:
        """Set the rules of a project; None leaves one as it is."""
        return await self._pool.call(
            Rules,
            token,
            "set_rules",
            project=project,
            tags_need_approval=tags_need_approval,
            completion_needs_approval=completion_needs_approval,
            completion_needs_document=completion_needs_document,
            completion_needs_validation=completion_needs_validation,
        )

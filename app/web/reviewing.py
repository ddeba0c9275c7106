"""Comments and verdicts, written beside the lines that they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from app.api.reviews import check_comment, check_comment_lines
from app.api.same_site import safe_next
from app.errors import VersoError
from app.supabase.reviews import CommentAct, Side, Verdict
from app.web import notices
from app.web.in_place import one_of
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor

if TYPE_CHECKING:
    from collections.abc import Awaitable

_KEPT = frozenset({"bad_lines", "comment_empty", "comment_too_long", "own_version"})
"""Refusals after which what was typed is shown again. Others are pages of their own."""
_MOST_DIGITS = 10


@post("/p/{project:str}/versions/{version:str}/comments", status_code=303)
async def create_comment(
    visitor: NamedDependency[Visitor], project: FromPath[str], version: FromPath[str]
) -> Response[Any]:
    """Start a thread on a line of a version, or on all of it."""

    async def write() -> None:
        body, line = _body(visitor), _line(visitor)
        if line is not None:
            await check_comment_lines(
                visitor.services, visitor.actor, version=version, side=Side.new, lines=(line, line)
            )
        await visitor.services.reviews.create_comment(
            visitor.token,
            version=version,
            body=body,
            side=None if line is None else Side.new,
            lines=None if line is None else (line, line),
            idempotency_key=None,
        )

    return await _answer(visitor, project, write(), "commented")


@post("/p/{project:str}/comments/{comment:str}/replies", status_code=303)
async def create_reply(
    visitor: NamedDependency[Visitor], project: FromPath[str], comment: FromPath[str]
) -> Response[Any]:
    """Add to a thread."""

    async def write() -> None:
        await visitor.services.reviews.reply(
            visitor.token, comment=comment, body=_body(visitor), idempotency_key=None
        )

    return await _answer(visitor, project, write(), "commented")


@post("/p/{project:str}/comments/{comment:str}/act", status_code=303)
async def act_on_comment(
    visitor: NamedDependency[Visitor], project: FromPath[str], comment: FromPath[str]
) -> Response[Any]:
    """Resolve or reopen a thread, or retract a comment."""

    async def write() -> None:
        act = one_of(visitor.form, "act", CommentAct)
        await visitor.services.reviews.act_on_comment(visitor.token, comment=comment, act=act)

    return await _answer(visitor, project, write(), visitor.form.get("act", ""))


@post("/p/{project:str}/versions/{version:str}/reviews", status_code=303)
async def create_review(
    visitor: NamedDependency[Visitor], project: FromPath[str], version: FromPath[str]
) -> Response[Any]:
    """Approve a version, request changes, or withdraw what was said before."""

    async def write() -> None:
        said_why = bool(visitor.form.get("body", "").strip())
        await visitor.services.reviews.create_review(
            visitor.token,
            version=version,
            verdict=one_of(visitor.form, "verdict", Verdict),
            body=_body(visitor) if said_why else "",
            idempotency_key=None,
        )

    return await _answer(visitor, project, write(), "reviewed")


async def _answer(visitor: Visitor, project: str, writing: Awaitable[None], notice: str) -> Response[Any]:
    """Back to where the form was; with what was typed once more where it can't be taken."""
    back = safe_next(visitor.form.get("next"))
    try:
        await writing
    except VersoError as error:
        if error.code not in _KEPT:
            raise
        here = await visitor.services.ledger.read_project(visitor.token, project=project)
        return await render(
            visitor,
            "diff/kept.html",
            title="Not sent",
            crumbs=[Crumb("Not sent")],
            project=here,
            status=422,
            sentence=error.sentence,
            given=visitor.form,
            back=back,
        )
    return Redirect(back, status_code=303, cookies=[notices.leave(notice)])


def _body(visitor: Visitor) -> str:
    """What was typed, with the line ends that browsers send taken back."""
    return check_comment(visitor.form.get("body", "").replace("\r\n", "\n").strip())


def _line(visitor: Visitor) -> int | None:
    text = visitor.form.get("line", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS):
        raise VersoError("bad_lines", "Lines are counted from 1.")
    return int(text)

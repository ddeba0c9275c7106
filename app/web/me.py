"""One's own account: profile, invitations, signing out everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from app.api.links import cut, position_of
from app.api.people import ProfileEdit
from app.errors import VersoError
from app.web import notices
from app.web.in_place import REFUSED, Refused, attempt
from app.web.rendering import Crumb, home_of, render
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from app.model import Project

ACTS = 8
INVITATIONS = 50
_WRONG = {
    "handle": "A handle is 1 to 40 of a-z 0-9 . _ -, beginning and ending with a letter or digit.",
    "name": "A name has 1 to 200 characters, on one line.",
    "avatar_url": "A picture has an https address, of 2,000 characters at most.",
}


@get("/me")
async def read_me(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """One's profile, what one is invited to, what the account did last."""
    return await _me(visitor)


@post("/me", status_code=303)
async def update_me(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """Change handle, name and picture; those that differ, so that what follows GitHub goes on doing so."""
    me = await visitor.services.ledger.me(visitor.token)
    given = {name: visitor.form[name].strip() for name in _WRONG if name in visitor.form}
    known = {"handle": me.handle or "", "name": me.name or "", "avatar_url": me.avatar_url or ""}
    edit: dict[str, str | None] = {
        name: value or (None if name == "avatar_url" else value)
        for name, value in given.items()
        if value != known[name]
    }
    for name, value in edit.items():
        try:
            msgspec.convert({name: value}, ProfileEdit)
        except msgspec.ValidationError:
            return await _me(visitor, refused=Refused(name, _WRONG[name]))
    done = await attempt("handle", visitor.services.ledger.update_me(visitor.token, edit=edit))
    if isinstance(done, Refused):
        return await _me(visitor, refused=done)
    visitor.pages.recent.forget(visitor.token)
    return Redirect("/me", status_code=303, cookies=[notices.leave("profile_saved")])


@post("/me/invitations/{invitation:str}/{answer:str}", status_code=303)
async def answer_invitation(
    visitor: NamedDependency[Visitor], invitation: FromPath[str], answer: FromPath[str]
) -> Response[Any]:
    """Accept an invitation, and go to its project; or decline it."""
    if answer not in {"accept", "decline"}:
        raise VersoError("not_found", "There is nothing at this address.")
    invitations = visitor.services.invitations
    writing: Awaitable[Project | None]
    if answer == "accept":
        writing = invitations.accept_invitation(visitor.token, invitation=invitation)
    else:
        writing = invitations.decline_invitation(visitor.token, invitation=invitation)
    joined = await attempt("invitations", writing)
    if isinstance(joined, Refused):
        return await _me(visitor, refused=joined)
    visitor.pages.recent.forget(visitor.token)
    if joined is None:
        return Redirect("/me", status_code=303, cookies=[notices.leave("invitation_declined")])
    home = home_of(joined, await visitor.services.ledger.me(visitor.token))
    return Redirect(home, status_code=303, cookies=[notices.leave("joined", name=joined.name)])


async def _me(visitor: Visitor, *, refused: Refused | None = None) -> Response[Any]:
    after = position_of(visitor.request.query_params.get("cursor"), str)
    me, invitations, acts = await together(
        visitor.services.ledger.me(visitor.token),
        visitor.services.invitations.list_my_invitations(
            visitor.token, after=after, page_size=INVITATIONS + 1
        ),
        visitor.services.audit.list_my_audit(visitor.token, page_size=ACTS),
    )
    known = {"handle": me.handle or "", "name": me.name or "", "avatar_url": me.avatar_url or ""}
    shown, following = cut(invitations, INVITATIONS, lambda each: each.position)
    return await render(
        visitor,
        "me/me.html",
        title="Your account",
        crumbs=[Crumb("Your account")],
        status=200 if refused is None else REFUSED,
        profile=known | ({name: visitor.form[name] for name in known if name in visitor.form}),
        invitations=shown,
        following=following,
        acts=acts,
        refused=refused,
    )

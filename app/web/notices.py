"""One sentence that a page leaves for the next one, across a redirect.

It travels in a cookie as a code and values; the words are ours and chosen by the code, so a cookie that
somebody planted says at most one of our own sentences with another name in it. It holds no secret.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec
from litestar.datastructures import Cookie

if TYPE_CHECKING:
    from litestar import Request

COOKIE = "verso-notice"
SECONDS = 60
MAX_VALUE = 300
SENTENCES = {
    "project_made": "The project is made. Upload its first documents.",
    "uploaded_one": "{path} is uploaded as change #{change}.",
    "uploaded": "{count} documents are uploaded as change #{change}.",
    "imported": "{count} documents are imported as change #{change}.",
    "saved": "Saved as change #{change}.",
    "merged": "Saved as change #{change}, merged with what somebody else wrote meanwhile.",
    "unchanged": "Nothing differs from what is there, so nothing was written.",
    "moved": "The document is now at {path}.",
    "deleted": "{path} is deleted. Its history stays, and it can be brought back.",
    "undeleted": "{path} is back.",
    "restored": "Version {number} is back, as change #{change}.",
    "commented": "Your comment is there.",
    "resolve": "The thread is resolved.",
    "reopen": "The thread is open again.",
    "retract": "The comment is retracted.",
    "stage_reported": "Reported: {stage} is {state}.",
    "reviewed": "Your verdict is recorded.",
    "profile_saved": "Saved.",
    "joined": "You are a member of {name} now.",
    "invitation_declined": "The invitation is declined.",
    "tagged": "The tag {name} is made.",
    "project_saved": "Saved.",
    "rules_saved": "The rules are set, and hold from now on.",
    "archived": "The project is archived.",
    "reopened": "The project is open again.",
    "webhook_saved": "The webhook is changed. It holds for what it hasn't sent yet as well.",
    "webhook_removed": "The webhook is removed.",
    "webhook_paused": "The webhook is paused. What happens waits for it.",
    "webhook_resumed": "The webhook goes on.",
    "webhook_replayed": "They are sent once more, before anything new.",
    "session_made": "The session is started.",
    "session_saved": "Saved.",
    "erased": "Its bytes are gone for ever. The record of it is here.",
    "member_added": "{who} is a member now.",
    "invited": "{who} is invited. Tell them: no mail is sent.",
    "member_changed": "The role is changed.",
    "member_removed": "They are no member any more.",
    "left": "You have left {name}.",
    "invitation_revoked": "The invitation is taken back.",
    "agent_revoked": "{name} is revoked, and may do nothing any more.",
}
"""What a notice of a code says. Who adds a page that writes adds its sentences here."""


class Left(msgspec.Struct, frozen=True, array_like=True):
    """A notice on its way."""

    code: str
    values: dict[str, str]


class Notice(msgspec.Struct, frozen=True):
    """A sentence for the visitor, and the code that it is of."""

    words: str
    code: str


def leave(code: str, **values: object) -> Cookie:
    """The cookie that has the next page say a sentence."""
    left = Left(code, {name: str(value)[:MAX_VALUE] for name, value in values.items()})
    SENTENCES[code].format(
        **left.values
    )  # a sentence that can't be said is a fault here, not on the next page
    text = base64.urlsafe_b64encode(msgspec.json.encode(left)).decode()
    return Cookie(key=COOKIE, value=text, path="/", max_age=SECONDS, httponly=True, samesite="lax")


def left_by(request: Request[Any, Any, Any]) -> Notice | None:
    """The notice that the page before left; None when there is none that we would have written."""
    text = request.cookies.get(COOKIE)
    if not text:
        return None
    try:
        left = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=Left)
        words = SENTENCES[left.code].format(
            **{name: value[:MAX_VALUE] for name, value in left.values.items()}
        )
    except (binascii.Error, ValueError, KeyError, IndexError, AttributeError):
        return None
    return Notice(words, left.code)


def read_cookie() -> Cookie:
    """What takes a notice away that has been shown."""
    return Cookie(key=COOKIE, value="", path="/", max_age=0, httponly=True, samesite="lax")

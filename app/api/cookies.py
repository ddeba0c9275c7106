"""The cookies of pages: the two tokens of a session, sign-ins under way, a token against forgery, the theme.

Over https their names begin with `__Host-`: a browser takes such a cookie from this very host alone, so no
neighbour (a sibling domain, a plain-http page) can plant one. Tokens are never shown to scripts (HttpOnly).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from litestar.datastructures import Cookie

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from litestar import Request

    from app.settings import Settings
    from app.supabase.auth import PageSession

ACCESS, REFRESH, CSRF, FLOWS = "verso-access", "verso-refresh", "verso-csrf", "verso-flows"
THEME = "verso-theme"
SESSION_SECONDS = 30 * 24 * 3600
"""How long a browser keeps a session that nobody uses; each refresh begins it anew."""
FLOW_SECONDS = 3600
"""How long a sign-in may take: as long as a link in an e-mail is good."""
MOST_FLOWS = 3
PART_SIZE = 3800
"""Browsers keep at most 4096 bytes of a cookie, name and all; longer access tokens come in parts."""
MOST_PARTS = 4
MOST_COOKIES = 30
_OURS = (b"verso-", b"__Host-verso-")
_SCRIPTS_MAY_READ = frozenset({CSRF})


class Flow(msgspec.Struct, frozen=True, array_like=True):
    """A sign-in that this browser began."""

    state: str
    verifier: str
    next: str


def own_cookies(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """A request's header fields with cookies of ours alone: few of them, and none with a backslash.

    Python unescapes those in square time (CVE-2024-7592, mended in 3.11.10): 60 kB took 15 s of everybody's.
    And what the framework has read of a thousand requests it keeps: ten thousand cookies each was a gigabyte.
    """
    return [(name, _own(value) if name == b"cookie" else value) for name, value in headers]


def _own(field: bytes) -> bytes:
    found = (each.strip() for each in field.split(b";"))
    return b"; ".join([each for each in found if each.startswith(_OURS) and b"\\" not in each][:MOST_COOKIES])


def is_secure(settings: Settings) -> bool:
    """Whether people reach this service by https."""
    return (settings.public_url or "").startswith("https://")


def theme_of(request: Request[Any, Any, Any]) -> Literal["light", "dark"] | None:
    """The colours that this browser was told to show; None for what the system says."""
    wanted = request.cookies.get(THEME)
    return "light" if wanted == "light" else "dark" if wanted == "dark" else None


def session_cookies(settings: Settings, session: PageSession) -> list[Cookie]:
    """The cookies of somebody who is signed in."""
    token = session.access_token
    parts = [token[at : at + PART_SIZE] for at in range(0, len(token), PART_SIZE)][:MOST_PARTS]
    made = [_cookie(settings, _part(number), value) for number, value in enumerate(parts)]
    made += [_gone(settings, _part(number)) for number in range(len(parts), MOST_PARTS)]
    made.append(_cookie(settings, REFRESH, session.refresh_token))
    made.append(_cookie(settings, CSRF, csrf_token(token)))
    return made


def no_session(settings: Settings) -> list[Cookie]:
    """What takes a session's cookies away."""
    return [_gone(settings, name) for name in (*map(_part, range(MOST_PARTS)), REFRESH, CSRF)]


def access_of(request: Request[Any, Any, Any], settings: Settings) -> str | None:
    """The access token of a request's cookies; nothing is said about whether it is good."""
    cookies = request.cookies
    parts = [cookies.get(_name(settings, _part(number))) for number in range(MOST_PARTS)]
    return "".join(each for each in parts if each) or None


def refresh_of(request: Request[Any, Any, Any], settings: Settings) -> str | None:
    """The refresh token of a request's cookies."""
    return request.cookies.get(_name(settings, REFRESH)) or None


def csrf_token(access_token: str) -> str:
    """What a page has to say beside its cookies when it writes; it lasts as long as the session.

    It is made of the session's id, which is random and known to nobody else: so it needs no memory of ours,
    and a cookie that somebody planted is no help against it (OWASP: a double submit bound to the session).
    """
    key = _session_id(access_token).encode()
    return base64.urlsafe_b64encode(hmac.digest(key, b"verso csrf", hashlib.sha256)).rstrip(b"=").decode()


def begin_flow(request: Request[Any, Any, Any], settings: Settings, onward: str) -> tuple[Flow, Cookie]:
    """A new sign-in, and the cookie that remembers it beside the newest others of this browser."""
    flow = Flow(secrets.token_urlsafe(24), secrets.token_urlsafe(48), onward)
    return flow, _flows_cookie(settings, [*flows_of(request, settings), flow][-MOST_FLOWS:])


def end_flow(request: Request[Any, Any, Any], settings: Settings, state: str) -> Cookie:
    """The cookie without a sign-in that is over, however it ended."""
    return _flows_cookie(settings, [each for each in flows_of(request, settings) if each.state != state])


def flow_of(request: Request[Any, Any, Any], settings: Settings, state: str) -> Flow | None:
    """The sign-in of a state, if this browser began it and it is not over."""
    for each in flows_of(request, settings):
        if hmac.compare_digest(each.state.encode(), state.encode()):
            return each
    return None


def flows_of(request: Request[Any, Any, Any], settings: Settings) -> list[Flow]:
    """The sign-ins that this browser has under way; none when the cookie is not one of ours."""
    text = request.cookies.get(_name(settings, FLOWS), "")
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=list[Flow])[-MOST_FLOWS:]
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return []


def _flows_cookie(settings: Settings, flows: Sequence[Flow]) -> Cookie:
    if not flows:
        return _gone(settings, FLOWS)
    text = base64.urlsafe_b64encode(msgspec.json.encode(list(flows))).decode()
    return _cookie(settings, FLOWS, text, seconds=FLOW_SECONDS)


def _part(number: int) -> str:
    return f"{ACCESS}.{number}" if number else ACCESS


def _name(settings: Settings, name: str) -> str:
    return f"__Host-{name}" if is_secure(settings) else name


def _cookie(settings: Settings, name: str, value: str, *, seconds: int = SESSION_SECONDS) -> Cookie:
    same_site: Literal["lax"] = "lax"  # strict ones would be missing on the way back from GitHub
    return Cookie(
        key=_name(settings, name),
        value=value,
        path="/",
        max_age=seconds,
        secure=is_secure(settings),
        httponly=name not in _SCRIPTS_MAY_READ,
        samesite=same_site,
    )


def _gone(settings: Settings, name: str) -> Cookie:
    return _cookie(settings, name, "", seconds=0)


def _session_id(access_token: str) -> str:
    """The session's id as the token says it, unverified; of a token without one the whole token."""
    try:
        payload = access_token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["session_id"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error, msgspec.DecodeError):
        return access_token

"""Against forged requests: what is written with cookies must come from a page of this site, and say so twice.

First where the browser says that the request comes from (`Sec-Fetch-Site`, else `Origin`), then a token
that only pages of this site can know (OWASP, Cross-Site Request Forgery Prevention). A request with
`Authorization` needs neither: no browser adds that by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.api.cookies import csrf_token
from app.errors import VersoError

if TYPE_CHECKING:
    from litestar import Request

    from app.settings import Settings

TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HOME = "/auth/session"
"""Where one goes who did not say where to."""
LONGEST_NEXT = 1000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
_PLAIN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def own_url(request: Request[Any, Any, Any], settings: Settings) -> str:
    """What people call this service, without a final slash.

    The Host field is believed only on this machine: elsewhere whoever sends a request may write what they
    like there. Raises VersoError `no_public_url`.
    """
    if settings.public_url:
        return settings.public_url.rstrip("/")
    if (request.url.hostname or "") in _LOOPBACK:
        return f"{request.url.scheme}://{request.url.netloc}"
    raise VersoError(
        "no_public_url", "Pages cannot sign in here until the operator sets VERSO_PUBLIC_URL to its address."
    )


def check_same_site(request: Request[Any, Any, Any], settings: Settings) -> None:
    """Let through what a page of this site sent. Raises VersoError `cross_site`, `no_public_url`."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site == "same-origin":
            return
        raise _cross_site()
    wanted = urlsplit(own_url(request, settings))
    if request.headers.get("origin", "").lower() != f"{wanted.scheme}://{wanted.netloc}".lower():
        raise _cross_site()


def check_token(given: str | None, access_token: str) -> None:
    """Compare what a page said with the token of its session. Raises VersoError `csrf_token_needed`."""
    said = None if given is None else _unmasked(given)
    if said is None or not hmac.compare_digest(said.encode(), csrf_token(access_token).encode()):
        raise VersoError(
            "csrf_token_needed",
            f"A page that writes sends its verso-csrf cookie's value as {TOKEN_HEADER}. Reload the page.",
        )


def masked(token: str) -> str:
    """A session's token as a page says it: another text each time.

    Pages are compressed, and what never looks the same can't be guessed from sizes (BREACH, CVE-2013-3587).
    """
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    pad = secrets.token_bytes(len(raw))
    return base64.urlsafe_b64encode(pad + _xor(raw, pad)).rstrip(b"=").decode()


def _unmasked(said: str) -> str:
    """The token that was said; one that isn't masked (the cookie's value) as it is."""
    try:
        both = base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))
    except (binascii.Error, ValueError):
        return said
    if len(both) != 2 * hashlib.sha256().digest_size:
        return said
    half = len(both) // 2
    return base64.urlsafe_b64encode(_xor(both[:half], both[half:])).rstrip(b"=").decode()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def safe_next(wanted: str | None) -> str:
    """A path of this site to go on to; HOME when the wanted one could lead elsewhere.

    Absolute addresses, `//host`, backslashes (which browsers read as slashes), blanks, control and other
    characters beyond ASCII are not followed, nor the routes that sign in and out.
    """
    if not wanted or len(wanted) > LONGEST_NEXT or not _PLAIN_PATH.fullmatch(wanted):
        return HOME
    path = urlsplit(wanted).path
    if path.startswith("/auth/") and path != HOME:
        return HOME
    return wanted


def _cross_site() -> VersoError:
    return VersoError("cross_site", "The request does not come from a page of this Verso, so it is refused.")

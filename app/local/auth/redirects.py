"""Where a sign-in may send the browser back to: the site, this machine, and what the project allows.

The rules are GoTrue's (internal/utilities/request.go). An address that isn't allowed is no error: the browser
goes to the site instead, as on a hosted project.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from starlette.requests import Request

LONGEST_PATTERN = 2000
_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f]")
_HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?")
_WILD = {"**": ".*", "*": "[^./]*", "?": "[^./]"}
_WORD = re.compile(r"\*\*|\*|\?|\[!?[^\]]+\]|\{[^{}]*\}|\\.|.", re.DOTALL)


@dataclass(frozen=True)
class Redirects:
    """The project's site and the further addresses that it allows, which may be globs."""

    site_url: str
    patterns: tuple[str, ...] = ()

    def choose(self, request: Request) -> str:
        """The address to go back to: what the request asks for, the page that it came from, or the site."""
        for wanted in (request.query_params.get("redirect_to"), request.headers.get("referer")):
            if wanted and self.allows(wanted):
                return wanted
        return self.site_url

    def allows(self, address: str) -> bool:
        """Whether a browser may be sent to `address`."""
        if _CONTROL_OR_SPACE.search(address):
            return False
        parsed, site = _split(address), _split(self.site_url)
        if parsed is None or site is None:
            return False
        host = parsed.hostname or ""
        if _is_site(parsed, site):
            return True
        if host.isdecimal():
            return False  # 2130706433 is 127.0.0.1 to a browser
        if (loopback := _is_loopback(host)) is not None:
            # RFC 8252 section 7.3: an app on the user's own machine takes whatever port is free.
            return loopback
        if parsed.scheme in {"http", "https"} and not _HOSTNAME.fullmatch(host):
            return False
        bare = address.partition("#")[0]
        return any(glob(pattern).fullmatch(bare) for pattern in self.patterns)


def glob(pattern: str) -> re.Pattern[str]:
    """A pattern as Supabase takes it: `.` and `/` separate, `*` and `?` stay between them, `**` crosses them.

    Also `[abc]`, `[!a-z]` and `{one,other}`. Raises ValueError for a pattern that is too long.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"A redirect pattern has at most {LONGEST_PATTERN} characters.")
    return re.compile(_regex(pattern), re.DOTALL)


def _regex(pattern: str) -> str:
    return "".join(_translated(found[0]) for found in _WORD.finditer(pattern))


def _translated(word: str) -> str:
    if word in _WILD:
        return _WILD[word]
    if len(word) == 1:
        return re.escape(word)
    inner = word[1:-1]
    if word[0] == "[":
        negated, letters = inner[:1] == "!", inner.removeprefix("!")
        # Only a range's hyphen keeps a meaning inside the brackets.
        return f"[{'^' if negated else ''}{re.escape(letters).replace(chr(92) + '-', '-')}]"
    if word[0] == "{":
        return f"(?:{'|'.join(_regex(choice) for choice in inner.split(','))})"
    return re.escape(word[1:])  # an escaped character


def _is_site(parsed: SplitResult, site: SplitResult) -> bool:
    same = (parsed.scheme, parsed.hostname) == (site.scheme, site.hostname)
    local = parsed.hostname == "localhost" or _is_loopback(parsed.hostname or "") is True
    return same and (local or parsed.port == site.port)


def _split(address: str) -> SplitResult | None:
    try:
        parsed = urlsplit(address)
        _ = parsed.port  # a port that isn't one raises here
    except ValueError:
        return None
    # urlsplit forgives what browsers read as another host: https:/\\evil.example, https:evil.example.
    if parsed.scheme in {"http", "https"} and ("\\" in address or not parsed.hostname):
        return None
    return parsed if parsed.scheme else None


def _is_loopback(host: str) -> bool | None:
    """Whether an IP address is loopback; None when the host isn't an IP address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return None

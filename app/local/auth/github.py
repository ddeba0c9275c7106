"""The GitHub stand-in: a page on which somebody says who they are, and nobody asks for a proof.

It answers where GitHub's own page is below its host (/login/oauth/authorize), takes a demo person or any
login that GitHub could have, and sends the browser back with a code that Auth exchanges once. The page has no
scripts and says what it is.
"""

from __future__ import annotations

import hashlib
import html
import re
import secrets
import time
import tomllib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.requests import Request

CODE_SECONDS = 600
MOST_CODES = 10_000
LONGEST_FORM = 16 * 1024
LOGIN = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }
button, input { font: inherit; padding: .4rem .8rem; max-width: 100%; box-sizing: border-box }
button { cursor: pointer }
li { margin: .4rem 0 } ul { list-style: none; padding: 0 }
.note { border-left: 4px solid #b58900; padding-left: 1rem }
"""


@dataclass(frozen=True, slots=True)
class GitHubPerson:
    """What GitHub knows of somebody."""

    login: str
    name: str
    email: str

    @property
    def number(self) -> int:
        """Their id: made of the login, so that it is the same in every run."""
        return int.from_bytes(hashlib.sha256(self.login.lower().encode()).digest()[:4]) + 1_000_000_000

    def identity(self) -> dict[str, Any]:
        """The identity's data as GoTrue makes it of GitHub's answers."""
        return {
            "avatar_url": f"https://avatars.githubusercontent.com/u/{self.number}?v=4",
            "email": self.email,
            "email_verified": True,
            "full_name": self.name,
            "iss": "https://api.github.com",
            "name": self.name,
            "phone_verified": False,
            "preferred_username": self.login,
            "provider_id": str(self.number),
            "sub": str(self.number),
            "user_name": self.login,
        }


def read_people(file: Path) -> tuple[GitHubPerson, ...]:
    """The people of a TOML file with a table each (name, handle, email); none when there is no such file."""
    if not file.exists():
        return ()
    tables = tomllib.loads(file.read_text(encoding="utf-8")).values()
    return tuple(GitHubPerson(each["handle"], each["name"], each["email"]) for each in tables)


@dataclass(frozen=True)
class GitHub:
    """The stand-in at `base_url`; `callback` is the one address that it sends codes to."""

    base_url: str
    callback: str
    people: Sequence[GitHubPerson] = ()
    _codes: dict[str, tuple[GitHubPerson, float]] = field(default_factory=dict)

    def page_url(self, state: str, parameters: dict[str, str]) -> str:
        """Where to send the browser: GitHub's page with Auth's own parameters, which no client overrides."""
        asked = {**parameters, "client_id": "embedded", "redirect_uri": self.callback, "state": state}
        return f"{self.base_url}/login/oauth/authorize?{urlencode({**asked, 'response_type': 'code'})}"

    def exchange(self, code: str) -> GitHubPerson | None:
        """Who a code stands for; works once, within CODE_SECONDS."""
        person, expires = self._codes.pop(code, (None, 0.0))
        return person if expires > time.monotonic() else None

    def token(self) -> str:
        """An access token as GitHub would give one to the app; it opens nothing."""
        return f"gho_embedded{secrets.token_hex(14)}"

    def routes(self) -> list[Route]:
        """The page, and what its buttons do."""
        path = "/login/oauth/authorize"
        return [Route(path, self._page, methods=["GET"]), Route(path, self._choose, methods=["POST"])]

    async def _page(self, request: Request) -> Response:
        state = request.query_params.get("state", "")
        if request.query_params.get("redirect_uri") != self.callback or not state:
            return _shown(
                "<p>This sign-in doesn't come from the embedded Auth. Start again in your app.</p>", 400
            )
        return _shown(self._choices(state))

    async def _choose(self, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                return _shown("<p>The form is too long.</p>", 413)
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        state = form.get("state", "")
        if form.get("cancel"):
            refused = {
                "error": "access_denied",
                "error_description": "The user has denied your application access.",
            }
            return self._back(state, refused)
        login = form.get("login", "").strip()
        if not LOGIN.fullmatch(login):
            problem = "<p><b>A GitHub login has letters, digits and single hyphens, 39 at most.</b></p>"
            return _shown(problem + self._choices(state), 422)
        code = secrets.token_hex(10)
        self._forget_old()
        self._codes[code] = (self._person(login), time.monotonic() + CODE_SECONDS)
        return self._back(state, {"code": code})

    def _person(self, login: str) -> GitHubPerson:
        for person in self.people:
            if person.login.lower() == login.lower():
                return person
        return GitHubPerson(login, login, f"{login.lower()}@users.noreply.github.com")

    def _back(self, state: str, answer: dict[str, str]) -> Response:
        return RedirectResponse(f"{self.callback}?{urlencode({**answer, 'state': state})}", 302)

    def _forget_old(self) -> None:
        now = time.monotonic()
        # Insertion order is age: the oldest are at the front.
        while self._codes and (len(self._codes) >= MOST_CODES or next(iter(self._codes.values()))[1] <= now):
            del self._codes[next(iter(self._codes))]

    def _choices(self, state: str) -> str:
        hidden = f'<input type="hidden" name="state" value="{html.escape(state)}">'
        people = "".join(
            f'<li><form method="post">{hidden}<button name="login" value="{html.escape(person.login)}">'
            f"{html.escape(person.name)} ({html.escape(person.login)})</button></form></li>"
            for person in self.people
        )
        return (
            f"<p>Sign in as a demo person:</p><ul>{people}</ul>"
            f'<form method="post">{hidden}<p><label>Or as any GitHub login: '
            '<input name="login" required maxlength="39" autocomplete="off" spellcheck="false"></label> '
            "<button>Sign in</button></p></form>"
            f'<form method="post">{hidden}<button name="cancel" value="1">Cancel</button></form>'
        )


def _shown(content: str, status: int = 200) -> HTMLResponse:
    style_hash = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>GitHub stand-in</title><style>{STYLE}</style><h1>GitHub stand-in</h1>"
        '<p class="note">This is not GitHub. It is a page of the embedded Supabase, '
        f"for laptops, tests and demos: it asks for no password and proves nothing.</p>{content}</html>",
        status,
        headers={
            "cache-control": "no-store",
            # No form-action: browsers hold the redirect to the app's own address to it as well.
            "content-security-policy": f"default-src 'none'; style-src 'sha256-{style_hash}'; "
            "frame-ancestors 'none'; base-uri 'none'",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )

"""The demo told to a running Verso, through the front door: people sign up, and do what the story says.

Everything here may be interrupted and done again: what is there already is left as it is, and the history
goes on after the last change that was accepted.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from app.cli.loopback import RefusedError, Site
from app.cli.story import read_story, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from app.cli.story import Account, Story, Told

MEMBERS = ("editor", "reviewer", "reader")


class Person(msgspec.Struct, frozen=True):
    """A demo person who is signed in."""

    id: str
    handle: str
    name: str
    email: str
    password: str
    access_token: str


def sign_in_all(
    supabase_url: str, publishable_key: str, accounts: Mapping[str, Account]
) -> dict[str, Person]:
    """Sign everybody in, signing up who has no account yet. Raises RefusedError, OSError."""

    def sign_in(account: Account) -> Person:
        with Site(supabase_url) as auth:
            return _sign_in(auth, publishable_key, account)

    # Side by side: a password takes 50 ms of CPU to check, on purpose.
    with ThreadPoolExecutor(len(accounts)) as threads:
        return dict(zip(accounts, threads.map(sign_in, accounts.values()), strict=True))


def _sign_in(auth: Site, publishable_key: str, account: Account) -> Person:
    key = {"apikey": publishable_key}
    known = {"email": account.email, "password": account.password}
    try:
        answer = auth.ask("POST", "/auth/v1/token?grant_type=password", value=known, headers=key)
    except RefusedError as refusal:
        if refusal.status != 400:  # noqa: PLR2004 - invalid_credentials: there's no such account yet
            raise
        about = {"full_name": account.name, "handle": account.handle}
        answer = auth.ask("POST", "/auth/v1/signup", value=known | {"data": about}, headers=key)
    session = answer.json()
    return Person(
        id=session["user"]["id"],
        handle=account.handle,
        name=account.name,
        email=account.email,
        password=account.password,
        access_token=session["access_token"],
    )


class Seeding:
    """The story's project, as the API at `api_url` has it."""

    def __init__(self, api_url: str, people: Mapping[str, Person], directory: Path) -> None:
        self._api_url = api_url
        self._people = people
        self._directory = directory
        self._story: Story = read_story(directory)

    @property
    def project(self) -> str:
        """The project's slug."""
        return self._story.project.slug

    def missing(self) -> int:
        """How many of the story's changes the project doesn't have yet. Raises RefusedError, OSError."""
        with Site(self._api_url) as api:
            return max(0, len(self._story.changes) - self._written(api))

    def run(self, *, unless: Callable[[], bool]) -> None:
        """Tell what is missing of the story, or a part of it when `unless` says so.

        Raises RefusedError, OSError, StoryError.
        """
        with Site(self._api_url) as api:
            written = self._written(api, make=True)
            heads: dict[str, str] = {}
            for sequence, told in enumerate(tell(self._story, self._directory), 1):
                if unless():
                    return
                if sequence <= written:
                    change = self._ask(api, "owner", "GET", f"{self._home}/changes/{sequence}")
                else:
                    change = self._write(api, told, heads=heads)
                heads |= {version["path"]: version["hash"] for version in change["versions"]}

    @property
    def _home(self) -> str:
        return f"/v1/projects/{self.project}"

    def _written(self, api: Site, *, make: bool = False) -> int:
        """How many changes the project has; `make` makes it, with members and sessions, if it isn't there."""
        try:
            project = self._ask(api, "owner", "GET", self._home)
        except RefusedError as refusal:
            if refusal.status != 404:  # noqa: PLR2004 - there's no such project yet
                raise
            if not make:
                return 0
            wanted = msgspec.to_builtins(self._story.project)
            project = self._ask(api, "owner", "POST", "/v1/projects", wanted)
        if make and not project["change_sequence"]:
            self._join(api)
        return int(project["change_sequence"])

    def _join(self, api: Site) -> None:
        for role in MEMBERS:
            self._ask(
                api, "owner", "PUT", f"{self._home}/members/{self._people[role].id}", value={"role": role}
            )
        for session in self._story.sessions:
            wanted = {
                name: value for name, value in msgspec.to_builtins(session).items() if value is not None
            }
            try:
                self._ask(api, "owner", "POST", f"{self._home}/sessions", wanted)
            except RefusedError as refusal:
                if refusal.status != 409:  # noqa: PLR2004 - it was made before an interruption
                    raise
            self._report(api, session.slug)

    def _report(self, api: Site, session: str) -> None:
        """Tell of a session's stages what isn't told yet."""
        stages = f"{self._home}/sessions/{session}/stages"
        told = len(self._ask(api, "owner", "GET", f"{stages}/history")["items"])
        for report in [each for each in self._story.reports if each.session == session][told:]:
            at = datetime.now(UTC) - timedelta(hours=report.hours_ago)
            body = {"state": report.state, "at": at, "run": report.run, "validation": report.validation}
            wanted = {name: msgspec.to_builtins(value) for name, value in body.items() if value is not None}
            self._ask(api, report.author, "POST", f"{stages}/{report.stage}/reports", wanted)

    def _write(self, api: Site, told: Told, *, heads: Mapping[str, str]) -> Any:
        items: list[dict[str, Any]] = [_written_item(path, text, heads) for path, text in told.texts.items()]
        change = told.change
        items += [{"path": path, "base": heads[path], "delete": True} for path in change.delete]
        items += [
            {"path": move.target, "from": move.source, "base": heads[move.source]} for move in change.move
        ]
        items += [
            {"path": back.path, "base": heads[back.path], "restore": back.version} for back in change.restore
        ]
        wanted = {"message": change.message, "items": items}
        return self._ask(api, change.author, "POST", f"{self._home}/changes", wanted)["change"]

    def _ask(self, api: Site, role: str, method: str, target: str, value: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self._people[role].access_token}"}
        return api.ask(method, quote(target), value=value, headers=headers).json()


def _written_item(path: str, text: str, heads: Mapping[str, str]) -> dict[str, Any]:
    media_type = "application/json" if path.endswith(".json") else "text/markdown"
    item = {"path": path, "text": text, "media_type": media_type}
    return item | ({"base": heads[path]} if path in heads else {"create": True})

"""A real Chromium at the front door: signing in, opening pages as somebody, and what must hold of every page."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Error as BrowserError

from tests.api.world import People

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page, ViewportSize

    from tests.api.world import Person

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Else it keeps a renderer in store for the next page, and starts one anew each time that it was taken.
    "--renderer-process-limit=1",
]
ROLES = ("owner", "editor", "reviewer", "reader", "outsider")
WIDE: ViewportSize = {"width": 1280, "height": 720}
"""What a page has unless it is told."""
NARROW: ViewportSize = {"width": 360, "height": 740}
KEPT = 8
"""Pages that wait for the next test, at most: each is a process of Chromium's."""
PATIENCE_MS = 30_000
"""How long a page is waited for, whatever is waited for on it."""


@dataclass(frozen=True)
class Lent:
    """A page, whose it is, and what kind of page; none is `apart`."""

    page: Page
    role: str | None
    kind: str | None


class Site:
    """The service in a browser; `people` are the same accounts for calls to the API."""

    def __init__(self, browser: Browser, url: str, states: dict[str, Any], people: dict[str, Person]) -> None:
        self.browser = browser
        self.url = url
        self.states = states
        self.people = people
        self._lent: list[Lent] = []
        self._kept: list[Lent] = []
        self._complaints: list[str] = []

    def members(self) -> People:
        return People(*(self.people[role] for role in ROLES))

    async def page(
        self, role: str | None, path: str | None = None, *, apart: bool = False, **options: Any
    ) -> Page:
        """A page in a context that no other has, as somebody or (None) as a stranger.

        Options are the context's: viewport, color_scheme, java_script_enabled, … An earlier test may have had the
        page, whose cookies and storage are as they were: a new one takes Chromium four times as long. Who adds
        routes or listeners, or other media, asks for one `apart`, which nobody has had or will have.
        """
        kind = None if apart else f"{role} {sorted(options.items())}"
        for each in reversed(self._kept):
            if each.kind == kind:
                self._kept.remove(each)
                page = each.page
                break
        else:
            page = await self._new_page(role, options)
        self._lent.append(Lent(page, role, kind))
        if path is not None:
            await page.goto(path)
        return page

    async def close(self, page: Page) -> None:
        """Done with a page."""
        [lent] = [each for each in self._lent if each.page is page]
        self._lent.remove(lent)
        if lent.kind is not None and await self._emptied(lent):
            self._kept.append(lent)
        else:
            await page.context.close()
        while len(self._kept) > KEPT:
            await self._kept.pop(0).page.context.close()

    async def close_all(self) -> None:
        for each in list(self._lent):
            await self.close(each.page)
        complaints, self._complaints = self._complaints, []
        assert not complaints, complaints

    async def _new_page(self, role: str | None, options: dict[str, Any]) -> Page:
        state = {} if role is None else {"storage_state": self.states[role]}
        context = await self.browser.new_context(base_url=self.url, **state, **options)
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("console", lambda said: self._note(said.type, said.text))
        return page

    async def _emptied(self, lent: Lent) -> bool:
        """Let a page be as it was before its test, if it can be."""
        page = lent.page
        with suppress(BrowserError):
            if page.context.pages == [page] and page.url.startswith(f"{self.url}/"):
                # Elsewhere first: it may keep something while it is left.
                await page.goto("/health/live")
                await page.evaluate("localStorage.clear(), sessionStorage.clear()")
                await page.context.clear_cookies()
                if lent.role is not None:
                    await page.context.add_cookies(self.states[lent.role]["cookies"])
                return True
        return False

    def _note(self, kind: str, text: str) -> None:
        # A page that answers 404 on purpose is told of in the console as well.
        if kind in {"error", "warning"} and "the server responded with a status of 4" not in text:
            self._complaints.append(f"{kind}: {text}")


async def sign_in(page: Page, login: str) -> None:
    """Sign a stranger in with GitHub, by clicking from the first page on."""
    await page.goto("/")
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await page.get_by_role("link", name="Sign in with GitHub").click()
    await page.get_by_label("Or as any GitHub login").fill(login)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.wait_for_url("/", wait_until="domcontentloaded")


def session_of(state: Any) -> dict[str, Any]:
    """The session of a browser's cookies, as Auth tells it to programs."""
    token = next(each["value"] for each in state["cookies"] if each["name"] == "verso-access")
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {"access_token": token, "user": {"id": claims["sub"], "email": claims.get("email", "")}}


async def click_through(target: Locator) -> None:
    """Click on what leads to another page, and wait until all of that page is there.

    After a click alone, what is read may still be the page before, or the next one's first half.
    """
    async with target.page.expect_navigation(wait_until="domcontentloaded"):
        await target.click()


async def check_page(page: Page) -> None:
    """What must hold of every page: axe finds nothing, nothing sticks out, one main heading, nobody's id is shown."""
    # Whoever waited for words of the page has perhaps only its first half.
    await page.wait_for_load_state("domcontentloaded")
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} pixels too wide"
    assert await page.locator("h1").count() == 1, page.url


async def check_everywhere(site: Site, role: str | None, path: str) -> None:
    """The checks of a page in light and dark, wide and narrow."""
    page = await site.page(role, path)
    await check_page(page)
    try:
        await page.set_viewport_size(NARROW)
        await page.emulate_media(color_scheme="dark")
        await page.goto(path)
        await check_page(page)
    finally:
        await page.set_viewport_size(WIDE)
        await page.emulate_media(color_scheme="light")
    await site.close(page)

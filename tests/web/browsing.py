"""A real Chromium at the front door: signing in, opening pages as somebody, and what must hold of every page."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from axe_playwright_python.async_playwright import Axe

from tests.api.world import People

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Locator, Page

    from tests.api.world import Person

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Else it keeps a renderer in store for the next page, and starts one anew each time that it was taken.
    "--renderer-process-limit=1",
]
ROLES = ("owner", "editor", "reviewer", "reader", "outsider")
NARROW = {"width": 360, "height": 740}
PATIENCE_MS = 30_000
"""How long a page is waited for, whatever is waited for on it."""


class Site:
    """The service in a browser; `people` are the same accounts for calls to the API."""

    def __init__(self, browser: Browser, url: str, states: dict[str, Any], people: dict[str, Person]) -> None:
        self.browser = browser
        self.url = url
        self.states = states
        self.people = people
        self._open: list[BrowserContext] = []
        self._complaints: list[str] = []

    def members(self) -> People:
        return People(*(self.people[role] for role in ROLES))

    async def page(self, role: str | None, path: str | None = None, **options: Any) -> Page:
        """A page in a context of its own, as somebody or (None) as a stranger.

        Options are the context's: viewport, color_scheme, java_script_enabled, …
        """
        state = {} if role is None else {"storage_state": self.states[role]}
        context = await self.browser.new_context(base_url=self.url, **state, **options)
        context.set_default_timeout(PATIENCE_MS)
        self._open.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("console", lambda said: self._note(said.type, said.text))
        if path is not None:
            await page.goto(path)
        return page

    async def close_all(self) -> None:
        for context in self._open:
            await context.close()
        self._open.clear()
        complaints, self._complaints = self._complaints, []
        assert not complaints, complaints

    def _note(self, kind: str, text: str) -> None:
        # A page that answers 404 on purpose is told of in the console as well.
        if kind in {"error", "warning"} and "the server responded with a status of 4" not in text:
            self._complaints.append(f"{kind}: {text}")


async def sign_in(browser: Browser, url: str, login: str) -> Any:
    """Sign in with GitHub, by clicking from the first page on; return the browser's cookies."""
    context = await browser.new_context(base_url=url)
    page = await context.new_page()
    await page.goto("/")
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await page.get_by_role("link", name="Sign in with GitHub").click()
    await page.get_by_label("Or as any GitHub login").fill(login)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.wait_for_url(f"{url}/")
    state = await context.storage_state()
    await context.close()
    return state


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
    page = await site.page(role, path, viewport={"width": 1280, "height": 900}, color_scheme="light")
    await check_page(page)
    await page.set_viewport_size(NARROW)
    await page.emulate_media(color_scheme="dark")
    await page.goto(path)
    await check_page(page)

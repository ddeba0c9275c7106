"""Screenshots of the main pages, of the demo: `python -m tests.web.screenshots`, while `verso dev` runs.

They go to docs/screenshots, in light and dark, wide and narrow: `… http://127.0.0.1:8000 [another folder]`. Look at
them before they are committed.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import async_playwright

from tests.stack import REPOSITORY
from tests.web.browsing import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Browser, Page

DIRECTORY = REPOSITORY / "docs" / "screenshots"
DEMO = "/p/idse-demo"
SPEC = f"{DEMO}/files/sessions/milkdown-crepe/specs/spec.md"
WIDE, NARROW = {"width": 1200, "height": 800}, {"width": 390, "height": 800}
SHOTS: dict[str, tuple[str | None, str, str, dict[str, int]]] = {
    "first-page": (None, "/", "light", WIDE),
    "project": ("mara", DEMO, "light", WIDE),
    "project-dark": ("mara", DEMO, "dark", WIDE),
    "project-narrow": ("mara", DEMO, "light", NARROW),
    "document": ("mara", SPEC, "light", WIDE),
    "history": ("mara", f"{DEMO}/history", "dark", WIDE),
    "change": ("mara", f"{DEMO}/changes/15", "light", WIDE),
    "pipelines": ("mara", f"{DEMO}/pipelines", "light", WIDE),
    "search": ("sam", f"{DEMO}/search?q=train", "light", WIDE),
    "edit": ("jonas", f"{DEMO}/edit/README.md", "light", WIDE),
    "conflict": ("jonas", f"{DEMO}/edit/sessions/milkdown-crepe/specs/spec.md", "light", WIDE),
    "session": ("mara", f"{DEMO}/sessions/milkdown-crepe", "light", WIDE),
    "people": ("mara", f"{DEMO}/people", "light", WIDE),
    "people-narrow": ("mara", f"{DEMO}/people", "dark", NARROW),
    "settings": ("mara", f"{DEMO}/settings", "light", WIDE),
    "audit": ("mara", f"{DEMO}/audit", "dark", WIDE),
    "import": ("mara", f"{DEMO}/import", "light", WIDE),
    "me": ("mara", "/me", "light", WIDE),
}
"""Name → who looks, at which page, in which colours, on which screen."""


SETTLED = 700
"""Milliseconds until plots are drawn and others are told of; a page with a stream of events is never idle."""


async def meet_a_conflict(page: Page) -> None:
    """Save the first rule of the spec otherwise, as if the version before the newest were the newest. Nothing is written."""
    document = await page.locator("[data-document]").get_attribute("data-document")
    answer = await page.request.get(f"/v1/documents/{document}/versions?limit=2")
    before = (await answer.json())["items"][1]["hash"]
    text = await page.get_by_label("Text").input_value()
    lines = [
        line.replace("within one second", "before anybody looks up") if line.startswith("1.") else line
        for line in text.split("\n")
    ]
    await page.get_by_label("Text").fill("\n".join(lines))
    await page.locator("input[name=base]").evaluate("(field, hash) => { field.value = hash }", before)
    async with page.expect_navigation():
        await page.get_by_role("button", name="Save").click()


DOING: dict[str, Callable[[Page], Awaitable[None]]] = {"conflict": meet_a_conflict}
"""What is done on a page before it is taken."""


async def take(url: str, directory: Path) -> None:
    """Take them all from the service at an address."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        states: dict[str, Any] = {}
        for name, (who, path, scheme, viewport) in SHOTS.items():
            if who is not None and who not in states:
                states[who] = await _sign_in(browser, url, who)
            context = await browser.new_context(
                base_url=url,
                viewport=viewport,
                color_scheme=scheme,
                storage_state=states[who] if who is not None else None,
            )
            page = await context.new_page()
            await page.goto(path, wait_until="load")
            if name in DOING:
                await DOING[name](page)
            await page.wait_for_timeout(SETTLED)
            # WebP takes a quarter of PNG's bytes; only Chromium's own protocol has it.
            devtools = await context.new_cdp_session(page)
            taken = await devtools.send("Page.captureScreenshot", {"format": "webp", "quality": 90})
            (directory / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))
            await context.close()
        await browser.close()


async def _sign_in(browser: Browser, url: str, who: str) -> Any:
    context = await browser.new_context(base_url=url)
    page = await context.new_page()
    await page.goto("/auth/login?provider=github&next=/")
    await page.locator(f"button[value={who}]").click()
    await page.wait_for_url(f"{url}/")
    state = await context.storage_state()
    await context.close()
    return state


if __name__ == "__main__":
    service = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    where = Path(sys.argv[2]) if len(sys.argv) > 2 else DIRECTORY
    where.mkdir(exist_ok=True)
    asyncio.run(take(service, where))
    for shot in sorted(where.glob("*.webp")):
        print(shot, f"{shot.stat().st_size // 1024} KB")  # noqa: T201

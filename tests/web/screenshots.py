"""Screenshots of the main pages, of the demo: `python -m tests.web.screenshots`, while `verso dev` runs.

They go to docs/screenshots, in light and dark, wide and narrow. Look at them before they are committed.
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
    from playwright.async_api import Browser

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
}
"""Name → who looks, at which page, in which colours, on which screen."""


async def take(url: str) -> None:
    """Take them all from the service at an address."""
    DIRECTORY.mkdir(exist_ok=True)
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
            await page.goto(path, wait_until="networkidle")
            # WebP takes a quarter of PNG's bytes; only Chromium's own protocol has it.
            devtools = await context.new_cdp_session(page)
            taken = await devtools.send("Page.captureScreenshot", {"format": "webp", "quality": 90})
            (DIRECTORY / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))
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
    asyncio.run(take(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"))
    for shot in sorted(Path(DIRECTORY).glob("*.webp")):
        print(shot.relative_to(REPOSITORY), f"{shot.stat().st_size // 1024} KB")  # noqa: T201

"""The pages of signing in: they look like the others, in the colours that were chosen."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import expect

from tests.api.world import Api, make_project
from tests.web.browsing import check_everywhere, check_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack import Stack
    from tests.web.browsing import Site

PAGES = ("/auth/login", "/auth/callback?code=gone", "/auth/session")
GROUND = "body => getComputedStyle(body).backgroundColor"


@pytest.mark.parametrize("path", PAGES)
async def test_they_hold_what_all_pages_hold(web: Site, path: str) -> None:
    await check_everywhere(web, None, path)


async def test_they_have_the_colours_that_were_chosen(web: Site) -> None:
    page = await web.page(None, "/", color_scheme="light")
    light = await page.locator("body").evaluate(GROUND)
    async with page.expect_navigation():  # until it has loaded
        await page.get_by_role("button", name="Dark").click()
    await expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    dark = await page.locator("body").evaluate(GROUND)
    assert dark != light
    for path in PAGES:
        answer = await page.goto(path)
        # Said by the first bytes: there is no moment in other colours.
        assert answer is not None
        assert 'data-theme="dark"' in (await answer.text())[:80]
        assert '<meta name="color-scheme" content="dark">' in await answer.text()
        assert await page.locator("body").evaluate(GROUND) == dark
        await check_page(page)


@pytest.fixture(scope="module")
def behind_https(stack: Stack) -> Iterator[Api]:
    """A server that people reach by https."""
    with Api(stack, public_url="https://verso.example.com") as running:
        yield running
    shutil.rmtree(running.directory)


def test_notices_travel_as_safely_as_sessions(site: Site, behind_https: Api) -> None:
    project = make_project(site.members())
    token = f"Bearer {project.people.owner.token}"
    for url, secure in ((site.url, False), (behind_https.url, True)):
        answer = httpx.post(
            f"{url}/p/{project.slug}/settings",
            data={"name": "Named", "description": ""},
            headers={"Authorization": token, "Accept": "text/html"},
            trust_env=False,
            timeout=30,
        )
        assert answer.status_code == 303
        left = answer.headers["set-cookie"]
        assert left.startswith("verso-notice=")
        assert ("; Secure" in left) is secure
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(left.split("; "))

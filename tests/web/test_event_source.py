"""A browser's own EventSource on the feed: signed in by its cookie, back by itself, ended with one's place."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Api

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.api.world import Project
    from tests.stack import Stack
    from tests.web.browsing import Site

FOLLOW = """project => {
    window.told = [];
    window.source = new EventSource(`/v1/projects/${project}/events`);
    for (const kind of ["ready", "change.added", "tag.added", "end"])
        window.source.addEventListener(kind, event => window.told.push([kind, event.lastEventId, JSON.parse(event.data)]));
}"""


async def until(page: Page, holds: str, seconds: float = 20) -> list[Any]:
    """What the page was told, once an expression is true there."""
    deadline = time.monotonic() + seconds
    while not await page.evaluate(holds):
        assert time.monotonic() < deadline, await page.evaluate("window.told")
        await asyncio.sleep(0.05)
    told: list[Any] = await page.evaluate("window.told")
    return told


async def test_a_page_hears_what_happens_and_that_its_person_was_removed(web: Site, project: Project) -> None:
    people = project.people
    page = await web.page("reviewer", "/")
    await page.evaluate(FOLLOW, project.id)
    await until(page, "told.length >= 1")
    project.written("heard.md", "1")
    kind, last, data = (await until(page, "told.length >= 2"))[1]
    assert (kind, last) == ("change.added", str(data["sequence"]))
    assert data["change"]["versions"][0]["path"] == "heard.md"
    member = f"{project.url}/members/{people.reviewer.id}"
    people.owner.delete(member).raise_for_status()
    told = await until(page, "source.readyState === EventSource.CLOSED")
    assert told[-1][2]["reason"] == "member_removed"
    people.owner.put(member, json={"role": "reviewer"}).raise_for_status()


@pytest.mark.slow
async def test_a_page_comes_back_by_itself_when_its_server_is_restarted(
    web: Site, project: Project, stack: Stack
) -> None:
    """Nothing is told twice and nothing is missing, although it happened while the server was away."""
    # Cookies are for a host, whatever its port.
    context = await web.browser.new_context(storage_state=web.states["reader"])
    with Api(stack) as other:
        page = await context.new_page()
        await page.goto(f"{other.url}/")
        await page.evaluate(FOLLOW, project.id)
        await until(page, "told.length >= 1")
        project.written("before.md", "1")
        await until(page, "told.length >= 2")
        other.kill()
        project.written("meanwhile.md", "1")
        other.__enter__()  # on the same listening socket
        told = await until(page, "told.length >= 4")
        assert [each[0] for each in told] == ["ready", "change.added", "ready", "change.added"]
        paths = [each[2]["change"]["versions"][0]["path"] for each in told if "change" in each[2]]
        assert paths == ["before.md", "meanwhile.md"]
        await context.close()
    shutil.rmtree(other.directory)

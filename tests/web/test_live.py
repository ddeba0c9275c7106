"""What others do appears without a reload, and who else is there is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.world import make_project
from tests.web.browsing import check_page

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


@pytest.fixture
def fresh(site: Site) -> Project:
    """A project of a test's own."""
    return make_project(site.members())


async def test_lists_and_figures_follow_what_happens(web: Site, fresh: Project) -> None:
    fresh.written("first.md", "# First\n")
    overview = await web.page("reader", f"/p/{fresh.slug}")
    history = await web.page("reader", f"/p/{fresh.slug}/history")
    board = await web.page("reader", f"/p/{fresh.slug}/pipelines")
    fresh.written("second.md", "# Second\n", by=fresh.people.owner)
    await overview.get_by_role("link", name="second.md").wait_for()
    await history.locator("#change-2").wait_for()
    editor = fresh.people.editor
    editor.post(f"{fresh.url}/sessions", json={"slug": "one"}).raise_for_status()
    report = f"{fresh.url}/sessions/one/stages/intent/reports"
    editor.post(report, json={"state": "in_progress"}).raise_for_status()
    await board.get_by_role("link", name="in progress").wait_for()
    await board.locator(".plot canvas").first.wait_for()
    await check_page(board)


async def test_the_open_document_says_that_it_has_a_newer_version(web: Site, fresh: Project) -> None:
    first = fresh.written("a.md", "one\n")
    reading = await web.page("reader", f"/p/{fresh.slug}/files/a.md")
    editing = await web.page("editor", f"/p/{fresh.slug}/edit/a.md")
    await editing.get_by_label("Text").fill("mine\n")
    fresh.written("a.md", "two\n", base=first["hash"], by=fresh.people.owner)
    for page in (reading, editing):
        await page.locator("#newer").wait_for()
        assert "owner wrote version 2 of this document." in await page.locator("#newer").inner_text()
    assert await editing.get_by_label("Text").input_value() == "mine\n"
    await check_page(reading)
    await reading.get_by_role("link", name="See what changed").click()
    await reading.locator("table.diff").wait_for()


async def test_who_else_is_there_is_told_and_goes(web: Site, fresh: Project) -> None:
    fresh.written("a.md", "one\n")
    reading = await web.page("reader", f"/p/{fresh.slug}/files/a.md")
    editing = await web.page("editor", f"/p/{fresh.slug}/edit/a.md")
    await reading.get_by_text("editor is editing").wait_for()
    await editing.get_by_text("reader is looking").wait_for()
    await editing.goto(f"/p/{fresh.slug}")
    await reading.locator("#presence").wait_for(state="hidden")


async def test_who_is_removed_hears_nothing_more(web: Site, fresh: Project) -> None:
    fresh.written("a.md", "one\n")
    page = await web.page("reader", f"/p/{fresh.slug}/files/a.md")
    await page.locator("#presence").wait_for(state="attached")
    await page.wait_for_timeout(500)
    reader = fresh.people.reader.get("/v1/me").json()["id"]
    fresh.people.owner.delete(f"{fresh.url}/members/{reader}").raise_for_status()
    await page.locator("#ended").wait_for()
    assert "You no longer follow this project" in await page.locator("#ended").inner_text()

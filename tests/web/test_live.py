"""What others do appears without a reload, and who else is there is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

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


async def test_people_come_and_go_while_somebody_fills_in_a_form(web: Site, fresh: Project) -> None:
    owner, people = fresh.people.owner, f"/p/{fresh.slug}/people"
    reader, editor, outsider = (getattr(fresh.people, role).id for role in ("reader", "editor", "outsider"))
    page = await web.page("owner", people)
    await page.locator(f"#member-{editor} summary").click()
    folders = page.locator(f"#folders-{editor}")
    await folders.fill("docs")
    await page.get_by_label("Who").fill("half an addr")
    await folders.focus()
    owner.put(f"{fresh.url}/members/{reader}", json={"role": "reviewer"}).raise_for_status()
    await expect(page.locator(f"#member-{reader} .line .badge")).to_have_text("reviewer")
    owner.put(f"{fresh.url}/members/{outsider}", json={"role": "reader"}).raise_for_status()
    await page.locator(f"#member-{outsider}").wait_for()
    invitation = {"email": "late@example.com", "role": "reader"}
    owner.post(f"{fresh.url}/invitations", json=invitation).raise_for_status()
    await page.get_by_text("late@example.com", exact=True).wait_for()
    owner.delete(f"{fresh.url}/members/{reader}").raise_for_status()
    await page.locator(f"#member-{reader}").wait_for(state="detached")
    # What was in use is as it was left: open, typed in, with the focus.
    await expect(folders).to_be_focused()
    assert await folders.input_value() == "docs"
    assert await page.get_by_label("Who").input_value() == "half an addr"
    await page.locator(f"#member-{editor}").get_by_role("button", name="Save").click()
    await page.get_by_text("The role is changed.").wait_for()
    await check_page(page)


async def test_settings_and_webhooks_follow_other_owners(web: Site, fresh: Project) -> None:
    owner = fresh.people.owner
    settings = await web.page("reader", f"/p/{fresh.slug}/settings")
    hooks = await web.page("owner", f"/p/{fresh.slug}/webhooks")
    owner.patch(fresh.url, json={"description": "Plans"}).raise_for_status()
    await settings.get_by_text("Plans").wait_for()
    owner.patch(f"{fresh.url}/rules", json={"tags_need_approval": True}).raise_for_status()
    await expect(settings.locator("section[aria-labelledby=rules] li").first).to_contain_text("yes")
    url = "https://example.com/live"
    owner.post(f"{fresh.url}/webhooks", json={"url": url}).raise_for_status()
    await hooks.get_by_role("link", name=url).wait_for()


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


async def test_a_page_that_can_t_follow_any_more_says_so_until_it_can(web: Site, fresh: Project) -> None:
    page = await web.page("reader", apart=True)
    await page.route("**/events?*", lambda route: route.fulfill(status=401))
    await page.goto(f"/p/{fresh.slug}")
    await expect(page.locator("#ended")).to_contain_text("not kept up to date")
    await page.unroute("**/events?*")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # back at the tab
    await page.locator("#ended").wait_for(state="detached")


async def test_who_is_removed_hears_nothing_more(web: Site, fresh: Project) -> None:
    fresh.written("a.md", "one\n")
    page = await web.page("reader")
    async with page.expect_response("**/events?*"):
        await page.goto(f"/p/{fresh.slug}/files/a.md")
    reader = fresh.people.reader.get("/v1/me").json()["id"]
    fresh.people.owner.delete(f"{fresh.url}/members/{reader}").raise_for_status()
    await page.locator("#ended").wait_for()
    assert "You no longer follow this project" in await page.locator("#ended").inner_text()

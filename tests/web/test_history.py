"""Timelines: of a project and of a document, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.browsing import check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


@pytest.fixture(scope="module")
def written(project: Project) -> Project:
    """54 changes, of which 53 are of one document."""
    base = None
    for number in range(1, 54):
        base = project.written("a.md", f"{number}\n", base=base)["hash"]
    project.change({"path": "b/c.md", "text": "c"}, message="Something else\n\nAnd why it is here.")
    project.people.editor.post(f"{project.url}/tags", json={"name": "first", "at": "1"}).raise_for_status()
    return project


async def test_a_projects_history_goes_back_to_its_first_change(web: Site, written: Project) -> None:
    await check_everywhere(web, "reader", f"/p/{written.slug}/history")
    page = await web.page("reader", f"/p/{written.slug}/history", java_script_enabled=False)
    assert await page.locator(".event").count() == 50
    await click_through(page.get_by_role("link", name="Older changes"))
    assert await page.locator(".event").count() == 4
    assert await page.locator("#change-1 .tag").inner_text() == "first"
    assert await page.get_by_role("link", name="Older changes").count() == 0


async def test_changes_are_found_by_words_and_by_path(web: Site, written: Project) -> None:
    page = await web.page("reader", f"/p/{written.slug}/history", java_script_enabled=False)
    await page.get_by_label("Words of the message").fill("something")
    await click_through(page.get_by_role("button", name="Filter"))
    assert await page.locator(".event").count() == 1
    await page.goto(f"/p/{written.slug}/history?prefix=b/")
    assert await page.locator(".event").count() == 1
    await page.goto(f"/p/{written.slug}/history?q=nowhere")
    assert "No change fits." in await page.get_by_role("main").inner_text()


async def test_a_documents_history(web: Site, written: Project) -> None:
    page = await web.page("reader", f"/p/{written.slug}/files/a.md")
    await page.keyboard.press("h")
    await page.wait_for_url(f"{web.url}/p/{written.slug}/documents/*")
    await check_everywhere(web, "editor", page.url.removeprefix(web.url))
    assert "53 versions" in await page.get_by_role("main").inner_text()
    for first in (33, 13):
        await click_through(page.get_by_role("link", name="Older versions"))
        await page.locator(f"#v{first}").wait_for()
    assert "added" in await page.locator("#v1").inner_text()
    await click_through(page.locator("#v2 .title a"))
    assert "This is version 2 of 53." in await page.get_by_role("main").inner_text()


async def test_verdicts_stand_beside_their_versions(web: Site, project: Project) -> None:
    first = project.written("reviewed.md", "one\n")
    second = project.written("reviewed.md", "two\n", base=first["hash"])
    for who, version, verdict in (
        (project.people.reviewer, first, "approve"),
        (project.people.owner, first, "approve"),
        (project.people.reviewer, second, "request_changes"),
        (project.people.owner, second, "approve"),
    ):
        body = {"verdict": verdict, "body": "A reason that no list needs."}
        who.post(f"/v1/versions/{version['hash']}/reviews", json=body).raise_for_status()
    page = await web.page("reader", f"/p/{project.slug}/documents/{first['document']}")
    badges = page.locator("#v2 .badge[class*=verdict]")
    assert await badges.all_inner_texts() == ["changes requested by reviewer", "approved by owner"]
    assert await page.locator("#v1 .badge[class*=verdict]").all_inner_texts() == ["approved by 2"]
    assert await page.locator("#v1 .verdict-approve").get_attribute("title") == "reviewer, owner"
    assert "A reason" not in await page.content()
    await check_page(page)
    await page.locator("#v1 .verdict-approve").click()
    await page.get_by_role("heading", name="Review Approved").wait_for()
    await page.goto(f"/p/{project.slug}/files/reviewed.md")
    await page.get_by_role("link", name="changes requested by reviewer").wait_for()
    await check_page(page)
    await page.goto(f"/p/{project.slug}/files/reviewed.md?at=v1")
    assert await page.locator(".stripe .verdict-approve").inner_text() == "approved by 2"

"""Search: from the field at the top, in what documents say and in what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.browsing import check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


@pytest.fixture(scope="module")
def written(project: Project) -> Project:
    first = project.written("one.md", "# One\n\nThe quick brown fox.\n", content_type="text/markdown")
    project.written(
        "one.md", "# One\n\nA & B: the slow snail.\n", base=first["hash"], content_type="text/markdown"
    )
    project.written("two.md", "Another snail.\n", content_type="text/markdown")
    return project


async def test_words_are_found_marked_and_lead_to_their_line(web: Site, written: Project) -> None:
    page = await web.page("reader", f"/p/{written.slug}")
    await page.keyboard.press("/")
    await page.keyboard.type("snails")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/search?q=snails")
    assert await page.locator(".hits > li").count() == 2
    assert await page.locator("mark").all_inner_texts() == ["snail", "snail"]
    hit = page.locator(".hits > li").filter(has_text="one.md")
    assert "slow snail" in await hit.inner_text()
    assert "[LF]" not in await hit.inner_text()
    await check_page(page)
    await click_through(hit.get_by_role("link", name="Line"))
    assert "snail" in await page.locator(".source").inner_text()
    await check_everywhere(web, "reader", f"/p/{written.slug}/search?q=snail")


async def test_what_was_said_once_is_found_in_all_versions(web: Site, written: Project) -> None:
    page = await web.page("reader", f"/p/{written.slug}/search?q=fox", java_script_enabled=False)
    assert "Nothing found." in await page.get_by_role("main").inner_text()
    await page.get_by_label("Where", exact=True).select_option("In all versions")
    await click_through(page.get_by_role("button", name="Search"))
    await click_through(page.get_by_role("link", name="one.md"))
    assert "quick brown fox" in await page.get_by_role("article").inner_text()


@pytest.mark.parametrize("query", ["?q=the", "", "?q=%00", "?q=-&in=all"])
async def test_queries_that_ask_for_nothing_are_no_fault(web: Site, written: Project, query: str) -> None:
    page = await web.page("reader")
    answer = await page.goto(f"/p/{written.slug}/search{query}")
    assert answer.status == 200

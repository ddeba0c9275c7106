"""Who wrote each line, and the way back to before that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.web.browsing import check_everywhere, click_through

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


async def test_lines_lead_to_what_wrote_them_and_to_before_that(web: Site, project: Project) -> None:
    first = project.written("told.md", "one\ntwo\n<b>three</b>\n")
    second = project.written(
        "told.md", "one\nTWO\n<b>three</b>\n", base=first["hash"], by=project.people.owner
    )
    address = f"/p/{project.slug}/documents/{second['document']}/blame"
    await check_everywhere(web, "reader", address)
    page = await web.page("reader", address, java_script_enabled=False)
    assert await page.locator(".came").count() == 3
    middle = page.locator(".came").nth(1)
    assert await middle.locator("code").all_inner_texts() == ["TWO"]
    assert "owner" in await middle.inner_text()
    assert await page.locator("code").all_inner_texts() == ["one", "TWO", "<b>three</b>"]
    await click_through(middle.get_by_role("link", name="before this"))
    assert await page.locator("code").all_inner_texts() == ["one", "two", "<b>three</b>"]
    assert await page.locator(".came").count() == 1
    await click_through(page.get_by_role("link", name="To the newest"))
    await click_through(page.locator(".came .why").nth(1))
    assert await page.locator("ins").count() == 1 or await page.locator("tr.added").count() == 1


async def test_many_lines_come_in_pages(web: Site, project: Project) -> None:
    made = project.written("long.md", "".join(f"line {number}\n" for number in range(1, 1502)))
    page = await web.page("reader", f"/p/{project.slug}/documents/{made['document']}/blame?line=700")
    assert await page.locator("code").count() == 1000
    await click_through(page.get_by_role("link", name="Lines 1001 and after"))
    assert await page.locator("#L1501 code").inner_text() == "line 1501"
    assert await page.get_by_role("link", name="Lines before").count() == 1

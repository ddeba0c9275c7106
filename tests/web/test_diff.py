"""What became different, and what people say of it beside the lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.web.browsing import check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.api.world import Project
    from tests.web.browsing import Site

LINES = [f"Line {number} of a text." for number in range(1, 61)]
EDITED = [*LINES[:9], "Line 10 of another text.", *LINES[10:]]
HOSTILE = '<script>document.title = "run"</script><img src=x onerror="document.title = \'run\'">'


@pytest.fixture(scope="module")
def document(project: Project) -> str:
    """A document of four versions; its second differs from the first in line 10."""
    first = project.written("a.md", "\n".join(LINES) + "\n")
    second = project.written("a.md", "\n".join(EDITED) + "\n", base=first["hash"])
    third = project.written("a.md", "\n".join([*EDITED, HOSTILE]) + "\n", base=second["hash"])
    project.written("a.md", "".join(f"{number}\n" for number in range(1500)), base=third["hash"])
    return str(first["document"])


async def test_two_versions_in_one_column_and_side_by_side(
    web: Site, project: Project, document: str
) -> None:
    address = f"/p/{project.slug}/documents/{document}/diff"
    for query in ("?to=2", "?to=2&view=split"):
        await check_everywhere(web, "reader", address + query)
    page = await web.page("reader", f"{address}?to=2", java_script_enabled=False)
    assert await page.locator("del").all_inner_texts() == ["a"]
    assert await page.locator("ins").all_inner_texts() == ["another"]
    assert await page.locator("#n10").count() == 1
    assert await page.get_by_role("link", name="Comment on line 10").count() == 0
    await click_through(page.get_by_role("link", name="Side by side"))
    assert await page.locator("table.split ins").all_inner_texts() == ["another"]
    await page.get_by_label("From version").fill("1")
    await page.get_by_label("to", exact=True).fill("3")
    await click_through(page.get_by_role("button", name="Compare"))
    assert "view=split" in page.url
    assert await page.locator("td.t.added").count() == 2


async def test_lines_that_moved_together_say_so_once_and_lead_there(web: Site, project: Project) -> None:
    moving = "".join(f"A sentence with the number {number * 37} that moves.\n" for number in range(8))
    staying = "".join(f"Another one about {number * 91} things.\n" for number in range(12))
    first = project.written("moved.md", moving + staying)
    project.written("moved.md", staying + moving, base=first["hash"])
    page = await web.page("reader", f"/p/{project.slug}/documents/{first['document']}/diff")
    went = page.locator("a.went")
    assert await went.all_inner_texts() == ["8 lines moved to line 13", "8 lines moved from line 1"]
    assert await page.locator("tr.moved").count() == 16
    await went.first.click()
    await expect(page).to_have_url(re.compile("#n13$"))


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_folded_lines_unfold(web: Site, project: Project, document: str, *, scripts: bool) -> None:
    address = f"/p/{project.slug}/documents/{document}/diff?to=2"
    page = await web.page("reader", address, java_script_enabled=scripts)
    assert await page.locator("tr.context").count() == 6
    await page.get_by_role("link", name="47 unchanged lines").click()
    await page.locator("#n60").wait_for()
    await expect(page.locator("tr.context")).to_have_count(53)
    assert ("open=" in page.url) is not scripts
    await check_page(page) if scripts else None


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_a_long_difference_comes_in_parts(
    web: Site, project: Project, document: str, *, scripts: bool
) -> None:
    address = f"/p/{project.slug}/documents/{document}/diff?to=4"
    page = await web.page("reader", address, java_script_enabled=scripts)
    assert await page.locator("tr.added, tr.removed").count() == 600
    await page.get_by_role("link", name="More lines").click()
    await page.get_by_text("Part 2 of 3, 1,561 lines").wait_for()
    await expect(page.locator("tr.added, tr.removed")).to_have_count(1200 if scripts else 600)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_a_comment_stands_beside_its_line_and_is_answered_and_resolved(
    web: Site, project: Project, document: str, *, scripts: bool
) -> None:
    address = f"/p/{project.slug}/documents/{document}/diff?to=2"
    words = f"Why another text, asks one {'with' if scripts else 'without'} scripts?"
    page = await web.page("reviewer", address, java_script_enabled=scripts)
    if scripts:  # what is typed goes along to another line; who cancels is where they were
        await page.get_by_role("link", name="Comment on line 9").click()
        await page.get_by_label("Comment on line 9", exact=True).fill(words)
        await page.get_by_role("link", name="Comment on line 10").click()
        await expect(page.get_by_label("Comment on line 10", exact=True)).to_have_value(words)
        await page.get_by_role("link", name="Cancel").click()
        await expect(page.get_by_role("link", name="Comment on line 10")).to_be_focused()
    await page.get_by_role("link", name="Comment on line 10").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Comment on line 10", exact=True).fill(words)
    await page.get_by_role("button", name="Comment", exact=True).click()
    await page.get_by_text("Your comment is there.").wait_for()
    thread = page.locator("#thread-10 .thread").filter(has_text=words)
    await thread.get_by_label("Your reply").fill("Because it is.")
    await thread.get_by_role("button", name="Reply").click()
    await thread.get_by_text("Because it is.").wait_for()
    await expect(thread.locator(".remark")).to_have_count(2)
    if scripts:
        await check_page(page)
    await thread.get_by_role("button", name="Resolve").click()
    await page.get_by_text("The thread is resolved.").wait_for()
    assert await thread.evaluate("thread => thread.open") is False
    later = await web.page("reader", f"/p/{project.slug}/documents/{document}/diff?to=3")
    assert await said(later, words) == 1
    assert await later.get_by_role("button", name="Reply").count() == 0


async def said(page: Page, words: str) -> int:
    return await page.locator(".thread").filter(has_text=words).count()


async def test_a_version_is_approved_and_that_is_withdrawn(
    web: Site, project: Project, document: str
) -> None:
    page = await web.page("reviewer", f"/p/{project.slug}/documents/{document}/diff?to=3")
    await page.get_by_label("Why (optional)").fill("Looks right.")
    await click_through(page.get_by_role("button", name="Approve"))
    state = page.locator("#review-title .badge")
    assert await state.inner_text() == "Approved"
    await check_page(page)
    await click_through(page.get_by_role("button", name="Withdraw mine"))
    assert await state.inner_text() == "Not reviewed"


async def test_what_can_t_be_sent_is_not_lost(web: Site, project: Project, document: str) -> None:
    page = await web.page("editor", f"/p/{project.slug}/documents/{document}/diff?to=3")
    await page.get_by_text("You wrote this version, so somebody else approves it.").wait_for()
    assert await page.get_by_role("button", name="Approve").count() == 0
    await page.get_by_label("Why (optional)").fill("I find my own work good.")
    # What isn't offered may be sent all the same: the database decides.
    button = page.get_by_role("button", name="Request changes")
    await button.evaluate("button => button.value = 'approve'")
    await click_through(button)
    assert await page.get_by_label("What you wrote").input_value() == "I find my own work good."
    assert "approve" in await page.get_by_role("alert").inner_text()
    await check_page(page)


async def test_a_change_shows_all_its_documents(web: Site, project: Project) -> None:
    made = project.change(
        {"path": "new.md", "text": "one\n"},
        {"path": "other.md", "text": HOSTILE},
        message="Two documents\n\nAnd why.",
    ).json()["change"]
    address = f"/p/{project.slug}/changes/{made['sequence']}"
    await check_everywhere(web, "reader", address)
    page = await web.page("reader", address)
    assert await page.locator("section.file").count() == 2
    assert "And why." in await page.get_by_role("main").inner_text()
    assert HOSTILE in await page.get_by_role("main").inner_text()
    assert await page.title() != "run"
    await page.get_by_role("link", name="Review").first.click()
    await page.locator("table.diff").wait_for()

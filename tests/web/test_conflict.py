"""Two people at one document: whoever is slower sees both texts, decides, and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.browsing import check_page, click_through

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.api.world import Project
    from tests.web.browsing import Site

TEXT = "one\n\ntwo\n\nthree\n"


async def met(
    web: Site, project: Project, path: str, *, theirs: str, yours: str, scripts: bool = False
) -> Page:
    """The editor's page after somebody else was faster."""
    first = project.written(path, TEXT)
    page = await web.page("editor", f"/p/{project.slug}/edit/{path}", java_script_enabled=scripts)
    project.written(path, theirs, base=first["hash"], by=project.people.owner)
    await page.get_by_label("Text").fill(yours)
    await click_through(page.get_by_role("button", name="Save"))
    await page.get_by_role("heading", name="Somebody was faster").wait_for()
    return page


def text_of(project: Project, path: str) -> str:
    return project.people.reader.get(project.file(path)).text


async def test_what_fits_together_is_proposed_merged(web: Site, project: Project) -> None:
    theirs, yours = "one, by owner\n\ntwo\n\nthree\n", "one\n\ntwo\n\nthree, by editor\n"
    page = await met(web, project, "fits.md", theirs=theirs, yours=yours)
    both = "one, by owner\n\ntwo\n\nthree, by editor\n"
    assert await page.get_by_label("The merged text").input_value() == both
    await click_through(page.get_by_role("button", name="Save this text"))
    assert "merged with what somebody else wrote" in await page.get_by_role("status").inner_text()
    assert text_of(project, "fits.md") == both
    made = project.history(project.people.reader.get(project.file("fits.md")).headers["verso-document"])
    assert (made[0]["parent"], made[0]["merged_from"]) == (made[1]["hash"], made[2]["hash"])


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_each_place_is_decided(web: Site, project: Project, *, scripts: bool) -> None:
    path = f"decided-{scripts}.md"
    theirs, yours = "ONE\n\ntwo\n\nTHREE", "Eins\n\ntwo\n\nDrei\nVier\n"
    page = await met(web, project, path, theirs=theirs, yours=yours, scripts=scripts)
    if scripts:
        await check_page(page)
    first, second = (page.locator("fieldset.conflict").nth(number) for number in range(2))
    await first.get_by_label("Theirs").check()
    await second.get_by_label("Both, yours first").check()
    await page.get_by_label("What changed").first.fill("Decided")
    await click_through(page.get_by_role("button", name="Save with these choices"))
    await page.get_by_role("status").filter(has_text="merged with").wait_for()
    assert text_of(project, path) == "ONE\n\ntwo\n\nDrei\nVier\nTHREE"
    shown = await page.get_by_role("main").inner_text()
    assert "Decided" in shown


async def test_by_hand_nothing_with_markers_is_saved_and_what_was_written_stays(
    web: Site, project: Project
) -> None:
    page = await met(web, project, "hand.md", theirs="ONE\n\ntwo\n\nthree\n", yours="1\n\ntwo\n\nthree\n")
    await page.get_by_text("Write it by hand instead").click()
    marked = await page.get_by_label("between markers").input_value()
    assert marked.startswith("<<<<<<< yours\n1\n=======\nONE\n>>>>>>> ")
    await click_through(page.get_by_role("button", name="Save this text"))
    assert "Markers" in await page.get_by_role("alert").nth(1).inner_text()
    assert await page.get_by_label("between markers").input_value() == marked
    await page.get_by_label("between markers").fill("one of both\n\ntwo\n\nthree\n")
    await click_through(page.get_by_role("button", name="Save this text"))
    assert text_of(project, "hand.md") == "one of both\n\ntwo\n\nthree\n"


async def test_who_is_slower_once_more_meets_that_too(web: Site, project: Project) -> None:
    page = await met(web, project, "twice.md", theirs="ONE\n\ntwo\n\nthree\n", yours="1\n\ntwo\n\nthree\n")
    head = project.people.reader.get(project.file("twice.md")).headers["etag"].strip('"')
    project.written("twice.md", "ONE\n\ntwo\n\nTHREE\n", base=head, by=project.people.owner)
    await page.get_by_role("radio", name="Yours 1").check()
    await click_through(page.get_by_role("button", name="Save with these choices"))
    assert await page.get_by_label("The merged text").input_value() == "1\n\ntwo\n\nTHREE\n"
    await click_through(page.get_by_role("button", name="Save this text"))
    assert text_of(project, "twice.md") == "1\n\ntwo\n\nTHREE\n"


async def test_who_leaves_the_conflict_undecided_has_the_text_still(web: Site, project: Project) -> None:
    page = await met(
        web, project, "left.md", theirs="ONE\n\ntwo\n\nthree\n", yours="1\n\ntwo\n\nthree\n", scripts=True
    )
    await page.goto(f"/p/{project.slug}/edit/left.md")
    await page.get_by_role("button", name="Put it back").click()
    assert await page.get_by_label("Text").input_value() == "1\n\ntwo\n\nthree\n"


async def test_a_document_that_went_away_meanwhile_leaves_the_text_in_the_form(
    web: Site, project: Project
) -> None:
    first = project.written("gone.md", TEXT)
    page = await web.page("editor", f"/p/{project.slug}/edit/gone.md", java_script_enabled=False)
    project.people.owner.delete(
        project.file("gone.md"), headers={"If-Match": f'"{first["hash"]}"'}
    ).raise_for_status()
    await page.get_by_label("Text").fill("kept\n")
    await click_through(page.get_by_role("button", name="Save"))
    assert await page.get_by_label("Text").input_value() == "kept\n"

"""From the first page to a project's first look."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from app.model import is_slug
from app.web.projects import slug_of
from tests.web.browsing import check_everywhere, check_page, sign_in

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


@pytest.fixture(scope="module")
def written(project: Project) -> Project:
    project.written("README.md", "# Hello\n\nA *first* text with [a link](docs/plan.md).\n")
    project.written("docs/plan.md", "# Plan\n", by=project.people.owner)
    return project


async def test_a_stranger_learns_what_verso_is_and_where_to_sign_in(web: Site) -> None:
    await check_everywhere(web, None, "/")


async def test_a_stranger_is_led_to_the_sign_in_and_back(web: Site, written: Project) -> None:
    page = await web.page(None, f"/p/{written.slug}/history?q=hello")
    assert page.url.startswith(f"{web.url}/auth/login?next=")
    await check_page(page)
    await page.get_by_role("link", name="Sign in with GitHub").click()
    await page.get_by_label("Or as any GitHub login").fill("reader")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.wait_for_url(f"{web.url}/p/{written.slug}/history?q=hello")


async def test_signing_out_ends_at_the_first_page(web: Site) -> None:
    leaver = await web.page(None)
    await sign_in(leaver, "leaver")
    await leaver.goto("/new")
    await leaver.locator("summary", has_text="Your account").click()
    await leaver.get_by_role("button", name="Sign out").click()
    await leaver.wait_for_url(f"{web.url}/")
    assert await leaver.get_by_role("main").get_by_role("link", name="Sign in").count() == 1


async def test_somebody_makes_a_project(web: Site) -> None:
    page = await web.page("owner", "/new")
    await check_page(page)
    name = f"Plans {uuid.uuid4().hex[:8]}"
    await page.get_by_label("Name", exact=True).fill(name)
    # As long as the field lets one write: a browser sends each line's end as two characters.
    await page.get_by_label("Description").fill(f"{'x' * 39}\n" * 100)
    await page.get_by_role("button", name="Make the project").click()
    await page.wait_for_url(f"{web.url}/p/{name.lower().replace(' ', '-')}")
    assert await page.get_by_role("status").inner_text() == "The project is made. Upload its first documents."
    await check_page(page)
    await page.reload()
    assert await page.get_by_role("status").inner_text() == ""


async def test_the_overview_says_what_changed_last_and_by_whom(web: Site, written: Project) -> None:
    path = f"/p/{written.slug}"
    await check_everywhere(web, "reader", path)
    page = await web.page("reader", path)
    folder = page.get_by_role("listitem").filter(has=page.get_by_role("link", name="docs"))
    assert "owner" in await folder.inner_text()
    document = page.get_by_role("listitem").filter(has=page.get_by_role("link", name="README.md"))
    assert "editor" in await document.inner_text()


async def test_everything_is_reached_by_keys_alone(web: Site, written: Project) -> None:
    page = await web.page("reader", f"/p/{written.slug}")
    await page.keyboard.press("Tab")
    assert await page.locator(":focus").inner_text() == "Skip to the content"
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_label("As it was after change number").focus()
    await page.keyboard.type("1")
    await page.keyboard.press("Escape")
    assert await page.get_by_label("As it was after change number").is_hidden()
    assert "Now" in await page.locator(":focus").inner_text()
    await page.keyboard.press("Enter")
    await page.get_by_label("As it was after change number").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**at=1")
    # Who dictates, or types by accident, switches keys of one letter off (WCAG 2.1.4).
    keys = page.get_by_role("button", name="Single-letter keys")
    await keys.click()
    assert await keys.get_attribute("aria-pressed") == "false"
    await page.keyboard.press("/")
    assert await page.locator(":focus").inner_text() == "Single-letter keys"
    await keys.click()
    await page.keyboard.press("/")
    assert await page.locator(":focus").get_attribute("id") == "find"


def test_a_short_name_is_made_of_a_name_in_any_letters() -> None:
    assert slug_of("Größe & Maß: Élan") == "grosse-mass-elan"
    assert is_slug(slug_of("計画"))
    assert slug_of("計画") != slug_of("計算")
    assert slug_of("") == ""


async def test_the_checks_of_pages_find_what_is_wrong(web: Site) -> None:
    page = await web.page(None, "/")
    await page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    with pytest.raises(AssertionError, match="button-name"):
        await check_page(page)
    await page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')")
    with pytest.raises(AssertionError, match="Content Security Policy"):
        await web.close_all()


async def test_what_isn_t_there_is_a_page_for_people_and_a_problem_for_programs(web: Site) -> None:
    page = await web.page(None, "/no/such/page")
    assert "Nothing at this address" in await page.get_by_role("heading").inner_text()
    await check_page(page)
    for path, accept in (("/no/such/page", "*/*"), ("/v1/no/such", "text/html")):
        answer = await page.request.get(path, headers={"Accept": accept})
        assert (answer.status, (await answer.json())["code"]) == (404, "not_found")


async def test_a_project_of_others_is_not_there(web: Site, written: Project) -> None:
    page = await web.page("outsider", f"/p/{written.id}")
    there = await page.get_by_role("main").inner_text()
    await page.goto(f"/p/{uuid.uuid4()}")
    nothing = await page.get_by_role("main").inner_text()
    assert there.split("request")[0] == nothing.split("request")[0]
    assert "The first page lists yours." in nothing
    assert await page.get_by_role("link", name="Sign in").count() == 0
    await check_page(page)

"""Members, invitations and agents of a project, and one's own account."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.api.world import Api, make_project, sign_in
from tests.web.browsing import NARROW, Site, check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser, Locator, Page

    from tests.api.world import Project
    from tests.stack import Stack


@pytest.fixture(scope="module")
def keyed(stack: Stack) -> Iterator[Api]:
    """A server that has the secret key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPABASE_SECRET_KEY", stack.secret_key)
        with Api(stack) as running:
            yield running
    shutil.rmtree(running.directory)


@pytest.fixture
async def keyed_web(browser: Browser, keyed: Api, site: Site) -> AsyncIterator[Site]:
    """The same people at that server: cookies go by host, not by port."""
    there = Site(browser, keyed.url, site.states, site.people)
    yield there
    await there.close_all()


def row_of(page: Page, name: str) -> Locator:
    return page.locator("ul.roster > li").filter(has_text=name).first


async def test_a_reader_sees_who_is_there_and_may_only_leave(web: Site, project: Project) -> None:
    await check_everywhere(web, "reader", f"/p/{project.slug}/people")
    page = await web.page("reader", f"/p/{project.slug}/people", java_script_enabled=False)
    assert await page.locator("section[aria-labelledby=members] .roster > li").count() == 4
    await page.locator("summary", has_text="Leave").click()
    assert await page.get_by_role("main").get_by_role("button").all_inner_texts() == ["Leave the project"]


async def test_an_owner_changes_roles_and_folders_and_removes(
    web: Site, project: Project, stack: Stack
) -> None:
    owner, name = project.people.owner, f"mia-{uuid.uuid4().hex[:8]}"
    spare = sign_in(stack, name)["user"]["id"]
    owner.put(f"{project.url}/members/{spare}", json={"role": "reader"}).raise_for_status()
    handle = next(
        each["person"]["handle"]
        for each in owner.get(f"{project.url}/members").json()["items"]
        if each["person"]["id"] == spare
    )
    page = await web.page("owner", f"/p/{project.slug}/people", java_script_enabled=False)
    row = row_of(page, handle)
    await row.locator("summary").click()
    await row.get_by_label("Role").select_option("editor")
    await row.get_by_label("Folders (of an editor)").fill("docs\n/nowhere/")
    await click_through(row.get_by_role("button", name="Save"))
    row = row_of(page, handle)
    assert await page.get_by_role("alert").count() == 1
    assert await row.get_by_label("Folders (of an editor)").input_value() == "docs\n/nowhere/"
    assert await row.get_by_label("Role").input_value() == "editor"
    await row.get_by_label("Folders (of an editor)").fill("docs\nplans")
    await click_through(row.get_by_role("button", name="Save"))
    assert await page.get_by_role("status").inner_text() == "The role is changed."
    assert "writes below docs, plans" in await row_of(page, handle).inner_text()
    await row_of(page, handle).locator("summary").click()
    await click_through(row_of(page, handle).get_by_role("button", name=f"Remove {handle}"))
    assert await page.get_by_role("status").inner_text() == "They are no member any more."
    assert await page.get_by_text(handle, exact=True).count() == 0


async def test_the_last_owner_stays(web: Site, project: Project) -> None:
    page = await web.page("owner", f"/p/{project.slug}/people")
    row = page.locator("ul.roster > li").filter(has_text="you").first
    await row.locator("summary").click()
    await check_page(page)
    await click_through(row.get_by_role("button", name="Leave the project"))
    await page.get_by_role("alert").wait_for()
    assert "owner" in await page.get_by_role("alert").inner_text()
    assert await page.locator("details.change[open]").count() == 1
    await check_page(page)


async def test_somebody_is_invited_and_the_invitation_is_taken_back(web: Site, project: Project) -> None:
    address = f"{uuid.uuid4().hex[:8]}@example.com"
    await check_everywhere(web, "owner", f"/p/{project.slug}/people")
    page = await web.page("owner", f"/p/{project.slug}/people", java_script_enabled=False)
    await page.get_by_label("Who").fill("no address")
    await page.get_by_label("As", exact=True).first.select_option("reviewer")
    await click_through(page.get_by_role("button", name="Invite"))
    assert await page.get_by_role("alert").count() == 1
    assert await page.get_by_label("Who").input_value() == "no address"
    await page.get_by_label("Who").fill(address)
    await click_through(page.get_by_role("button", name="Invite"))
    assert address in await page.get_by_role("status").inner_text()
    assert "reviewer" in await row_of(page, address).inner_text()
    await click_through(row_of(page, address).get_by_role("button"))
    assert await page.get_by_role("status").inner_text() == "The invitation is taken back."
    past = page.locator("#past li").filter(has_text=address)
    assert not await past.is_visible()
    assert await page.get_by_text(address, exact=True).count() == 1
    await page.locator("#past summary").click()
    assert "reviewer, taken back" in await past.inner_text()


async def test_people_are_looked_after_by_keyboard_on_a_phone(web: Site, project: Project) -> None:
    page = await web.page("owner", f"/p/{project.slug}/people", viewport=NARROW)

    async def go_to(target: Locator) -> None:
        for _ in range(60):
            if await target.evaluate("each => each === document.activeElement"):
                return
            await page.keyboard.press("Tab")
        raise AssertionError(f"{target} isn't reached by keyboard")

    await page.get_by_role("main").focus()
    row = page.locator(f"#member-{project.people.reader.id}")
    await go_to(row.locator("summary"))
    await page.keyboard.press("Enter")
    await go_to(row.get_by_label("Role"))
    await page.keyboard.type("reviewer")
    await go_to(row.get_by_role("button", name="Save"))
    await check_page(page)
    async with page.expect_navigation(wait_until="domcontentloaded"):
        await page.keyboard.press("Enter")
    await page.get_by_text("The role is changed.").wait_for()
    await expect(row.locator(".line .badge")).to_have_text("reviewer")
    address = f"{uuid.uuid4().hex[:8]}@example.com"
    await go_to(page.get_by_label("Who"))
    await page.keyboard.type(address)
    await page.keyboard.press("Enter")
    await page.get_by_text(f"{address} is invited.").wait_for()
    put = {"role": "reader"}
    project.people.owner.put(f"{project.url}/members/{project.people.reader.id}", json=put).raise_for_status()


async def test_how_an_invitation_ended_is_told_to_owners(web: Site) -> None:
    fresh = make_project(web.members())
    invited = fresh.people.owner.post(
        f"{fresh.url}/invitations", json={"email": fresh.people.outsider.email, "role": "reader"}
    )
    invited.raise_for_status()
    answer = f"/v1/me/invitations/{invited.json()['id']}/decline"
    fresh.people.outsider.post(answer).raise_for_status()
    page = await web.page("owner", f"/p/{fresh.slug}/people")
    await page.locator("#past summary").click()
    assert "reader, declined" in await page.locator("#past li").inner_text()
    await check_page(page)
    reader = await web.page("reader", f"/p/{fresh.slug}/people")
    assert await reader.locator("#past").count() == 0


async def test_an_agent_s_credential_is_shown_once(keyed_web: Site, project: Project) -> None:
    name = f"writer-{uuid.uuid4().hex[:6]}"
    page = await keyed_web.page("owner", f"/p/{project.slug}/people", apart=True, java_script_enabled=False)
    for given in ("Not a name!", name):
        if await page.locator("details.make").get_attribute("open") is None:
            await page.locator("summary", has_text="New agent").click()
        await page.get_by_label("Name", exact=True).fill(given)
        async with page.expect_response(lambda answer: answer.request.method == "POST") as answering:
            await click_through(page.get_by_role("button", name="Make the agent"))
    answer = await answering.value
    assert answer.headers["cache-control"] == "private, no-store"
    assert "verso-notice" not in str(await answer.all_headers())
    first = json.loads(await page.get_by_label("Credential").input_value())
    await click_through(page.get_by_role("link", name="I have kept it"))
    assert first["password"] not in await page.content()
    row = row_of(page, name)
    await row.locator("summary").click()
    await click_through(row.get_by_role("button", name="New credential"))
    assert json.loads(await page.get_by_label("Credential").input_value())["password"] != first["password"]
    shown = await keyed_web.page("owner", f"/p/{project.slug}/people", apart=True)
    await check_page(shown)
    await row_of(shown, name).locator("summary").click()
    await click_through(row_of(shown, name).get_by_role("button", name=re.compile("Revoke")))
    await shown.get_by_text(f"{name} is revoked").wait_for()
    assert "revoked" in await row_of(shown, name).inner_text()
    assert await row_of(shown, name).locator("summary").count() == 0


async def test_a_server_without_the_secret_key_says_whose_command_it_is(web: Site, project: Project) -> None:
    page = await web.page("owner", f"/p/{project.slug}/people")
    assert f"verso agents add {project.slug} NAME" in await page.get_by_role("main").inner_text()
    assert await page.get_by_role("button", name="Make the agent").count() == 0


async def test_an_archived_project_offers_only_what_it_takes(web: Site) -> None:
    archived = make_project(web.members())
    archived.people.owner.patch(archived.url, json={"archived": True}).raise_for_status()
    page = await web.page("owner", f"/p/{archived.slug}/people")
    await check_page(page)
    main = page.get_by_role("main")
    for name in ("Save", "Invite", "Make the agent"):
        assert await main.get_by_role("button", name=name, include_hidden=True).count() == 0
    row = row_of(page, "reader")
    await row.locator("summary").click()
    await row.get_by_role("button", name="Remove reader").click()
    await page.get_by_text("They are no member any more.").wait_for()
    await page.goto(f"/p/{archived.slug}/webhooks")
    assert await main.get_by_role("button").count() == 0
    await check_page(page)

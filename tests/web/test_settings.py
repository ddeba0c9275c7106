"""What owners set, tags, the audit trail, and one's own account."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.web.browsing import check_everywhere, check_page, click_through, sign_in

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


async def test_a_project_is_described_ruled_archived_and_reopened(web: Site, project: Project) -> None:
    address = f"/p/{project.slug}/settings"
    await check_everywhere(web, "owner", address)
    page = await web.page("owner", address, java_script_enabled=False)
    await page.get_by_label("Name", exact=True).fill("A\tname")
    await page.get_by_label("Description (may be empty)").fill("Plans of the house.")
    await click_through(page.get_by_role("button", name="Save"))
    assert "one line" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("Description (may be empty)").input_value() == "Plans of the house."
    await page.get_by_label("Name", exact=True).fill("The house")
    await click_through(page.get_by_role("button", name="Save"))
    await page.get_by_text("Saved.").wait_for()
    assert await page.title() == "Settings of The house · The house · Verso"
    await page.get_by_label("A tag needs every version").check()
    await click_through(page.get_by_role("button", name="Set the rules"))
    assert await page.get_by_label("A tag needs every version").is_checked()
    assert not await page.get_by_label("A stage is complete only when it has").is_checked()
    await page.locator("summary", has_text="Archive the project").click()
    await click_through(page.get_by_role("button", name="Archive The house"))
    assert await page.get_by_role("status").inner_text() == "The project is archived."
    assert await page.get_by_role("button", name="Save").count() == 0
    await check_everywhere(web, "owner", address)
    await click_through(page.get_by_role("button", name="Reopen the project"))
    await page.get_by_label("A tag needs every version").uncheck()
    await click_through(page.get_by_role("button", name="Set the rules"))
    assert not await page.get_by_label("A tag needs every version").is_checked()


async def test_a_reader_sees_the_settings_and_no_buttons(web: Site, project: Project) -> None:
    await check_everywhere(web, "reader", f"/p/{project.slug}/settings")
    page = await web.page("reader", f"/p/{project.slug}/settings")
    assert await page.get_by_role("main").get_by_role("button").count() == 0
    assert await page.get_by_role("link", name="Audit trail").count() == 0
    answer = await page.request.get(
        await page.get_by_role("link", name="Zip").get_attribute("href") or "", headers={"Accept": "*/*"}
    )
    assert (await answer.body()).startswith(b"PK")


async def test_tags_name_points_and_lead_there(web: Site, project: Project) -> None:
    project.written(f"{uuid.uuid4().hex}.md", "one")
    first = project.people.reader.get(project.url).json()["change_sequence"]
    project.written(f"{uuid.uuid4().hex}.md", "two")
    name = f"v-{uuid.uuid4().hex[:6]}"
    page = await web.page("editor", f"/p/{project.slug}/tags", java_script_enabled=False)
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("At (may be empty)").fill("#987654")
    await page.get_by_label("Why (may be empty)").fill("As it was sent.")
    await click_through(page.get_by_role("button", name="Make the tag"))
    assert await page.get_by_role("alert").count() == 1
    assert await page.get_by_label("Why (may be empty)").input_value() == "As it was sent."
    await page.get_by_label("At (may be empty)").fill(f"#{first}")
    await click_through(page.get_by_role("button", name="Make the tag"))
    assert await page.get_by_role("status").inner_text() == f"The tag {name} is made."
    await page.get_by_label("Name", exact=True).fill(name)
    await click_through(page.get_by_role("button", name="Make the tag"))
    assert "don't move" in await page.get_by_role("alert").inner_text() or name in str(
        await page.get_by_role("alert").inner_text()
    )
    await click_through(page.get_by_role("link", name=name))
    assert page.url.endswith(f"?at={first}")
    await check_everywhere(web, "editor", f"/p/{project.slug}/tags")
    await check_everywhere(web, "reader", f"/p/{project.slug}/tags")
    reader = await web.page("reader", f"/p/{project.slug}/tags")
    assert await reader.get_by_role("button", name="Make the tag").count() == 0


async def test_a_rule_refuses_a_tag_beside_what_was_typed(web: Site, project: Project) -> None:
    project.written(f"{uuid.uuid4().hex}.md", "one")
    rules = f"{project.url}/rules"
    project.people.owner.patch(rules, json={"tags_need_approval": True}).raise_for_status()
    page = await web.page("editor", f"/p/{project.slug}/tags")
    await page.get_by_label("Name", exact=True).fill("signed")
    await click_through(page.get_by_role("button", name="Make the tag"))
    assert "approv" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("Name", exact=True).input_value() == "signed"
    await check_page(page)
    project.people.owner.patch(rules, json={"tags_need_approval": False}).raise_for_status()


async def test_the_audit_trail_is_filtered_and_paged(web: Site, project: Project) -> None:
    address = f"/p/{project.slug}/audit"
    for _ in range(30):
        for needed in (True, False):
            project.people.owner.patch(
                f"{project.url}/rules", json={"tags_need_approval": needed}
            ).raise_for_status()
    await check_everywhere(web, "owner", address)
    page = await web.page("owner", address, java_script_enabled=False)
    assert await page.locator(".trail tbody tr").count() == 50
    await click_through(page.get_by_role("link", name="Older entries"))
    assert await page.locator(".trail tbody tr").count() > 10
    await page.get_by_label("Kind").select_option("member")
    await page.get_by_label("Person").fill("owner")
    await click_through(page.get_by_role("button", name="Filter"))
    await expect(page.locator(".trail .kind")).to_have_text(["member.added"] * 3)
    about = " ".join(await page.locator(".trail tbody th").all_inner_texts())
    assert "Added a member" in about
    assert f"{project.people.reader.handle}, role reader" in about
    assert project.people.reader.id not in about
    answer = await page.request.get(await page.get_by_role("link", name="CSV").get_attribute("href") or "")
    lines = (await answer.text()).splitlines()
    assert len(lines) == 3 + 1
    assert lines[0].startswith("at,last_at,")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_somebody_who_is_invited_accepts(web: Site, project: Project, *, scripts: bool) -> None:
    login = f"guest-{uuid.uuid4().hex[:8]}"
    page = await web.page(None, java_script_enabled=scripts)
    await sign_in(page, login)
    asked = {"role": "reviewer", "github_login": login}
    project.people.owner.post(f"{project.url}/invitations", json=asked).raise_for_status()
    await page.goto("/")
    if scripts:
        await check_page(page)
    await click_through(page.get_by_role("link", name="Answer"))
    if scripts:
        await check_page(page)
    await page.get_by_role("button", name="Accept").click()
    await page.get_by_text("You are a member of").wait_for()
    assert f"/p/{project.slug}" in page.url
    await page.goto("/me")
    assert await page.get_by_role("button", name="Accept").count() == 0


async def test_a_profile_is_changed_and_a_refusal_keeps_what_was_typed(web: Site) -> None:
    login = f"me-{uuid.uuid4().hex[:8]}"
    page = await web.page(None)
    await sign_in(page, login)
    await page.locator("summary", has_text="Your account").click()
    await click_through(page.get_by_role("link", name="Your account"))
    await check_page(page)
    await page.get_by_label("Name", exact=True).fill("Mia Muster")
    await page.get_by_label("Handle").fill("owner")
    await click_through(page.get_by_role("button", name="Save"))
    await page.get_by_role("alert").wait_for()
    assert await page.get_by_label("Name", exact=True).input_value() == "Mia Muster"
    await check_page(page)
    await page.get_by_label("Handle").fill(f"mia-{login}")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Saved.").wait_for()
    assert "Mia Muster" in await page.get_by_role("banner").inner_text()
    await click_through(page.get_by_role("link", name="All of it"))
    assert (
        "page.signed_in" in await page.get_by_role("main").inner_text()
        or await page.locator(".trail tbody tr").count()
    )
    await page.go_back()
    await page.get_by_role("button", name="Sign out everywhere").click()
    await page.wait_for_url(f"{web.url}/")
    await page.goto("/me")
    assert "/auth/login" in page.url


async def test_one_s_own_trail(web: Site) -> None:
    await check_everywhere(web, "owner", "/me")
    await check_everywhere(web, "owner", "/me/audit")

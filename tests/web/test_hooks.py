"""Webhooks in the settings, and sessions that are started and moved on."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.web.browsing import check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


async def test_a_webhook_s_key_is_shown_once_and_it_is_looked_after(web: Site, project: Project) -> None:
    address = f"/p/{project.slug}/webhooks"
    url = f"https://example.com/{uuid.uuid4().hex[:8]}"
    page = await web.page("owner", address, java_script_enabled=False)
    await page.get_by_label("Address").fill("https://127.0.0.1/inside")
    await page.get_by_label("Kinds (may be empty)").fill("change.* tag.added")
    await click_through(page.get_by_role("button", name="Add it"))
    assert "can't go there" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("Kinds (may be empty)").input_value() == "change.* tag.added"
    await page.get_by_label("Address").fill(url)
    async with page.expect_response(lambda answer: answer.request.method == "POST") as answering:
        await click_through(page.get_by_role("button", name="Add it"))
    assert (await answering.value).headers["cache-control"] == "private, no-store"
    key = await page.get_by_label("Key").input_value()
    assert key.startswith("whsec_")
    await click_through(page.get_by_role("link", name="I have kept it"))
    assert key not in await page.content()
    row = page.locator("ul.roster > li").filter(has_text=url)
    assert "change.*, tag.added" in await row.inner_text()
    await row.locator("summary").click()
    await click_through(row.get_by_role("button", name="Pause"))
    assert "is paused" in await page.get_by_role("status").inner_text()
    await check_everywhere(web, "owner", address)
    await row.locator("summary").click()
    await click_through(row.get_by_role("button", name="Resume where it was"))
    assert await page.get_by_role("status").inner_text() == "The webhook goes on."
    await click_through(row.get_by_role("link", name=url))
    await check_everywhere(web, "owner", page.url.removeprefix(web.url))
    await page.get_by_label("From event").fill("soon")
    await click_through(page.get_by_role("button", name="Send"))
    assert "numbers" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("From event").input_value() == "soon"
    await page.get_by_label("From event").fill("1")
    await click_through(page.get_by_role("button", name="Send"))
    assert "once more" in await page.get_by_role("status").inner_text()
    await page.goto(address)
    await row.locator("summary").click()
    await click_through(row.get_by_role("button", name="Remove it"))
    assert await page.get_by_role("status").inner_text() == "The webhook is removed."
    assert await row.count() == 0


async def test_a_webhook_is_changed_on_its_page(web: Site, project: Project) -> None:
    hooks, mark = f"{project.url}/webhooks", uuid.uuid4().hex[:8]
    made = project.people.owner.post(
        hooks, json={"url": f"https://example.com/{mark}", "kinds": ["tag.added"]}
    )
    page = await web.page("owner", f"/p/{project.slug}/webhooks", java_script_enabled=False)
    row = page.locator(f"#webhook-{made.json()['id']}")

    async def save(**fields: str) -> None:
        if await row.locator("details").get_attribute("open") is None:
            await row.locator("summary").click()
        for label, value in fields.items():
            await row.get_by_label(label).fill(value)
        await click_through(row.get_by_role("button", name="Save"))

    await save(Address="https://10.0.0.1/in", Kinds="tag.added")
    assert "can't go there" in await row.get_by_role("alert").inner_text()
    assert await row.get_by_label("Address").get_attribute("aria-invalid") == "true"
    await save(Address=f"https://example.com/{mark}/b", Kinds="changes")
    assert "changes is no kind of event" in await row.get_by_role("alert").inner_text()
    assert await row.get_by_label("Kinds").input_value() == "changes"
    assert await row.get_by_label("Address").get_attribute("aria-invalid") is None
    await check_page(await web.page("owner", f"/p/{project.slug}/webhooks"))
    await save(Kinds="change.*, stage.reported", **{"Path begins with": "docs/", "What it is for": "Builds"})
    assert "is changed" in await page.get_by_role("status").inner_text()
    now = next(
        each for each in project.people.owner.get(hooks).json()["items"] if each["id"] == made.json()["id"]
    )
    assert now["url"] == f"https://example.com/{mark}/b"
    assert now["kinds"] == ["change.*", "stage.reported"]
    assert (now["prefix"], now["description"]) == ("docs/", "Builds")
    await save(Kinds="", **{"Path begins with": ""})
    assert "every event" in await row.inner_text()
    assert made.json()["secret"] not in await page.content()


async def test_a_session_is_started_and_moved_on(web: Site, project: Project) -> None:
    title = f"The oven {uuid.uuid4().hex[:6]}"
    slug = title.lower().replace(" ", "-")
    page = await web.page("editor", f"/p/{project.slug}/pipelines", java_script_enabled=False)
    await page.get_by_role("link", name="New session").click()
    await page.get_by_label("Title").fill(title)
    await page.get_by_label("Kind").select_option("feature")
    await page.get_by_label("Folder").fill("a//b")
    await click_through(page.get_by_role("button", name="Start the session"))
    assert await page.get_by_role("alert").count() == 1
    assert await page.get_by_label("Title").input_value() == title
    await page.get_by_label("Kind").select_option("blueprint")
    await page.get_by_label("Folder").fill(f"ovens/{slug}")
    await click_through(page.get_by_role("button", name="Start the session"))
    assert page.url.endswith(f"/sessions/{slug}")
    await page.locator("summary", has_text="Change title and status").click()
    await page.get_by_label("Stands at").select_option("review")
    await click_through(page.get_by_role("button", name="Save"))
    assert await page.locator("h1 .badge").inner_text() == "review"
    await check_everywhere(web, "editor", f"/p/{project.slug}/sessions/{slug}")
    await check_everywhere(web, "editor", f"/p/{project.slug}/new-session")
    reader = await web.page("reader", f"/p/{project.slug}/pipelines")
    assert await reader.get_by_role("link", name="New session").count() == 0
    await reader.goto(f"/p/{project.slug}/sessions/{slug}")
    assert await reader.locator("summary", has_text="Change title").count() == 0


async def test_a_session_that_can_t_be_complete_yet_is_told_beside_what_was_typed(
    web: Site, project: Project
) -> None:
    slug = f"s-{uuid.uuid4().hex[:8]}"
    project.people.editor.post(f"{project.url}/sessions", json={"slug": slug}).raise_for_status()
    project.written(f"sessions/{slug}/specs/spec.md", "# Spec\n")
    rules = f"{project.url}/rules"
    project.people.owner.patch(rules, json={"completion_needs_approval": True}).raise_for_status()
    page = await web.page("editor", f"/p/{project.slug}/sessions/{slug}")
    await page.locator("summary", has_text="Change title and status").click()
    await page.get_by_label("Title").fill("Another title")
    await page.get_by_label("Stands at").select_option("complete")
    await click_through(page.get_by_role("button", name="Save"))
    await page.get_by_role("alert").wait_for()
    assert await page.get_by_label("Title").input_value() == "Another title"
    assert await page.get_by_label("Stands at").input_value() == "complete"
    await check_page(page)
    project.people.owner.patch(rules, json={"completion_needs_approval": False}).raise_for_status()

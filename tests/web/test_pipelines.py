"""The pipeline board, its figures and plots, and one session's stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import make_project
from tests.web.browsing import check_everywhere, check_page

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


@pytest.fixture(scope="module")
def session(project: Project) -> str:
    """A session whose intent is complete after two days, and whose context is in progress."""
    editor = project.people.editor
    made = {"slug": "crepe", "type": "blueprint", "title": "The crepe", "root": "sessions/crepe"}
    editor.post(f"{project.url}/sessions", json=made).raise_for_status()
    project.written("sessions/crepe/intents/intent.md", "# Intent\n")
    found = {"checks": 4, "errors": 0, "warnings": 1, "requires_input": 0}
    report(project, "intent", state="in_progress", run="run-7")
    report(project, "intent", state="complete", validation=found, note="All said.")
    report(project, "context", state="in_progress")
    return "crepe"


def report(project: Project, stage: str, **said: Any) -> None:
    url = f"{project.url}/sessions/crepe/stages/{stage}/reports"
    project.people.editor.post(url, json=said).raise_for_status()


async def test_the_board_tells_where_sessions_stand_and_leads_to_them(
    web: Site, project: Project, session: str
) -> None:
    for path in (f"/p/{project.slug}/pipelines", "/pipelines"):
        await check_everywhere(web, "reader", path)
    page = await web.page("reader", f"/p/{project.slug}/pipelines", java_script_enabled=False)
    row = page.get_by_role("row").filter(has_text="The crepe")
    words = [each.split("\n")[0] for each in await row.locator("td").all_inner_texts()]
    assert words == ["complete", "in progress", *["pending"] * 5]
    assert "1 session" not in await page.locator(".tiles").inner_text()
    assert "100%" in await page.locator(".tiles").inner_text()
    table = page.locator("#plot-throughput table")
    assert await table.locator("tbody tr").count() == 30
    assert await table.locator("tbody tr").last.locator("td").inner_text() == "1"
    await row.get_by_role("link", name="complete").click()
    assert page.url.endswith(f"/p/{project.slug}/sessions/{session}#stage-intent")


async def test_plots_are_drawn_from_the_tables_behind_them(web: Site, project: Project, session: str) -> None:
    page = await web.page("reader", f"/p/{project.slug}/pipelines")
    await page.locator(".plot canvas").first.wait_for()
    assert await page.locator(".plot canvas").count() == 4
    assert await page.locator(".plot details[open]").count() == 0
    # Drawn anew for other colours, and when something happens: a table that was opened stays so.
    await page.locator("#plot-throughput summary").click()
    await page.emulate_media(color_scheme="dark")
    report(project, "context", state="complete")
    row = page.get_by_role("row").filter(has_text="The crepe")
    await row.get_by_role("link", name="complete").nth(1).wait_for()
    await page.locator("#plot-throughput canvas").wait_for()
    assert await page.locator(".plot details[open]").count() == 1
    assert await page.locator("#plot-throughput tbody tr").last.locator("td").inner_text() == "2"
    await page.get_by_label("by", exact=True).select_option("week")
    await page.get_by_role("button", name="Show").click()
    await page.locator(".plot canvas").first.wait_for()
    assert "group=week" in page.url


async def test_a_project_without_sessions_has_no_empty_plots(web: Site) -> None:
    empty = make_project(web.members())
    await check_everywhere(web, "reader", f"/p/{empty.slug}/pipelines")
    page = await web.page("reader", f"/p/{empty.slug}/pipelines")
    await page.get_by_text("Nothing to plot in this period").wait_for()
    assert await page.locator("figure").count() == 0


async def test_a_stage_is_reported_from_its_page(web: Site, project: Project, session: str) -> None:
    address = f"/p/{project.slug}/sessions/{session}"
    await check_everywhere(web, "reader", address)
    page = await web.page("editor", address)
    spec = page.locator("#stage-spec")
    await spec.get_by_text("Report", exact=True).click()
    await check_page(page)
    stale = await web.page("editor", address, java_script_enabled=False)
    await spec.get_by_label("Note (may be empty)").fill("Begun by hand.")
    await spec.get_by_role("button", name="In progress").click()
    await page.get_by_text("Reported: spec is in progress.").wait_for()
    assert "Begun by hand." in await spec.inner_text()
    # Who looks at an older state is refused rather than writing over what he hasn't seen.
    await stale.locator("#stage-spec").get_by_text("Report", exact=True).click()
    await stale.locator("#stage-spec").get_by_role("button", name="Skipped").click()
    assert "409" in await stale.get_by_role("main").inner_text() or await stale.locator("h1").count() == 1
    reader = await web.page("reader", address)
    assert await reader.get_by_role("button", name="In progress").count() == 0
    assert await reader.locator("#stage-spec .state").inner_text() == "in progress"

"""The pipeline board, its figures and plots, and one session's stages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.api.world import make_project
from tests.web.browsing import check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.api.world import Project
    from tests.web.browsing import Site


@pytest.fixture
def project(site: Site) -> Project:
    """A project of a test's own: its figures are of nothing else."""
    return make_project(site.members())


@pytest.fixture
def completed(project: Project) -> str:
    """The day on which the intent of the session `crepe` was complete; its context is in progress."""
    editor = project.people.editor
    made = {"slug": "crepe", "type": "blueprint", "title": "The crepe", "root": "sessions/crepe"}
    editor.post(f"{project.url}/sessions", json=made).raise_for_status()
    project.written("sessions/crepe/intents/intent.md", "# Intent\n")
    found = {"checks": 4, "errors": 0, "warnings": 1, "requires_input": 0}
    report(project, "intent", state="in_progress", run="run-7")
    day = report(project, "intent", state="complete", validation=found, note="All said.")
    report(project, "context", state="in_progress")
    return day


def report(project: Project, stage: str, **said: Any) -> str:
    """Report a stage of the session; the day on which that was."""
    url = f"{project.url}/sessions/crepe/stages/{stage}/reports"
    answer = project.people.editor.post(url, json=said)
    answer.raise_for_status()
    return str(answer.json()["at"])[:10]


def stages_completed(page: Page, day: str) -> Locator:
    rows = page.locator("#plot-throughput tbody tr")
    return rows.filter(has=page.locator(f"time[datetime='{day}']")).locator("td")


async def test_the_board_tells_where_sessions_stand_and_leads_to_them(
    web: Site, project: Project, completed: str
) -> None:
    for path in (f"/p/{project.slug}/pipelines", "/pipelines"):
        await check_everywhere(web, "reader", path)
    page = await web.page("reader", f"/p/{project.slug}/pipelines", java_script_enabled=False)
    row = page.get_by_role("row").filter(has_text="The crepe")
    words = [each.split("\n")[0] for each in await row.locator("td").all_inner_texts()]
    assert words == ["complete", "in progress", *["pending"] * 5]
    assert "1 session" not in await page.locator(".tiles").inner_text()
    assert "100%" in await page.locator(".tiles").inner_text()
    assert await page.locator("#plot-throughput tbody tr").count() == 30
    assert await stages_completed(page, completed).inner_text() == "1"
    await click_through(row.get_by_role("link", name="complete"))
    assert page.url.endswith(f"/p/{project.slug}/sessions/crepe#stage-intent")


async def test_plots_are_drawn_from_the_tables_behind_them(
    web: Site, project: Project, completed: str
) -> None:
    page = await web.page("reader", f"/p/{project.slug}/pipelines", apart=True)
    await page.locator(".plot canvas").first.wait_for()
    await expect(page.locator(".plot canvas")).to_have_count(4)
    assert await page.locator(".plot details[open]").count() == 0
    # Drawn anew for other colours, and when something happens: a table that was opened stays so.
    await page.locator("#plot-throughput summary").click()
    await page.emulate_media(color_scheme="dark")
    days = Counter([completed, report(project, "context", state="complete")])
    row = page.get_by_role("row").filter(has_text="The crepe")
    await row.get_by_role("link", name="complete").nth(1).wait_for()
    await page.locator("#plot-throughput canvas").wait_for()
    await expect(page.locator(".plot details[open]")).to_have_count(1)
    for day, stages in days.items():
        await expect(stages_completed(page, day)).to_have_text(str(stages))
    await page.get_by_label("by", exact=True).select_option("week")
    await click_through(page.get_by_role("button", name="Show"))
    await page.locator(".plot canvas").first.wait_for()
    assert "group=week" in page.url


async def test_a_project_without_sessions_has_no_empty_plots(web: Site, project: Project) -> None:
    await check_everywhere(web, "reader", f"/p/{project.slug}/pipelines")
    page = await web.page("reader", f"/p/{project.slug}/pipelines")
    await page.get_by_text("Nothing to plot in this period").wait_for()
    assert await page.locator("figure").count() == 0


@pytest.mark.usefixtures("completed")
async def test_a_stage_is_reported_from_its_page(web: Site, project: Project) -> None:
    address = f"/p/{project.slug}/sessions/crepe"
    await check_everywhere(web, "reader", address)
    page = await web.page("editor", address)
    spec = page.locator("#stage-spec")
    await spec.get_by_text("Report", exact=True).click()
    await check_page(page)
    stale = await web.page("editor", address, java_script_enabled=False)
    await spec.get_by_label("Note (may be empty)").fill("Begun by hand.")
    await click_through(spec.get_by_role("button", name="In progress"))
    await page.get_by_text("Reported: spec is in progress.").wait_for()
    assert "Begun by hand." in await spec.inner_text()
    # Who looks at an older state is refused rather than writing over what he hasn't seen.
    await stale.locator("#stage-spec").get_by_text("Report", exact=True).click()
    await click_through(stale.locator("#stage-spec").get_by_role("button", name="Skipped"))
    assert "stage_moved" in await stale.get_by_role("main").inner_text()
    reader = await web.page("reader", address)
    assert await reader.get_by_role("button", name="In progress").count() == 0
    assert await reader.locator("#stage-spec .state").inner_text() == "in progress"

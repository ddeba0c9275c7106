"""Erasing from the pages: a look first, the hash repeated, the record for everybody."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.web.browsing import check_everywhere, check_page, click_through

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site


async def test_an_owner_looks_repeats_the_hash_and_erases(web: Site, project: Project) -> None:
    path = f"{uuid.uuid4().hex}.md"
    version = project.written(path, f"The secret is {path}.\n")
    address = f"/p/{project.slug}/erasures"
    page = await web.page("owner", address, java_script_enabled=False)
    await page.get_by_label("Hash", exact=True).fill("no hash")
    await click_through(page.get_by_role("button", name="Look what it touches"))
    assert "64 digits" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("Hash", exact=True).input_value() == "no hash"
    await page.get_by_label("Hash of a").select_option("version")
    await page.get_by_label("Hash", exact=True).fill(version["hash"])
    await click_through(page.get_by_role("button", name="Look what it touches"))
    assert path in await page.get_by_role("main").inner_text()
    looked = await web.page("owner", page.url.removeprefix(web.url))
    await check_page(looked)
    await page.get_by_label("Why").fill("Somebody asked for it.")
    await page.get_by_label("Repeat the SHA-256").fill("0" * 64)
    await click_through(page.get_by_role("button", name="Erase it for ever"))
    assert "Repeat the SHA-256" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("Why").input_value() == "Somebody asked for it."
    assert project.people.reader.get(project.file(path)).status_code == 200
    await page.get_by_label("Repeat the SHA-256").fill(version["sha256"])
    await click_through(page.get_by_role("button", name="Erase it for ever"))
    assert "gone for ever" in await page.get_by_role("status").inner_text()
    assert project.people.reader.get(project.file(path)).status_code == 410
    for role in ("owner", "reader"):
        await check_everywhere(web, role, address)
    reader = await web.page("reader", address)
    assert "Somebody asked for it." in await reader.get_by_role("main").inner_text()
    assert await reader.get_by_role("button", name="Look what it touches").count() == 0
    await reader.goto(f"/p/{project.slug}/files/{path}")
    assert "were erased" in await reader.get_by_role("main").inner_text()
    assert await reader.get_by_role("link", name="Download").count() == 0
    project.written(path, "written anew\n", base=version["hash"])
    editor = await web.page("editor", f"/p/{project.slug}/files/{path}?at={version['hash']}")
    assert "were erased" in await editor.get_by_role("main").inner_text()
    assert await editor.locator("a[href*='/restore/']").count() == 0

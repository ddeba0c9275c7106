"""A bundle of Git in a browser: looked at, imported with progress, gone on with, and refused where it is hostile."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import make_project
from tests.git.making import Maker, link
from tests.git.test_planning import text
from tests.web.browsing import check_page

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from tests.api.world import Project
    from tests.web.browsing import Site

BERT = "Bert Brüggel <bert@example.com>".encode()


@pytest.fixture
def git(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "repository.git")


def bundle(git: Maker, *names: str) -> bytes:
    made = git.path.with_suffix(".bundle")
    command = ["git", "-C", str(git.path), "bundle", "create", "-q", str(made), *(names or ("--all",))]
    subprocess.run(command, check=True, capture_output=True)
    return made.read_bytes()


async def choose(page: Page, content: bytes, name: str = "history.bundle") -> None:
    await page.get_by_label("Bundle", exact=True).set_input_files(
        [{"name": name, "mimeType": "", "buffer": content}]
    )


async def look(page: Page, content: bytes) -> str:
    """Choose a bundle and look; what is said of it."""
    await choose(page, content)
    await page.get_by_role("button", name="See what it would bring").click()
    await page.locator("#history-outcome > :not(input)").first.wait_for()
    return await page.locator("#history-outcome").inner_text()


def log(project: Project) -> list[Any]:
    return list(project.people.reader.get(f"{project.url}/history").json()["items"])


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_a_history_is_looked_at_and_every_commit_becomes_a_change(
    web: Site, git: Maker, *, scripts: bool
) -> None:
    project = make_project(web.members())
    first = git.commit({"a.md": text(1), ".env": b"S=1\n"})
    second = git.commit({"b.md": text(1) + b"x\n", "l": link("b.md")}, first, author=BERT)
    git.tag("v1", second, "The first one\n")
    content = bundle(git)
    page = await web.page("owner", f"/p/{project.slug}/import", java_script_enabled=scripts)
    told = await look(page, content)
    assert "2 commits by 2 authors" in told
    assert "1 new tag" in told
    assert ".env: may hold credentials" in told
    assert log(project) == []
    if scripts:
        await check_page(page)
    else:
        assert "Choose the bundle again" in told
        await choose(page, content)
    await page.get_by_role("button", name="Import 2 commits").click()
    await page.get_by_text("Proven: 2 commits read back").wait_for()
    told = await page.locator("#history-outcome").inner_text()
    assert "Imported: 2 commits by 2 authors" in told
    assert "1 tree has Git's own id, 1 equals Git's without what was left out" in told
    made = log(project)
    assert [(each["author_name"], each["origin"]["id"]) for each in made] == [
        ("Anna", first),
        ("Bert Brüggel", second),
    ]
    await page.get_by_role("link", name="See the history").click()
    await page.get_by_text("Bert Brüggel").first.wait_for()

"""A bundle of Git in a browser: looked at, imported with progress, gone on with, and refused where it is hostile."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tests.api.world import Api, make_project
from tests.git.making import Maker, link
from tests.git.test_planning import text
from tests.web.browsing import check_everywhere, check_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.async_api import Page

    from tests.api.world import Project
    from tests.stack import Stack
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
    await page.wait_for_load_state("domcontentloaded")  # without scripts this is another page
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
    git.tag("v1.0", second, "The first one\n")
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
    await page.wait_for_load_state("domcontentloaded")
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


async def test_how_far_it_is_is_shown_while_it_goes_on(web: Site, git: Maker) -> None:
    project = make_project(web.members())
    git.line(*({"a.md": b"%d\n" % n} for n in range(120)))
    page = await web.page("owner", f"/p/{project.slug}/import")
    await look(page, bundle(git))
    await page.evaluate(
        """() => {
          window.told = [];
          const box = document.querySelector("form[action$='/history'] .progress");
          new MutationObserver((changes) => {
            for (const change of changes) for (const node of change.addedNodes) window.told.push(node.data);
          }).observe(box, { childList: true, subtree: true });
        }"""
    )
    await page.get_by_role("button", name="Import 120 commits").click()
    await page.get_by_text("every tree has Git's own id").wait_for()
    told = await page.evaluate("window.told")
    assert "120 of 120 commits imported" in told
    assert "120 of 120 commits proven" in told
    assert [re.sub(r"^\d+ of 120 ", "", each) for each in told].index("commits imported") > told.index(
        "Reading the bundle"
    )
    assert await page.get_by_role("progressbar", include_hidden=True).last.is_hidden()


async def test_a_second_time_nothing_is_new_and_a_longer_bundle_goes_on(web: Site, git: Maker) -> None:
    project = make_project(web.members())
    made = git.line({"a.md": b"1\n"}, {"a.md": b"2\n"})
    page = await web.page("owner")
    for more in (0, 2):
        for n in range(more):
            made.append(git.commit({"a.md": b"2\n", "b.md": b"%d\n" % n}, made[-1]))
        await page.goto(f"/p/{project.slug}/import")
        await look(page, bundle(git))
        await page.get_by_role("button", name="Import 2 commits").click()
        await page.get_by_text(f"Proven: {2 + more} commits read back").wait_for()
        assert [each["origin"]["id"] for each in log(project)] == made
        await page.goto(f"/p/{project.slug}/import")
        assert f"{2 + more} commits are here already" in await page.get_by_role("main").inner_text()
        told = await look(page, bundle(git))
        assert f"Nothing is new: all {2 + more} commits of main are here." in told
        assert await page.get_by_role("button", name="Import", exact=False).count() == 0
    await check_everywhere(web, "owner", f"/p/{project.slug}/import")


async def test_a_branch_after_the_other_and_only_a_part_of_them(web: Site, git: Maker) -> None:
    project = make_project(web.members())
    first = git.commit({"a.md": b"1\n", "src/a.c": b"1\n"})
    git.branch("draft", git.commit({"a.md": b"2\n", "src/a.c": b"1\n"}, first))
    git.branch("main", first)
    page = await web.page("owner", f"/p/{project.slug}/import")
    await page.get_by_text("Only a part of it").click()
    await page.get_by_label("Without paths like").fill("src/")
    assert "1 commit by 1 author" in await look(page, bundle(git))
    await page.get_by_role("button", name="Import 1 commit").click()
    await page.get_by_text("Proven: 1 commit read back; 0 trees have Git's own id, 1 equals").wait_for()
    await page.get_by_role("button", name="Look again").click()
    await page.get_by_text("Nothing is new").wait_for()
    await page.get_by_label("Branch").select_option("draft")
    await page.get_by_role("button", name="Look again").click()
    await page.get_by_role("button", name="Import 1 commit").click()
    await page.get_by_text("Proven: 2 commits read back; 0 trees have Git's own id, 2 equal").wait_for()
    assert [version["path"] for change in log(project) for version in change["versions"]] == ["a.md", "a.md"]


async def test_what_was_not_looked_at_is_not_imported(web: Site, git: Maker) -> None:
    project = make_project(web.members())
    git.line({"a.md": b"1\n"})
    page = await web.page("owner", f"/p/{project.slug}/import", java_script_enabled=False)
    await look(page, bundle(git))
    git.commit({"a.md": b"2\n"}, str(git.repository.head.target))
    await choose(page, bundle(git))
    await page.get_by_role("button", name="Import 1 commit").click()
    await page.get_by_text("This is not what you looked at").wait_for()
    assert log(project) == []


async def test_only_owners_are_offered_it_and_only_where_it_can_be(web: Site, project: Project) -> None:
    project.written("native.md", "written here")
    for role in ("reader", "editor"):
        page = await web.page(role, f"/p/{project.slug}/import")
        assert await page.get_by_label("Bundle", exact=True).count() == 0
        assert "Owners import Git histories." in await page.get_by_role("main").inner_text()
    page = await web.page("owner", f"/p/{project.slug}/import")
    assert await page.get_by_label("Bundle", exact=True).count() == 0
    assert "Something was written here already." in await page.get_by_role("main").inner_text()


async def test_what_was_written_meanwhile_is_told_before_the_bytes_travel(web: Site, git: Maker) -> None:
    project = make_project(web.members())
    git.line({"a.md": b"1\n"})
    page = await web.page("owner", f"/p/{project.slug}/import")
    project.written("native.md", "written here")
    await choose(page, bundle(git))
    await page.get_by_role("button", name="See what it would bring").click()
    await page.get_by_text("nothing more is imported into it").wait_for()


def broken(name: str, git: Maker) -> bytes:
    git.line(*({"a.md": text(n)} for n in range(5)))
    whole = bundle(git)
    return {
        "no bundle": b"hello",
        "half of one": whole[: len(whole) // 2],
        "of another kind": whole.replace(
            b"# v2 git bundle\n", b"# v3 git bundle\n@object-format=sha256\n", 1
        ),
        "without its beginning": bundle(git, "main~2..main") if name == "without its beginning" else b"",
    }[name]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no bundle", "doesn't begin as a bundle does"),
        ("half of one", "it came damaged or not whole"),
        ("of another kind", "uses SHA-256"),
        ("without its beginning", "goes on from commits that it doesn't have"),
    ],
)
async def test_a_bundle_that_is_none_is_refused_in_words(
    web: Site, git: Maker, name: str, words: str
) -> None:
    project = make_project(web.members())
    page = await web.page("owner", f"/p/{project.slug}/import", java_script_enabled=name != "half of one")
    assert words in await look(page, broken(name, git))
    assert await page.get_by_role("alert").count() == 1
    assert await page.get_by_role("button", name="Import", exact=False).count() == 0
    assert log(project) == []


class Script:
    """What the page's script does, with the reins in hand."""

    def __init__(self, url: str, token: str, project: Project) -> None:
        self._there: dict[str, Any] = {"base_url": url, "headers": {"Authorization": f"Bearer {token}"}}
        self._address = f"/p/{project.slug}/import/history"
        self.looked = ""

    def send(self, content: bytes, act: str) -> Iterator[dict[str, Any]]:
        """The lines of the answer; whoever stops taking them cuts the connection."""
        with (
            httpx.Client(**self._there, timeout=60, trust_env=False) as client,
            client.stream(
                "POST",
                self._address,
                data={"act": act, "looked": self.looked},
                files={"bundle": ("history.bundle", content)},
                headers={"Accept": "text/html, application/x-ndjson"},
            ) as answer,
        ):
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/x-ndjson"
            for line in answer.iter_lines():
                told = json.loads(line)
                if "html" in told:
                    self.looked = told["html"].partition('name="looked" value="')[2].partition('"')[0]
                yield told

    def last(self, content: bytes, act: str) -> str:
        return str(list(self.send(content, act))[-1]["html"])


def test_an_import_whose_connection_is_cut_goes_on_when_it_is_sent_again(
    web: Site, git: Maker, api: Api
) -> None:
    project = make_project(web.members())
    made = git.line(*({"a.md": b"%d\n" % n} for n in range(250)))
    content = bundle(git)
    script = Script(web.url, web.people["owner"].token, project)
    script.last(content, "look")
    for line in script.send(content, "import"):
        if line.get("what") == "commits imported" and line["done"]:
            break
    assert len(imported(project)) >= 100
    until_idle(api)  # what was cut off ends by itself
    for _ in range(5):  # a batch may have been on its way to the database, and be there later
        script.last(content, "look")
        told = script.last(content, "import")
        if "Proven" in told:
            break
    assert "Proven: 250 commits read back; every tree has Git's own id" in told
    assert imported(project) == made


def until_idle(api: Api) -> None:
    deadline = time.monotonic() + 30
    while reads(api):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def reads(api: Api) -> bool:
    """Whether a service has a process that reads a bundle, or anything left of one."""
    with contextlib.suppress(psutil.Error):
        for each in psutil.Process(api.pid).children():
            if "app.sources.git.worker" in each.cmdline():
                return True
    return any(api.spool.glob(".verso-arriving-*/"))


def imported(project: Project) -> list[str]:
    """The imported commits, all of them."""
    found: list[str] = []
    address: str | None = f"{project.url}/imports/git/commits?limit=200"
    while address is not None:
        answer = project.people.owner.get(address)
        found += [each["origin_id"] for each in answer.json()["items"]]
        address = answer.links.get("next", {}).get("url")
    return found


def test_an_import_that_takes_too_long_is_stopped_and_leaves_nothing_behind(
    web: Site, git: Maker, stack: Stack
) -> None:
    project = make_project(web.members())
    git.line({"a.md": b"1\n"})
    with Api(stack, import_seconds=0.01) as hasty:
        script = Script(hasty.url, web.people["owner"].token, project)
        assert "takes longer than an import may here" in script.last(bundle(git), "look")
        until_idle(hasty)
        assert list(hasty.spool.iterdir()) == []

"""An archive in a browser: looked at, imported as one change, and refused whole where it is hostile."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.api.world import make_project
from tests.web.browsing import check_everywhere, check_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from playwright.async_api import Page

    from tests.api.world import Project
    from tests.web.browsing import Site

MIB = 1024 * 1024


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def tarred(*members: tuple[str, bytes, bytes], mode: str = "w:gz") -> bytes:
    """Members are a name, a kind (tarfile.REGTYPE, SYMTYPE, …) and a content or a link's target."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content.decode()
                archive.addfile(info)
    return bytes(made.getvalue())


async def look(page: Page, name: str, content: bytes) -> str:
    """Choose an archive and look; what is said of it."""
    await page.get_by_label("Archive", exact=True).set_input_files(
        [{"name": name, "mimeType": "", "buffer": content}]
    )
    await page.get_by_role("button", name="See what it would do").click()
    await page.locator("#outcome > :not(input)").first.wait_for()
    await page.wait_for_load_state("domcontentloaded")  # without scripts this is another page
    return await page.locator("#outcome").inner_text()


def heads(project: Project) -> dict[str, str]:
    tree = project.people.reader.get(f"{project.url}/tree", params={"limit": 200}).json()
    return {entry["path"]: entry["sha256"] for entry in tree["items"]}


def sequence(project: Project) -> int:
    return int(project.people.reader.get(project.url).json()["change_sequence"])


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_a_zip_is_looked_at_and_becomes_one_change(web: Site, *, scripts: bool) -> None:
    project = make_project(web.members())
    project.written("in/same.md", "same\n")
    project.written("in/old.md", "old\n")
    content = zipped(
        {"top/same.md": "same\n", "top/old.md": "new\n", "top/a/b.md": "# B\n", "top/.env": "S=1"}
    )
    page = await web.page("editor", f"/p/{project.slug}/import", java_script_enabled=scripts)
    await page.get_by_label("Into the folder").fill("in")
    await page.get_by_label("Without the archive's outermost folder").check()
    before = sequence(project)
    told = await look(page, "docs.zip", content)
    assert "1 added, 1 changed, 1 unchanged, 1 skipped" in told
    assert ".env: may hold credentials" in told
    assert sequence(project) == before
    if scripts:
        await check_page(page)
    else:
        assert "Choose the archive again" in told
        await page.get_by_label("Archive", exact=True).set_input_files(
            [{"name": "docs.zip", "mimeType": "", "buffer": content}]
        )
    await page.get_by_role("button", name="Import 2 documents").click()
    await page.wait_for_url(f"**/changes/{before + 1}")
    assert await page.locator("#notices").inner_text() == f"2 documents are imported as change #{before + 1}."
    assert project.people.reader.get(project.file("in/old.md")).text == "new\n"
    assert project.people.reader.get(project.file("in/a/b.md")).text == "# B\n"
    assert sequence(project) == before + 1


async def test_a_tar_gz_with_links_inside_and_out(web: Site) -> None:
    project = make_project(web.members())
    content = tarred(
        ("a.md", tarfile.REGTYPE, b"# A\n"),
        ("inside", tarfile.SYMTYPE, b"a.md"),
        ("outside", tarfile.SYMTYPE, b"../../etc/passwd"),
        ("absolute", tarfile.SYMTYPE, b"/etc/passwd"),
        ("hard", tarfile.LNKTYPE, b"a.md"),
        ("pipe", tarfile.FIFOTYPE, b""),
    )
    page = await web.page("owner", f"/p/{project.slug}/import")
    told = await look(page, "a.tar.gz", content)
    assert "2 added, 0 changed, 0 unchanged, 4 skipped" in told
    await page.get_by_role("button", name="Import 2 documents").click()
    await page.wait_for_url("**/changes/1")
    assert sorted(heads(project)) == ["a.md", "inside"]


def encrypted() -> bytes:
    content = bytearray(zipped({"a.md": "secret"}))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + at] |= 1
    return bytes(content)


def long_directory() -> bytes:
    """A zip that says of its directory that it has 3 GiB."""
    content = bytearray(zipped({"a.md": "a"}))
    struct.pack_into("<L", content, content.rindex(b"PK\x05\x06") + 12, 3 * 1024 * MIB)
    return bytes(content)


def long_header() -> bytes:
    """A tar.gz whose first header goes on for 64 MiB."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 64 * MIB
    return gzip.compress(info.tobuf() + b"9" * (64 * MIB))


def skipped_bomb() -> bytes:
    """A tar.gz that is nearly all in what is left out."""
    return tarred((".env", tarfile.REGTYPE, b"\0" * (80 * MIB)))


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "leads out.zip": (lambda: zipped({"a.md": "a", "../../etc/cron.d/x": "x"}), "leads out"),
    "absolute.zip": (lambda: zipped({"a.md": "a", "/etc/passwd": "x"}), "leads out"),
    "drive.zip": (lambda: zipped({"a.md": "a", "c:evil.md": "x"}), "leads out"),
    "leads out.tar.gz": (lambda: tarred(("../x.md", tarfile.REGTYPE, b"x")), "leads out"),
    "bomb.zip": (lambda: zipped({"a.md": b"\0" * (40 * MIB)}), "times its size"),
    "bomb.tar.gz": (lambda: tarred(("a.md", tarfile.REGTYPE, b"\0" * (80 * MIB))), "grow"),
    "skipped bomb.tar.gz": (skipped_bomb, "grow"),
    "long header.tar.gz": (long_header, "header"),
    "long directory.zip": (long_directory, "more files"),
    "too many.zip": (lambda: zipped({f"{n}.md": "" for n in range(10_001)}), "10,000 files"),
    "no archive.zip": (lambda: b"hello", "no zip and no tar.gz"),
    "cut.zip": (lambda: zipped({"a.md": "a" * 1000})[:-30], "no zip and no tar.gz"),
    "cut.tar.gz": (
        lambda: tarred(("a.md", tarfile.REGTYPE, bytes(range(256)) * 400))[:-40],
        "damaged",
    ),
    "bzip2.tar.bz2": (lambda: tarred(("a.md", tarfile.REGTYPE, b"a"), mode="w:bz2"), "no zip and no tar.gz"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_archive_is_refused_in_words_and_changes_nothing(
    web: Site, project: Project, name: str
) -> None:
    make, words = HOSTILE[name]
    page = await web.page("editor", f"/p/{project.slug}/import", java_script_enabled=name == "bomb.zip")
    before = sequence(project)
    told = await look(page, name, make())
    assert words in told, told
    assert await page.get_by_role("button", name="Import").count() == 0
    assert sequence(project) == before


async def test_what_is_encrypted_is_skipped_and_said(web: Site, project: Project) -> None:
    page = await web.page("editor", f"/p/{project.slug}/import")
    told = await look(page, "a.zip", encrypted())
    assert "a.md: is encrypted" in told
    assert "There is nothing to import." in told


async def test_what_was_not_looked_at_is_not_imported(web: Site) -> None:
    project = make_project(web.members())
    project.written("a.md", "one")
    page = await web.page("editor", f"/p/{project.slug}/import")
    await look(page, "a.zip", zipped({"a.md": "two"}))
    project.written("b.md", "meanwhile")
    await page.get_by_role("button", name="Import 1 document").click()
    await page.get_by_text("somebody wrote meanwhile").wait_for()
    assert project.people.reader.get(project.file("a.md")).text == "one"
    await page.get_by_role("button", name="Import 1 document").click()
    await page.wait_for_url("**/changes/3")
    assert project.people.reader.get(project.file("a.md")).text == "two"


async def test_the_ways_out(web: Site, project: Project) -> None:
    project.written("out.md", "first\n")
    point = sequence(project)
    project.written("later.md", "later\n")
    await check_everywhere(web, "reader", f"/p/{project.slug}/import?at={point}")
    await check_everywhere(web, "editor", f"/p/{project.slug}/import")
    page = await web.page("reader", f"/p/{project.slug}/import?at={point}")
    assert await page.get_by_label("Archive", exact=True).count() == 0
    async with page.expect_download() as started:
        await page.get_by_role("link", name="zip", exact=True).click()
    with zipfile.ZipFile(await (await started.value).path()) as archive:
        assert "out.md" in {name.rpartition("/")[2] for name in archive.namelist()}
        assert "later.md" not in {name.rpartition("/")[2] for name in archive.namelist()}
    assert f"git clone {web.url}/git/{project.slug}" in await page.get_by_role("main").inner_text()


async def test_one_document_that_may_not_be_written_refuses_all(web: Site) -> None:
    project = make_project(web.members())
    people = project.people
    people.owner.put(
        f"{project.url}/members/{people.editor.id}/folders", json={"folders": ["mine"]}
    ).raise_for_status()
    page = await web.page("editor", f"/p/{project.slug}/import")
    await look(page, "a.zip", zipped({"mine/a.md": "a", "other/b.md": "b"}))
    await page.get_by_role("button", name="Import 2 documents").click()
    await page.get_by_role("alert").wait_for()
    told = await page.get_by_role("alert").inner_text()
    assert "Nothing was imported." in told
    assert "other/b.md: This is outside the folders that you may write." in told
    assert heads(project) == {}

"""Archives of a tree at a point: whole, the same every time, and harmless to unpack."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tests.api.trees import Tree, tree_at
from tests.api.world import Api, Project, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stack import Stack

BACKSLASH = "\N{REVERSE SOLIDUS OPERATOR}"
HOSTILE = (
    "..hidden",
    "a:b.md",
    "CON",
    "~root/x",
    "-rf",
    "with blank /x",
    "$(id)",
    "naïve 東京/👩‍🚀.md",
    "x" * 200 + "/" + "y" * 200,
    "a/b/c/d/e/f",
    "%2e%2e/x",
)


def archive(project: Project, form: str = "zip", **query: Any) -> bytes:
    answer = project.people.reader.get(f"{project.url}/archive", params={"format": form, **query})
    assert answer.status_code == 200, answer.text
    return answer.content


def unpacked(data: bytes, form: str) -> Tree:
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            assert opened.testzip() is None
            return {entry.filename: opened.read(entry) for entry in opened.infolist()}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        found: Tree = {}
        for member in tar.getmembers():
            extracted = tar.extractfile(member)
            assert extracted is not None
            found[member.name] = extracted.read()
        return found


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_an_archive_holds_the_tree_of_its_point(project: Project, form: str) -> None:
    first = project.written("docs/a.md", "1\n")
    project.written("b.bin", os.urandom(300_000))
    project.written("docs/a.md", b"", base=first["hash"])
    for point in range(4):
        data = archive(project, form, at=point)
        assert unpacked(data, form) == tree_at(project, point)
    assert unpacked(archive(project, form, prefix="docs/"), form) == {"docs/a.md": b""}
    assert unpacked(archive(project, form, prefix="no/such"), form) == {}


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_hostile_names_come_out_as_names(project: Project, form: str, tmp_path: Path) -> None:
    project.change(*({"path": path, "text": path} for path in HOSTILE))
    data = archive(project, form)
    assert unpacked(data, form) == {path: path.encode() for path in HOSTILE}
    (tmp_path / "archive").write_bytes(data)
    (tmp_path / "out").mkdir()
    unpack = ["unzip", "-q", "../archive"] if form == "zip" else ["tar", "xzf", "../archive"]
    if form == "zip":
        zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path / "out")
    else:
        subprocess.run(unpack, cwd=tmp_path / "out", check=True)
    outside = {each.name for each in tmp_path.iterdir()}
    assert outside == {"archive", "out"}
    assert sum(each.is_file() for each in (tmp_path / "out").rglob("*")) == len(HOSTILE)


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_modes_come_out_and_no_link_leads_out(project: Project, form: str, tmp_path: Path) -> None:
    project.change(
        {"path": "bin/run.sh", "text": "#!/bin/sh\n", "mode": "100755"},
        {"path": "bin/plain", "text": "1"},
        {"path": "docs/run", "text": "../bin/run.sh", "mode": "120000"},
        {"path": "docs/out", "text": "../../etc/passwd", "mode": "120000"},
        {"path": "docs/root", "text": "/etc/passwd", "mode": "120000"},
        {"path": "docs/hook", "text": "../.git/hooks", "mode": "120000"},
    )
    data = archive(project, form)
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            modes = {each.filename: each.external_attr >> 16 for each in opened.infolist()}
            assert opened.read("docs/run") == b"../bin/run.sh"
        assert {path: mode for path, mode in modes.items() if mode != 0o100644} == {
            "bin/run.sh": 0o100755,
            "docs/run": 0o120777,
        }
        return
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        tar.extractall(tmp_path, filter="data")
        assert tar.getmember("bin/run.sh").mode == 0o755
        assert tar.getmember("bin/plain").mode == 0o644
        assert [each.name for each in tar if each.issym()] == ["docs/run"]
    assert (tmp_path / "docs/run").read_text(encoding="utf-8") == "#!/bin/sh\n"
    assert (tmp_path / "docs/out").read_text(encoding="utf-8") == "../../etc/passwd"


def test_a_backslash_is_no_folder_on_any_system(project: Project) -> None:
    project.written("..\\..\\evil.md", "x")
    assert list(unpacked(archive(project, "zip"), "zip")) == [f"..{BACKSLASH}..{BACKSLASH}evil.md"]
    assert list(unpacked(archive(project, "tar.gz"), "tar.gz")) == ["..\\..\\evil.md"]


def test_names_that_a_zip_makes_equal_both_arrive(project: Project) -> None:
    project.change(
        {"path": "a\\b", "text": "1"}, {"path": "a_b", "text": "2"}, {"path": f"a{BACKSLASH}b", "text": "3"}
    )
    names = unpacked(archive(project, "zip"), "zip")
    assert names == {f"a{BACKSLASH}b": b"1", "a_b": b"2", f"a{BACKSLASH}b_": b"3"}


@pytest.fixture(scope="module")
def other(stack: Stack) -> Iterator[Api]:
    with Api(stack) as running:
        yield running


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_the_same_point_gives_the_same_bytes_from_any_process(
    project: Project, other: Api, form: str
) -> None:
    project.change(
        {"path": "b.md", "text": "b"}, {"path": "a.md", "text": "a"}, {"path": "a/b.md".upper(), "text": "c"}
    )
    data = archive(project, form, at=1)
    project.written("later.md", "later")
    headers = {"Authorization": f"Bearer {project.people.owner.token}"}
    again = httpx.get(f"{other.url}{project.url}/archive?at=1&format={form}", headers=headers)
    assert again.content == data


def test_who_has_it_already_is_told_so(project: Project) -> None:
    project.written("a.md", "1")
    url = f"{project.url}/archive"
    first = project.people.reader.get(url)
    headers = {"If-None-Match": first.headers["etag"]}
    assert project.people.reader.get(url, headers=headers).status_code == 304
    assert project.people.reader.get(f"{url}?format=tar.gz", headers=headers).status_code == 200
    assert project.people.outsider.get(url, headers=headers).status_code == 404
    project.written("b.md", "2")
    assert project.people.reader.get(url, headers=headers).status_code == 200


def test_an_archive_says_what_it_is(project: Project) -> None:
    project.written("a.md", "1")
    answer = project.people.reader.get(f"{project.url}/archive?format=tar.gz")
    assert answer.headers["content-type"] == "application/gzip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{project.id}-1.tar.gz"'
    assert answer.headers["verso-change"] == "1"
    named = project.people.owner.get(f"/v1/projects/{project.slug}/archive")
    assert named.headers["content-disposition"] == f'attachment; filename="{project.slug}-1.zip"'
    assert project.people.reader.get(f"{project.url}/archive?format=rar").status_code == 400


def test_more_files_than_a_page_are_all_there(project: Project) -> None:
    project.change(*({"path": f"{number:04}", "text": str(number)} for number in range(450)))
    names = list(unpacked(archive(project), "zip"))
    assert names == [f"{number:04}" for number in range(450)]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_a_large_archive_passes_through_little_memory(project: Project, api: Api, form: str) -> None:
    for number in range(6):
        project.written(f"{number}.bin", os.urandom(16 << 20))
    process = psutil.Process(api.pid)
    archive(project, form, prefix="0")
    before = process.memory_info().rss
    most, size = before, 0
    with project.people.reader.stream("GET", f"{project.url}/archive?format={form}") as answer:
        for piece in answer.iter_raw():
            size += len(piece)
            most = max(most, process.memory_info().rss)
    assert size > 96 << 20
    assert most - before < 40 << 20


def test_a_point_that_is_none_is_refused(project: Project) -> None:
    refused = project.people.reader.get(f"{project.url}/archive?at=no-such-tag")
    assert (refused.status_code, code_of(refused)) == (404, "point_not_found")

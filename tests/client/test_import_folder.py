"""Folders and archives become changes of what differs; tricks stay out, and nothing is deleted unasked."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.client.api import Api
from app.client.import_folder import MOST_ITEMS, Imported, import_source
from app.errors import VersoError
from app.settings import Settings
from app.sources.filters import Filter
from app.sources.listing import Limits
from app.sources.opening import open_source
from tests.api.world import Api as Server
from tests.api.world import Contract, People, Person, Project, make_project, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stack import Stack

ROLES = ("owner", "editor", "reviewer", "reader", "outsider")


@pytest.fixture(scope="module")
def people(stack: Stack, server: Server) -> Iterator[People]:
    contract = Contract(httpx.get(f"{server.url}/schema/openapi.json").json())
    everyone = People(*(Person(server, sign_in(stack, role), contract) for role in ROLES))
    yield everyone
    for role in ROLES:
        getattr(everyone, role).close()


@pytest.fixture
def project(people: People) -> Project:
    return make_project(people)


@pytest.fixture
def api(server: Server, people: People) -> Iterator[Api]:
    with Api(server.url, people.editor.token) as client:
        yield client


def bring(
    api: Api, project: Project, path: Path, *, strip: int = 0, chosen: Filter | None = None, **how: Any
) -> Imported:
    with open_source(path, chosen or Filter(), how.pop("limits", Limits()), strip=strip) as source:
        return import_source(api, project.id, source, **how)


def tree(project: Project) -> dict[str, bytes]:
    reader = project.people.reader
    entries = reader.get(f"{project.url}/tree?limit=200").json()["items"]
    return {entry["path"]: reader.get(project.file(entry["path"])).content for entry in entries}


def log(project: Project) -> list[dict[str, Any]]:
    return list(project.people.reader.get(f"{project.url}/changes").json()["items"])


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


FILES: dict[str, bytes | str] = {
    "README.md": "# Hello\n",
    "docs/«ä» * : ?.md": "odd name\n",
    "docs/empty": b"",
    "data.bin": bytes(range(256)) * 3000,
}


def test_a_folder_becomes_one_change_and_again_nothing(api, project, tmp_path):
    write(tmp_path, FILES)
    done = bring(api, project, tmp_path, message="All of it")
    assert sorted(done.added) == sorted(FILES)
    assert (done.needed_changes, len(done.changes)) == (1, 1)
    assert tree(project) == {name: c.encode() if isinstance(c, str) else c for name, c in FILES.items()}
    assert log(project)[0]["message"] == "All of it"
    again = bring(api, project, tmp_path)
    assert (again.unchanged, again.added, again.changes) == (4, [], [])
    assert len(log(project)) == 1


def test_only_what_differs_is_sent_and_nothing_is_deleted_unasked(api, project, tmp_path):
    write(tmp_path, {"a.md": "one\n", "b.md": "two\n", "c.md": "three\n"})
    bring(api, project, tmp_path)
    (tmp_path / "a.md").write_text("uno\n")
    (tmp_path / "b.md").unlink()
    done = bring(api, project, tmp_path)
    assert (done.edited, done.deleted, done.unchanged) == (["a.md"], [], 1)
    assert set(tree(project)) == {"a.md", "b.md", "c.md"}


def test_with_delete_what_went_elsewhere_keeps_its_history(api, project, tmp_path):
    write(tmp_path, {"old.md": "moved\n", "gone.md": "gone\n", "stay.md": "stay\n"})
    bring(api, project, tmp_path)
    document = project.people.reader.head(project.file("old.md")).headers["verso-document"]
    (tmp_path / "old.md").rename(tmp_path / "new.md")
    (tmp_path / "gone.md").unlink()
    done = bring(api, project, tmp_path, delete=True)
    assert [(move.before, move.after) for move in done.moved] == [("old.md", "new.md")]
    assert done.deleted == ["gone.md"]
    assert set(tree(project)) == {"new.md", "stay.md"}
    assert project.people.reader.head(project.file("new.md")).headers["verso-document"] == document


def test_a_file_where_a_folder_was_and_back(api, project, tmp_path):
    write(tmp_path, {"x": "file\n"})
    bring(api, project, tmp_path)
    (tmp_path / "x").unlink()
    write(tmp_path, {"x/y.md": "below\n"})
    kept = bring(api, project, tmp_path)
    assert [each.path for each in kept.left_out] == ["x/y.md"]
    bring(api, project, tmp_path, delete=True)
    assert set(tree(project)) == {"x/y.md"}


def test_below_a_folder_only_that_folder_is_compared(api, project, tmp_path):
    project.written("other.md", "other\n")
    write(tmp_path, {"a.md": "one\n"})
    bring(api, project, tmp_path, under="docs/in/", delete=True)
    assert set(tree(project)) == {"other.md", "docs/in/a.md"}


def test_a_dry_run_says_the_same_and_writes_nothing(api, project, tmp_path):
    write(tmp_path, FILES)
    planned = bring(api, project, tmp_path, dry_run=True)
    assert tree(project) == {}
    done = bring(api, project, tmp_path)
    assert (planned.added, planned.bytes, planned.needed_changes) == (done.added, done.bytes, 1)


def test_one_change_is_as_many_files_as_the_api_takes_unless_told_otherwise():
    taken = Settings(supabase_url="http://x", supabase_publishable_key="x").max_files_per_change
    assert taken == MOST_ITEMS


def test_what_is_too_much_for_one_change_says_so_and_goes_on_where_it_was(
    api, project, tmp_path, monkeypatch
):
    monkeypatch.setattr("app.client.import_folder.MOST_ITEMS", 4)
    write(tmp_path, {f"{n}.md": f"{n}\n" for n in range(10)})
    asked, left = Api.ask, iter(range(1))

    def failing(self: Api, method: str, path: str, **how: Any) -> Any:
        if path.endswith("/changes") and next(left, None) is None:
            raise VersoError("unreachable", "Gone.")
        return asked(self, method, path, **how)

    monkeypatch.setattr(Api, "ask", failing)
    with pytest.raises(VersoError, match="unreachable"):
        bring(api, project, tmp_path)
    monkeypatch.setattr(Api, "ask", asked)
    assert len(tree(project)) == 4
    done = bring(api, project, tmp_path, message="Rest")
    assert (done.needed_changes, done.unchanged, len(done.added)) == (2, 4, 6)
    assert [change["message"] for change in log(project)][:2] == ["Rest (2 of 2)", "Rest (1 of 2)"]
    assert len(tree(project)) == 10


def test_a_server_that_takes_smaller_changes_gets_smaller_ones(stack, people, project, tmp_path):
    write(tmp_path, {f"{n}.md": f"{n}\n" for n in range(7)})
    with Server(stack, max_files_per_change=3) as small, Api(small.url, people.editor.token) as api:
        done = bring(api, project, tmp_path)
    shutil.rmtree(small.directory)
    assert (done.needed_changes, [change.versions for change in done.changes]) == (3, [3, 3, 1])
    assert len(tree(project)) == 7


def test_an_import_after_a_delete_brings_it_back(api, project, tmp_path):
    write(tmp_path, {"a.md": "one\n"})
    bring(api, project, tmp_path)
    head = project.people.reader.head(project.file("a.md")).headers["etag"]
    project.people.editor.delete(project.file("a.md"), headers={"If-Match": head})
    bring(api, project, tmp_path)
    assert tree(project) == {"a.md": b"one\n"}


def test_readers_import_nothing(server, people, project, tmp_path):
    write(tmp_path, {"a.md": "one\n"})
    with Api(server.url, people.reader.token) as api, pytest.raises(VersoError, match="role_too_low"):
        bring(api, project, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="modes and links are those of POSIX")
def test_modes_and_links_come_along_and_links_that_lead_out_do_not(api, project, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    root = write(tmp_path / "in", {"run.sh": "#!/bin/sh\n", "docs/a.md": "one\n"})
    (root / "run.sh").chmod(0o755)
    (root / "docs/link.md").symlink_to("../run.sh")
    (root / "out.md").symlink_to("../secret")
    (root / "absolute.md").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(root / "pipe")
    done = bring(api, project, root)
    assert tree(project) == {"run.sh": b"#!/bin/sh\n", "docs/a.md": b"one\n", "docs/link.md": b"../run.sh"}
    modes = {
        e["path"]: e.get("mode") for e in project.people.reader.get(f"{project.url}/tree").json()["items"]
    }
    assert modes == {"run.sh": "100755", "docs/a.md": None, "docs/link.md": "120000"}
    assert {each.path for each in done.left_out} == {"out.md", "absolute.md", "folder", "pipe"}
    (root / "run.sh").chmod(0o644)
    assert bring(api, project, root).edited == ["run.sh"]
    assert bring(api, project, root).edited == []


def test_credentials_stay_out_and_are_told(api, project, tmp_path):
    write(tmp_path, {".env": "KEY=1\n", "a.md": "one\n", "api/.venv/bin/x": "x\n", ".git/config": "x\n"})
    done = bring(api, project, tmp_path)
    assert done.added == ["a.md"]
    assert {each.path: each.reason for each in done.left_out} == {
        ".env": "may hold credentials",
        "api/.venv/": "belongs to a virtual environment",
        ".git/": "belongs to a version control system",
    }


def test_a_file_that_grows_while_it_is_read_is_not_half_taken(api, project, tmp_path):
    write(tmp_path, {"a.md": "one\n"})
    with open_source(tmp_path, Filter(), Limits()) as source:
        (file,) = source.files()
        (tmp_path / "a.md").write_text("one\ntwo\n")
        with pytest.raises(VersoError, match="file_changed"):
            list(file.read())


# Archives -------------------------------------------------------------------------------------------


def zipped(path: Path, files: dict[str, bytes | str], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def tarred(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if data else None)
    return path


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def test_a_zip_is_a_folder(api, project, tmp_path):
    archive = zipped(tmp_path / "x.zip", {f"repo-main/{name}": content for name, content in FILES.items()})
    done = bring(api, project, archive, strip=1)
    assert sorted(done.added) == sorted(FILES)
    assert bring(api, project, archive, strip=1).unchanged == 4


@pytest.mark.parametrize("form", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_a_folder(api, project, tmp_path, form):
    archive = tarred(
        tmp_path / "x.tar",
        (member("./a.md"), b"one\n"),
        (member("b/run", mode=0o755), b"#!/bin/sh\n"),
        (member("b/link", type=tarfile.SYMTYPE, linkname="../a.md"), b""),
        (member("b/out", type=tarfile.SYMTYPE, linkname="../../etc/passwd"), b""),
        (member("b/device", type=tarfile.CHRTYPE), b""),
        (member("b/hard", type=tarfile.LNKTYPE, linkname="a.md"), b""),
        mode=form,
    )
    done = bring(api, project, archive)
    assert tree(project) == {"a.md": b"one\n", "b/run": b"#!/bin/sh\n", "b/link": b"../a.md"}
    assert {each.path for each in done.left_out} == {"b/out", "b/device", "b/hard"}


def test_a_zips_links_are_links(api, project, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for name, target in (("a/in", "../b.md"), ("a/out", "../../b.md"), ("a/abs", "/etc/passwd")):
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            file.writestr(info, target)
        file.writestr("b.md", "one\n")
    done = bring(api, project, tmp_path / "x.zip")
    assert tree(project) == {"a/in": b"../b.md", "b.md": b"one\n"}
    assert {each.path for each in done.left_out} == {"a/out", "a/abs"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "C:/x", "..\\x", "a\\b"])
def test_names_that_lead_out_refuse_the_whole_archive(api, project, tmp_path, name):
    archive = tarred(tmp_path / "x.tar", (member("fine.md"), b"one\n"), (member(name), b"two\n"))
    with pytest.raises(VersoError, match="archive_refused"):
        bring(api, project, archive)
    if "\\" not in name:
        with pytest.raises(VersoError, match="archive_refused"):
            bring(api, project, zipped(tmp_path / "x.zip", {"fine.md": "one\n", name: "two\n"}))
    assert tree(project) == {}


def test_two_names_that_are_one_path_are_not_both_taken(api, project, tmp_path):
    done = bring(api, project, zipped(tmp_path / "x.zip", {"\u00e4.md": "one\n", "a\u0308.md": "two\n"}))
    assert done.added == ["\u00e4.md"]
    assert [each.reason for each in done.left_out] == ["has the same name as \u00e4.md"]


def test_a_bomb_is_refused_before_it_is_unpacked(api, project, tmp_path):
    archive = zipped(tmp_path / "bomb.zip", {"zeros": bytes(64 * 1024 * 1024)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(VersoError, match="200 times"):
        bring(api, project, archive)
    gz = tarred(tmp_path / "bomb.tgz", (member("zeros"), bytes(64 * 1024 * 1024)))
    with pytest.raises(VersoError, match="200 times"):
        bring(api, project, gz)


def test_a_zip_that_lies_about_its_sizes_is_held_to_them(api, project, tmp_path):
    """The central directory says 10 bytes; the data would be 50 MB."""
    archive = zipped(tmp_path / "x.zip", {"lie": bytes(50 * 1024 * 1024)})
    data = bytearray(archive.read_bytes())
    central = data.rindex(b"PK\1\2")
    struct.pack_into("<L", data, central + 24, 10)
    struct.pack_into("<L", data, 22, 10)
    crc = zlib.crc32(bytes(10))
    struct.pack_into("<L", data, central + 16, crc)
    struct.pack_into("<L", data, 14, crc)
    archive.write_bytes(data)
    done = bring(api, project, archive)
    assert (done.added, done.bytes) == (["lie"], 10)


@pytest.mark.parametrize(
    ("limits", "why"),
    [(Limits(files=2), "more than 2 files"), (Limits(total=5), "more than 5 bytes")],
)
def test_limits_refuse_the_whole_source(api, project, tmp_path, limits, why):
    write(tmp_path, {"a": "one\n", "b": "two\n", "c": "three\n"})
    with pytest.raises(VersoError, match=why):
        bring(api, project, tmp_path, limits=limits)


def test_a_file_that_is_too_large_is_left_out_and_told(api, project, tmp_path):
    write(tmp_path, {"a": "one\n", "b": "a long one\n"})
    done = bring(api, project, tmp_path, limits=Limits(file=5))
    assert (done.added, [each.path for each in done.left_out]) == (["a"], ["b"])


def test_damaged_archives_and_other_files_say_so(api, project, tmp_path):
    archive = zipped(tmp_path / "x.zip", {"a.md": os.urandom(5000)}, method=zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    data[200] ^= 1
    archive.write_bytes(data)
    with pytest.raises(VersoError, match="source_unreadable"):
        bring(api, project, archive)
    whole = tarred(tmp_path / "x.tgz", (member("a.md"), os.urandom(5000)))
    whole.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(VersoError, match="source_unreadable"):
        bring(api, project, whole)
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(VersoError, match="no folder, zip or tar"):
        bring(api, project, tmp_path / "text")


def test_an_encrypted_member_is_left_out(api, project, tmp_path):
    archive = zipped(tmp_path / "x.zip", {"a.md": "one\n"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    done = bring(api, project, archive)
    assert [(each.path, each.reason) for each in done.left_out] == [("a.md", "is encrypted")]

"""`verso export folder`: files at a point, brought to another point, and nobody's work overwritten."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from app.client.api import Api
from app.client.export_folder import LISTING, export_folder
from app.errors import VersoError
from tests.api.world import People, Person, make_project, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.api.world import Project
    from tests.stack import Stack


@pytest.fixture(scope="module")
def people(stack: Stack, server: Server) -> Iterator[People]:
    everyone = People(*(Person(server, sign_in(stack, role), None) for role in ("owner", "editor", "reviewer", "reader", "outsider")))  # fmt: skip
    yield everyone
    for person in vars(everyone).values():
        person.close()


@pytest.fixture
def project(people: People) -> Project:
    return make_project(people)


@pytest.fixture
def api(server: Server, people: People) -> Iterator[Api]:
    with Api(server.url, people.reader.token) as client:
        yield client


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != LISTING
    }


def test_a_folder_holds_the_files_of_a_point_and_is_brought_to_another(
    project: Project, api: Api, tmp_path: Path
) -> None:
    first = project.written("docs/a.md", "1")
    project.written("same.md", "same")
    gone = project.written("gone/deep/x.md", os.urandom(400_000))
    project.change(
        {"path": "docs/a.md", "text": "2", "base": first["hash"]},
        {"document": gone["document"], "base": gone["hash"], "delete": True},
        {"path": "gone", "text": "a file where a folder was"},
    )
    old = export_folder(api, project.slug, tmp_path / "x", at="3")
    assert (old.files, old.written, old.change) == (3, 3, 3)
    assert set(files(tmp_path / "x")) == {"docs/a.md", "same.md", "gone/deep/x.md"}
    new = export_folder(api, project.id, tmp_path / "x")
    assert (new.files, new.written, new.removed) == (3, 2, 1)
    expected = {"docs/a.md": b"2", "same.md": b"same", "gone": b"a file where a folder was"}
    assert files(tmp_path / "x") == expected
    assert export_folder(api, project.id, tmp_path / "x").written == 0
    back = export_folder(api, project.id, tmp_path / "x", at="3")
    assert (back.written, back.removed) == (2, 1)
    assert set(files(tmp_path / "x")) == {"docs/a.md", "same.md", "gone/deep/x.md"}


def test_an_export_that_was_interrupted_goes_on(project: Project, api: Api, tmp_path: Path) -> None:
    first = project.written("a.md", "1")
    project.written("b.md", "b")
    project.change({"path": "a.md", "text": "2", "base": first["hash"]}, {"path": "c.md", "text": "c"})

    def interrupt(done: int, total: int, what: str) -> None:
        if done == min(2, total):
            raise KeyboardInterrupt

    # Into an empty folder; of another point before; away from what is there, and back instead.
    export_folder(api, project.slug, tmp_path / "1")
    for point in (None, "2", "1"):
        with pytest.raises(KeyboardInterrupt):
            export_folder(api, project.slug, tmp_path / f"{point}", at=point, progress=interrupt)
        export_folder(api, project.slug, tmp_path / f"{point}")
        assert files(tmp_path / f"{point}") == {"a.md": b"2", "b.md": b"b", "c.md": b"c"}


def test_what_somebody_changed_is_left_alone(project: Project, api: Api, tmp_path: Path) -> None:
    first = project.written("a.md", "1")
    project.written("b.md", "1")
    export_folder(api, project.id, tmp_path / "x")
    project.written("a.md", "2", base=first["hash"])
    project.written("new.md", "theirs")
    (tmp_path / "x" / "a.md").write_text("my own")
    (tmp_path / "x" / "new.md").write_text("mine, too")
    before = files(tmp_path / "x")
    with pytest.raises(VersoError) as refused:
        export_folder(api, project.id, tmp_path / "x")
    assert refused.value.code == "export_edited"
    assert refused.value.detail["paths"] == ["a.md", "new.md"]
    assert files(tmp_path / "x") == before


def test_nothing_is_written_beyond_the_folder(project: Project, api: Api, tmp_path: Path) -> None:
    """Somebody puts a link where a folder was."""
    first = project.written("docs/a.md", "1")
    export_folder(api, project.id, tmp_path / "x")
    project.written("docs/a.md", "2", base=first["hash"])
    (tmp_path / "x" / "docs").rename(tmp_path / "elsewhere")
    (tmp_path / "x" / "docs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VersoError) as refused:
        export_folder(api, project.id, tmp_path / "x")
    assert refused.value.code == "export_edited"
    assert (tmp_path / "elsewhere" / "a.md").read_text() == "1"


def test_modes_are_kept_and_what_cannot_be_a_file_is_reported(
    project: Project, api: Api, tmp_path: Path
) -> None:
    project.written(".git/hooks/post-checkout", "evil")
    project.written("fine.md", "1")
    made = export_folder(api, project.id, tmp_path / "x")
    assert [(each.path, each.reason) for each in made.left_out] == [
        (".git/hooks/post-checkout", "would write into .git")
    ]
    assert set(files(tmp_path / "x")) == {"fine.md"}


def test_a_folder_of_something_else_is_refused(project: Project, api: Api, tmp_path: Path) -> None:
    project.written("a.md", "1")
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(VersoError) as refused:
        export_folder(api, project.id, tmp_path)
    assert refused.value.code == "other_export"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]

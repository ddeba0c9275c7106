"""What Verso wrote as a Git repository comes in again with the same versions; what came from Git goes out as it was."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from app.client.export_git import export_git
from app.client.import_git import import_into
from tests.git.making import link, script
from tests.git.random_history import make_history
from tests.git.reading import read
from tests.git.test_kills import story
from tests.git.test_planning import text

if TYPE_CHECKING:
    from app.client.api import Api as Client


def versions(server: Client, project: str) -> list[Any]:
    """Each change's versions, with documents and the versions that they came from by their place in history."""
    places: dict[str, tuple[int, str]] = {}
    documents: dict[str, int] = {}
    told = []
    for change in server.get(f"/v1/projects/{project}/history")["items"]:
        lines = []
        for v in sorted(change["versions"], key=lambda v: v["path"]):
            places[v["hash"]] = (change["sequence"], v["path"])
            fields = ("number", "action", "path", "sha256", "size", "media_type", "mode")
            origins = (places.get(v.get(field) or "") for field in ("parent", "restored_from", "merged_from"))
            document = documents.setdefault(v["document"], len(documents))
            lines.append((document, *(v.get(field) for field in fields), *origins))
        told.append((change["message"], change["author_name"], change["authored_at"], lines))
    return told


def test_a_project_that_was_exported_comes_in_again_with_the_same_versions(server, project, tmp_path):
    home = f"/v1/projects/{project}"

    def change(*items: dict[str, Any], message: str = "") -> dict[str, str]:
        made = server.post(f"{home}/changes", {"message": message, "items": list(items)})["change"]
        return {v["path"]: v["hash"] for v in made["versions"]}

    one, other = text(1).decode(), text(2).decode()
    first = change({"path": "a.md", "text": one}, {"path": "b.md", "text": other}, message="Grüße")
    second = change({"path": "a.md", "text": "quite another text\n", "base": first["a.md"]})
    third = change({"path": "moved/a.md", "from": "a.md", "base": second["a.md"], "text": "nothing alike\n"})
    change({"path": "b.md", "delete": True, "base": first["b.md"]})
    back = change({"path": "b.md", "text": "back\n", "media_type": "text/x-odd"})
    change({"path": "b.md", "base": back["b.md"], "restore": 1})
    change(
        {"path": "moved/a.md", "base": third["moved/a.md"], "text": "again\n"}, {"path": "c", "text": "c\n"}
    )
    export_git(server, project, tmp_path / "out")

    copy = f"{project}-copy"
    server.post("/v1/projects", {"slug": copy})
    report = import_into(server, copy, read(tmp_path / "out"), source="out").run(proof="full")
    assert report.is_proven
    assert versions(server, copy) == versions(server, project)


def test_what_came_from_git_goes_out_with_the_very_same_commits_and_comes_in_again(
    server, project, git, tmp_path
):
    make_history(git, random.Random(7), 40)
    last = str(git.repository.head.target)
    last = git.commit(
        {"x": link("y"), "y": script(b"1")}, last, encoding=b"ISO-8859-1", message=b"gr\xfc\xdfe"
    )
    import_into(server, project, read(git.path), source="here").run()
    made = export_git(server, project, tmp_path / "out")
    assert made.head == last
    copy = f"{project}-copy"
    server.post("/v1/projects", {"slug": copy})
    import_into(server, copy, read(tmp_path / "out"), source="out").run(proof="full")
    assert story(server, copy) == story(server, project)


def test_notes_that_say_what_is_not_so_change_no_tree(server, project, git):
    """Anybody can write a commit with such a header."""
    first = git.commit({"a": text(1), "b": text(2)})
    forged = (
        b'{"versions":[{"path":"a","action":"restore","restored_from":{"commit":"%s","path":"a"}},'
        b'{"path":"c","from":"b"},{"path":"b","from":"nowhere"},'
        b'{"path":"d","merged_from":{"commit":"%s","path":"d"},"media_type":"text/plain"}]}'
    ) % (first.encode(), b"0" * 40)
    git.commit(
        {"a": text(3), "b": text(4), "c": text(5), "d": b"d"}, first, encoding=b"UTF-8\nverso " + forged
    )
    report = import_into(server, project, read(git.path), source="here").run(proof="full")
    assert report.proof is not None
    assert report.proof.identical == 2
    last = server.get(f"/v1/projects/{project}/history")["items"][-1]
    assert {v["path"]: v["action"] for v in last["versions"]} == {
        "a": "edit", "b": "add", "c": "move", "d": "add",
    }  # fmt: skip

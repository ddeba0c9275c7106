"""Blame of what was imported names those whom git blame names, also where the line of commits changes branches."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from app.client.import_git.run import GitImport
from tests.git.reading import read

if TYPE_CHECKING:
    from app.client.api import Api as Client
    from tests.git.making import Maker


def by_git(git: Maker, path: str) -> list[str]:
    command = ["git", "-C", str(git.path), "blame", "--line-porcelain", "main", "--", path]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.removeprefix("author ") for line in told.splitlines() if line.startswith("author ")]


def by_verso(server: Client, project: str, path: str) -> list[str]:
    tree = server.get(f"/v1/projects/{project}/tree")["items"]
    (document,) = [each["document"] for each in tree if each["path"] == path]
    blame = server.get(f"/v1/documents/{document}/blame", verify=True)
    assert blame["agrees"] is not False
    authors = {each["hash"]: each["author_name"] for each in blame["origins"]}
    return [
        authors[each["version"]] for each in blame["ranges"] for _ in range(each["first"], each["last"] + 1)
    ]


def test_blame_goes_on_naming_who_wrote_a_line(server, project, git):
    lines = [b"line %d of the text\n" % number for number in range(12)]

    def with_(*edits: int, by: bytes = b"") -> bytes:
        return b"".join(by + line if at in edits else line for at, line in enumerate(lines))

    people = {name: b"%s <%s@x>" % (name, name) for name in (b"Anna", b"Bert", b"Cleo", b"Dora")}
    base = git.commit({"a": with_(), "b": b"b\n"}, author=people[b"Anna"])
    lines[1] = b"Bert's\n"
    main = git.commit({"a": with_(), "b": b"b\n"}, base, author=people[b"Bert"])
    on_main = list(lines)
    lines[1], lines[9] = b"line 1 of the text\n", b"Cleo's\n"
    side = git.commit({"moved/a": with_(), "b": b"b\n"}, base, author=people[b"Cleo"])
    side = git.commit({"moved/a": with_(), "b": b"b\n", "c": b"c\n"}, side, author=people[b"Dora"])
    on_main[9] = b"Cleo's\n"
    git.commit({"moved/a": b"".join(on_main), "b": b"b\n", "c": b"c\n"}, main, side, author=people[b"Dora"])
    GitImport(server, project, read(git.path), source="here").run()
    expected = ["Anna", "Bert", *["Anna"] * 7, "Cleo", "Anna", "Anna"]
    assert by_git(git, "moved/a") == expected
    assert by_verso(server, project, "moved/a") == expected
    assert by_verso(server, project, "b") == by_git(git, "b") == ["Anna"]

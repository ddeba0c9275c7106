"""Blame of what was imported names those whom git blame names, also where the line of commits changes branches."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from app.client.import_git import import_into
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
    import_into(server, project, read(git.path), source="here").run()
    expected = ["Anna", "Bert", *["Anna"] * 7, "Cleo", "Anna", "Anna"]
    assert by_git(git, "moved/a") == expected
    assert by_verso(server, project, "moved/a") == expected
    assert by_verso(server, project, "b") == by_git(git, "b") == ["Anna"]


def test_blame_crosses_the_merge_of_a_history_with_a_beginning_of_its_own(server, project, git):
    people = {name: b"%s <%s@x>" % (name, name) for name in (b"Anna", b"Bert", b"Cleo", b"Dora")}
    ours, theirs = [b"line %d of ours\n" % n for n in range(9)], [b"theirs, %d\n" % n for n in range(9)]
    main = git.commit({"README": b"".join(ours)}, author=people[b"Anna"])
    ours[3] = b"Bert's\n"
    main = git.commit({"README": b"".join(ours)}, main, author=people[b"Bert"])
    docs = git.commit({"README": b"".join(theirs)}, author=people[b"Cleo"])
    theirs[5] = b"Dora's\n"
    docs = git.commit({"docs/README": b"".join(theirs)}, docs, author=people[b"Dora"])
    git.commit({"README": b"".join(ours), "docs/README": b"".join(theirs)}, main, docs)
    import_into(server, project, read(git.path), source="here").run()
    assert (
        by_verso(server, project, "README") == by_git(git, "README") == [*["Anna"] * 3, "Bert", *["Anna"] * 5]
    )
    expected = [*["Cleo"] * 5, "Dora", *["Cleo"] * 3]
    assert by_verso(server, project, "docs/README") == by_git(git, "docs/README") == expected

"""Who wrote each line, over HTTP: across renames, restores and merges, as git blame says, and verified."""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.api.world import Api, Person, Project, code_of, tag

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack import Stack


def blame(person: Person, document: str, query: str = "") -> dict[str, Any]:
    answer = person.get(f"/v1/documents/{document}/blame{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def lines_of(answer: dict[str, Any]) -> list[tuple[int, int]]:
    """Each line's version number and its line number there."""
    return [
        (each["number"], each["line"] + offset)
        for each in answer["ranges"]
        for offset in range(each["last"] - each["first"] + 1)
    ]


def until_kept(person: Person, document: str) -> dict[str, Any]:
    """Ask, as somebody who keeps nothing themselves, until the author's process has kept it."""
    deadline = time.monotonic() + 20
    while True:
        answer = blame(person, document)
        if answer["source"] == "kept":
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)


def rpc(stack: Stack, person: Person, function: str, **arguments: Any) -> httpx.Response:
    """Call a function without the service, as whoever has a token may."""
    return httpx.post(
        f"{stack.supabase_url}/rest/v1/rpc/{function}",
        json=arguments,
        headers={"apikey": stack.publishable_key, "Authorization": f"Bearer {person.token}"},
        timeout=30,
    )


def move(stack: Stack, person: Person, version: dict[str, Any], path: str) -> dict[str, Any]:
    """A version that the service doesn't know of when it is written."""
    item = {"document": version["document"], "base": version["hash"], "path": path}
    answer = rpc(stack, person, "commit_change", project=version["project"], items=[item])
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["change"]["versions"][0])


def test_each_line_has_the_version_author_and_message_that_it_came_with(project, people):
    first = project.written("a.md", "one\ntwo\nthree\n")
    answer = people.owner.put(
        project.file("a.md") + "?message=Louder%0A%0AIn%20capitals",
        content="one\nTWO\nthree\nfour\n",
        headers={"If-Match": f'"{first["hash"]}"'},
    )
    second = answer.json()["version"]
    said = blame(people.reader, first["document"])
    assert lines_of(said) == [(1, 1), (2, 2), (1, 3), (2, 4)]
    assert [each["version"] for each in said["ranges"]][:2] == [first["hash"], second["hash"]]
    writer = said["origins"][1]
    assert writer["author"]["id"] == people.owner.id
    assert (writer["number"], writer["change"], writer["summary"]) == (2, 2, "Louder")
    assert said["version"]["hash"] == second["hash"]


def test_lines_survive_renames_with_their_old_path(project, people):
    first = project.written("old.md", "one\ntwo\n")
    moved = project.change(
        {"document": first["document"], "base": first["hash"], "path": "new.md", "text": "one\n2\n"}
    )
    assert moved.status_code == 201
    said = blame(people.reader, first["document"])
    assert [(each["number"], each["path"]) for each in said["ranges"]] == [(1, "old.md"), (2, "new.md")]


def test_a_restored_line_belongs_to_who_wrote_it_first(project, people):
    first = project.written("a.md", "one\ntwo\n")
    second = project.written("a.md", "other\n", base=first["hash"], by=people.owner)
    document = f"/v1/documents/{first['document']}"
    restored = people.owner.post(
        f"{document}/restore", json={"version": 1}, headers={"If-Match": f'"{second["hash"]}"'}
    )
    gone = people.owner.delete(document, headers={"If-Match": f'"{tag(restored)}"'})
    back = people.owner.post(f"{document}/undelete", headers={"If-Match": f'"{tag(gone)}"'})
    project.written("a.md", "one\ntwo\nthree\n", base=tag(back))
    assert lines_of(blame(people.reader, first["document"])) == [(1, 1), (1, 2), (6, 3)]
    assert lines_of(until_kept(people.reader, first["document"])) == [(1, 1), (1, 2), (6, 3)]
    assert blame(people.reader, first["document"], "?verify=true")["agrees"] is True


def test_what_is_written_anew_after_a_delete_is_the_writers_own(project, people):
    first = project.written("a.md", "one\n")
    gone = people.editor.delete(project.file("a.md"), headers={"If-Match": f'"{first["hash"]}"'})
    again = project.written("a.md", "one\n", by=people.owner)
    assert again["document"] == first["document"]
    assert gone.status_code == 200
    assert lines_of(blame(people.reader, first["document"])) == [(3, 1)]


def test_a_merge_gives_each_side_its_lines(project, people):
    text = "".join(f"line {n}\n" for n in range(20))
    first = project.written("a.md", text)
    project.written("a.md", text.replace("line 3\n", "line three\n"), base=first["hash"], by=people.owner)
    merged = people.editor.put(
        project.file("a.md") + "?merge=auto",
        content=text.replace("line 15\n", "line fifteen\n"),
        headers={"If-Match": f'"{first["hash"]}"'},
    )
    assert merged.json()["version"]["merged_from"] == first["hash"]
    wanted = [(1, n) for n in range(1, 21)]
    wanted[3], wanted[15] = (2, 4), (3, 16)
    assert lines_of(blame(people.reader, first["document"])) == wanted
    until_kept(people.reader, first["document"])
    stat = people.reader.get(f"{project.url}/changes/3").json()["diffstat"]["versions"][0]
    assert (stat["added"], stat["removed"], stat["lines"]) == (1, 1, 20)


def edited(rng: random.Random, lines: list[str]) -> list[str]:
    """A few edits of the kinds that histories are made of, with many equal lines to slide along."""
    lines = list(lines)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(lines))
        kind = rng.randrange(4)
        if kind == 0:
            lines[at:at] = rng.choices(["", "}", "  pass", f"new {rng.random()}"], k=rng.randint(1, 5))
        elif kind == 1:
            del lines[at : at + rng.randint(1, 4)]
        elif kind == 2:
            lines[at : at + 1] = [f"changed {rng.random()}"]
        else:
            block = lines[at : at + 5]
            del lines[at : at + 5]
            to = rng.randint(0, len(lines))
            lines[to:to] = block
    return lines


def git(repository: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(repository), *who, *arguments], check=True, capture_output=True, env=clean
    )
    return done.stdout.decode()


@pytest.mark.parametrize("seed", [1, 2])
def test_it_agrees_with_git_blame_line_by_line(project, people, tmp_path, seed):
    rng = random.Random(seed)
    git(tmp_path, "init", "--quiet")
    lines = [rng.choice(["", "}", f"line {n}"]) for n in range(60)]
    base = None
    document = ""
    for number in range(1, 25):
        text = "\n".join(lines) + ("\n" if number % 5 else "")
        version = project.written("a.txt", text, base=base, by=rng.choice([people.editor, people.owner]))
        base, document = version["hash"], version["document"]
        (tmp_path / "a.txt").write_text(text)
        git(tmp_path, "add", "a.txt")
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", str(version["number"]))
        lines = edited(rng, lines)
    commits: dict[str, int] = {}
    wanted: list[tuple[str, int]] = []
    for line in git(tmp_path, "blame", "--porcelain", "a.txt").splitlines():
        if found := re.match(r"([0-9a-f]{40}) (\d+) \d+", line):
            wanted.append((found[1], int(found[2])))
        elif line.startswith("summary "):
            commits[wanted[-1][0]] = int(line.removeprefix("summary "))
    assert len(wanted) > 20
    expected = [(commits[commit], number) for commit, number in wanted]
    assert lines_of(blame(people.reader, document)) == expected
    assert lines_of(until_kept(people.reader, document)) == expected
    proven = blame(people.reader, document, "?verify=true")
    assert (lines_of(proven), proven["agrees"]) == (expected, True)


def test_what_is_kept_takes_one_round_trip(api: Api, project, people):
    first = project.written("a.md", "one\ntwo\n")
    until_kept(people.reader, first["document"])
    answer = people.reader.get(f"/v1/documents/{first['document']}/blame?lines=2")
    assert (answer.json()["source"], api.cost(answer)) == ("kept", 1)


def test_some_lines_of_it(project, people):
    first = project.written("a.md", "1\n2\n3\n4\n5\n")
    second = project.written("a.md", "1\n2\nthree\n4\n5\n", base=first["hash"])
    for _ in range(2):  # computed, then kept
        for lines, wanted in {
            "2-4": [(1, 2), (2, 3), (1, 4)],
            "5": [(1, 5)],
            "4-": [(1, 4), (1, 5)],
            "4-99": [(1, 4), (1, 5)],
        }.items():
            said = blame(people.reader, first["document"], f"?lines={lines}")
            assert lines_of(said) == wanted
            assert said["lines"] == 5
            assert {each["number"] for each in said["origins"]} == {number for number, _ in wanted}
        for lines in ("0", "6", "3-2", "-2", "a", "1-2-3"):
            answer = people.reader.get(f"/v1/documents/{first['document']}/blame?lines={lines}")
            assert (answer.status_code, code_of(answer)) == (422, "bad_value"), lines
        until_kept(people.reader, second["document"])


def test_text_for_people_is_like_git_blames(project, people):
    first = project.written("a.md", b"one\nt\xc3\xb6\n\xff bytes")
    answer = people.reader.get(
        f"/v1/documents/{first['document']}/blame?lines=2-3", headers={"Accept": "text/plain"}
    )
    name = people.editor.get("/v1/me").json()["name"]
    moment = first["change"]["committed_at"][:19].replace("T", " ")
    start = f"{first['hash'][:8]} ({name} {moment} +0000 ".encode()
    assert answer.content == start + b"2) t\xc3\xb6\n" + start + b"3) \xff bytes\n"
    assert answer.headers["content-type"].startswith("text/plain")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_at_an_earlier_point(project, people):
    first = project.written("a.md", "one\n")
    project.written("a.md", "two\n", base=first["hash"])
    assert lines_of(blame(people.reader, first["document"], "?at=v1")) == [(1, 1)]
    assert lines_of(blame(people.reader, first["document"], "?at=1")) == [(1, 1)]
    assert lines_of(blame(people.reader, first["document"])) == [(2, 1)]


def test_an_empty_document_has_no_lines(project, people):
    first = project.written("a.md", "")
    assert blame(people.reader, first["document"])["ranges"] == []
    assert until_kept(people.reader, first["document"])["lines"] == 0


def test_a_delete_has_no_lines(project, people):
    first = project.written("a.md", "one\n")
    people.editor.delete(project.file("a.md"), headers={"If-Match": f'"{first["hash"]}"'})
    answer = people.reader.get(f"/v1/documents/{first['document']}/blame")
    assert (answer.status_code, code_of(answer)) == (404, "version_is_delete")


def test_strangers_are_told_nothing(project, people):
    first = project.written("a.md", "one\n")
    answer = people.outsider.get(f"/v1/documents/{first['document']}/blame")
    assert (answer.status_code, code_of(answer)) == (404, "document_not_found")


def test_an_unchanged_blame_is_not_sent_again(project, people):
    first = project.written("a.md", "one\n")
    until_kept(people.reader, first["document"])
    address = f"/v1/documents/{first['document']}/blame"
    answer = people.reader.get(address)
    again = people.reader.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_what_was_missed_is_computed_for_anybody_and_kept_for_its_author(stack: Stack, project, people):
    first = project.written("a.md", "one\ntwo\n")
    moved = move(stack, people.editor, first, "b.md")
    for _ in range(2):
        assert blame(people.reader, moved["document"])["source"] == "computed"
    assert blame(people.editor, moved["document"])["source"] == "computed"
    assert blame(people.reader, moved["document"])["source"] == "kept"


def test_verifying_finds_an_author_who_lied(stack: Stack, project, people):
    first = project.written("a.md", "one\ntwo\n")
    second = project.written("a.md", "one\nTWO\n", base=first["hash"], by=people.owner)
    until_kept(people.reader, first["document"])
    moved = move(stack, people.editor, second, "b.md")
    lie = [{"version": moved["hash"], "runs": [3, 1, 2], "added": 2, "removed": 2}]
    assert rpc(stack, people.editor, "store_attributions", items=lie).status_code == 200
    said = blame(people.reader, first["document"])
    assert (said["source"], lines_of(said)) == ("kept", [(3, 1), (3, 2)])
    proven = blame(people.reader, first["document"], "?verify=true")
    assert (proven["source"], proven["agrees"]) == ("verified", False)
    assert lines_of(proven) == [(1, 1), (2, 2)]


def test_an_author_who_lied_about_how_many_lines_there_are_is_in_nobodys_way(stack: Stack, project, people):
    first = project.written("a.md", "one\ntwo\nthree\n")
    until_kept(people.reader, first["document"])
    moved = move(stack, people.editor, first, "b.md")
    lie = [{"version": moved["hash"], "runs": [1, 1, 1]}]
    assert rpc(stack, people.editor, "store_attributions", items=lie).status_code == 200
    item = {"document": first["document"], "base": moved["hash"], "path": "c.md"}
    again = project.change(item).json()["change"]["versions"][0]
    assert lines_of(blame(people.reader, first["document"])) == [(1, 1)]  # as told
    proven = blame(people.reader, first["document"], "?verify=true")
    assert lines_of(proven) == [(1, 1), (1, 2), (1, 3)]
    project.written("c.md", "one\ntwo\n3\nfour\n", base=again["hash"], by=people.owner)
    assert lines_of(blame(people.reader, first["document"])) == [(1, 1), (1, 2), (4, 3), (4, 4)]

    other = project.written("other.md", "one\ntwo\n")
    until_kept(people.reader, other["document"])
    moved = move(stack, people.editor, other, "another.md")
    lie = [{"version": moved["hash"], "runs": [1, 1, 2, 2, 3, 4]}]
    assert rpc(stack, people.editor, "store_attributions", items=lie).status_code == 200
    text = people.reader.get(f"/v1/documents/{other['document']}/blame", headers={"Accept": "text/plain"})
    assert [line[-4:] for line in text.text.splitlines()] == [" one", " two"]
    page = people.reader.get(f"/p/{project.id}/documents/{other['document']}/blame")
    assert page.status_code == 200, page.text
    assert re.findall(r"\b(?:one|two)\b", page.text)[-2:] == ["one", "two"]


@pytest.mark.slow
def test_a_long_history_is_gone_through_in_parts(stack: Stack, api: Api, project, people):
    version = project.written("a.md", "one\n")
    for number in range(510):
        version = move(stack, people.editor, version, f"a{number % 2}.md")
    address = f"{api.url}/v1/documents/{version['document']}/blame?verify=true"
    asked = {"Authorization": f"Bearer {people.reader.token}"}
    refused = httpx.get(address, headers=asked, timeout=60)
    assert (refused.status_code, code_of(refused)) == (503, "blame_unfinished")
    assert refused.headers["retry-after"]
    assert lines_of(httpx.get(address, headers=asked, timeout=60).json()) == [(1, 1)]


def test_restores_of_a_folder_are_kept_as_well(project: Project, people):
    first = project.written("d/a.md", "one\n")
    project.written("d/a.md", "two\n", base=first["hash"])
    answer = people.editor.post(f"{project.url}/restore", json={"at": "1", "prefix": "d/"})
    assert answer.status_code == 201
    assert lines_of(until_kept(people.reader, first["document"])) == [(1, 1)]

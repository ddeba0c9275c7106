"""How many lines a change added and removed: in its answer, in the log, and in the answer of a write."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx

from tests.api.world import Api, People, Project, code_of


def counts(project: Project, sequence: int) -> list[tuple[str, int | None, int | None, int | None]]:
    change = project.people.reader.get(f"{project.url}/changes/{sequence}").json()
    stat = change["diffstat"]
    assert [each["version"] for each in stat["versions"]] == [each["hash"] for each in change["versions"]]
    known = [each for each in stat["versions"] if each["added"] is not None]
    assert stat["unknown"] == len(stat["versions"]) - len(known)
    assert stat["added"] == (sum(each["added"] for each in known) if known else None)
    assert stat["removed"] == (sum(each["removed"] for each in known) if known else None)
    return [
        (version["path"], each["lines"], each["added"], each["removed"])
        for version, each in zip(change["versions"], stat["versions"], strict=True)
    ]


def mixed(project: Project) -> None:
    """Change 4: an edit, a delete, a move, and a new document."""
    first = project.written("a.md", "1\n2\n3\n")
    second = project.written("b.md", "1\n")
    third = project.written("c.md", "1\n2")
    answer = project.change(
        {"document": first["document"], "base": first["hash"], "text": "1\nx\ny\n3\n"},
        {"document": second["document"], "base": second["hash"], "delete": True},
        {"document": third["document"], "base": third["hash"], "path": "d.md"},
        {"path": "e.md", "text": "1\n2"},
    )
    assert answer.json()["change"]["diffstat"] is None, "the request doesn't tell"


EXPECTED = [("a.md", 4, 2, 1), ("b.md", 0, 0, 1), ("d.md", 2, 0, 0), ("e.md", 2, 2, 0)]


def test_a_change_has_its_diffstat_at_once_and_when_it_is_kept(project: Project, api: Api) -> None:
    mixed(project)
    at_once = counts(project, 4)
    assert at_once[2] in {("d.md", None, 0, 0), EXPECTED[2]}, "a move is known before its lines are"
    assert at_once[:2] + at_once[3:] == EXPECTED[:2] + EXPECTED[3:]
    until(lambda: log(project)[0]["diffstat"]["unknown"] == 0)
    assert log(project)[0]["diffstat"] == {"added": 4, "removed": 2, "unknown": 0}
    kept = project.people.reader.get(f"{project.url}/changes/4")
    assert api.cost(kept) == 1
    assert counts(project, 4) == EXPECTED


def test_one_that_was_written_by_hand_is_counted_from_the_bytes(project: Project, stack: Any) -> None:
    """Written without the API nobody keeps attributions; a binary content has lines as well."""
    project.written("a.bin", b"\x00one\n\x00two\n")
    head = project.people.reader.get(f"{project.url}/tree").json()["items"][0]
    rpc = httpx.post(
        f"{stack.supabase_url}/rest/v1/rpc/commit_change",
        headers={
            "apikey": stack.publishable_key,
            "Authorization": f"Bearer {project.people.editor.token}",
        },
        json={
            "project": project.id,
            "items": [{"document": head["document"], "base": head["version"], "delete": True}],
        },
    )
    assert rpc.status_code == 200, rpc.text
    assert counts(project, 2) == [("a.bin", 0, 0, 2)]
    again = project.people.reader.get(f"{project.url}/changes/2")
    assert again.json()["diffstat"]["removed"] == 2


def test_what_is_too_large_or_erased_is_unknown(project: Project) -> None:
    large = "x\n" * 600_000
    first = project.written("large.md", large)
    answer = project.change(
        {"document": first["document"], "base": first["hash"], "text": "y\n"},
        {"path": "small.md", "text": "1\n"},
    )
    assert answer.status_code == 201, answer.text
    assert counts(project, 2) == [("large.md", None, None, None), ("small.md", 1, 1, 0)]


def test_many_uncounted_versions_cost_no_more_than_a_few(project: Project, api: Api) -> None:
    made = project.change(*({"path": f"{n}.md", "text": f"{n}\n"} for n in range(60)))
    assert made.status_code == 201
    answer = project.people.reader.get(f"{project.url}/changes/1")
    stat = answer.json()["diffstat"]
    assert stat["unknown"] in {0, 40}, "forty, unless all of them are kept by now"
    assert log(project)[0]["diffstat"] is None, "the log sums changes of up to twenty versions"


def test_a_change_that_only_adds_is_answered_with_its_diffstat_and_so_is_its_repeat(project: Project) -> None:
    key = {"Idempotency-Key": "k"}
    items = [{"path": "a.md", "text": "1\n2"}, {"path": "b.md", "text": ""}]
    first, again = (project.change(*items, headers=key) for _ in range(2))
    stat = first.json()["change"]["diffstat"]
    assert (stat["added"], stat["removed"], stat["unknown"]) == (2, 0, 0)
    assert [each["lines"] for each in stat["versions"]] == [2, 0]
    assert again.json() == first.json()


def test_a_change_that_is_not_there_has_none(project: Project, people: People) -> None:
    answer = people.reader.get(f"{project.url}/changes/99")
    assert (answer.status_code, code_of(answer)) == (404, "change_not_found")


def log(project: Project) -> list[dict[str, Any]]:
    return list(project.people.reader.get(f"{project.url}/changes").json()["items"])


def until(condition: Any) -> None:
    waiting = threading.Event()
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        waiting.wait(0.1)

"""Pipelines: reports of stages, where they stand, their history, and the boards."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Api, Person, Project, code_of, make_project

if TYPE_CHECKING:
    import httpx

CLEAN = {"checks": 12, "errors": 0, "warnings": 3, "requires_input": 0}


def start(project: Project, slug: str = "s", **more: Any) -> str:
    made = project.people.editor.post(f"{project.url}/sessions", json={"slug": slug, **more})
    assert made.status_code == 201, made.text
    return f"{project.url}/sessions/{slug}/stages"


def report(
    by: Person, stages: str, state: str, *, stage: str = "spec", headers: Any = None, **more: Any
) -> httpx.Response:
    return by.post(f"{stages}/{stage}/reports", json={"state": state, **more}, headers=headers)


def standing(by: Person, stages: str, stage: str = "spec") -> dict[str, Any]:
    return next(each for each in by.get(stages).json()["stages"] if each["stage"] == stage)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def test_a_stage_is_reported_from_its_start_to_its_end(project: Project) -> None:
    editor, reader = project.people.editor, project.people.reader
    stages = start(project)
    spec = project.written("sessions/s/specs/spec.md", "# What\n")
    begun = report(editor, stages, "in_progress", run="run-7", started_at=ago(60))
    assert begun.status_code == 201
    done = report(
        editor,
        stages,
        "complete",
        run="run-7",
        started_at=ago(60),
        finished_at=ago(1),
        validation=CLEAN,
        produced=[{"path": "sessions/s/specs/spec.md"}],
        consumed=[spec["hash"]],
        note="Ready",
    ).json()
    assert done["validation"] == CLEAN
    assert [each["version"] for each in (*done["produced"], *done["consumed"])] == [spec["hash"]] * 2
    assert (done["reporter"]["id"], done["actor"], done["before"]) == (editor.id, "human", "in_progress")
    assert reader.get(f"/v1/stage-reports/{done['id']}").json() == done
    now = standing(reader, stages)
    assert (now["state"], now["since"], now["report"]) == ("complete", done["at"], done)
    assert now["allowed"] == ["in_progress"]
    assert now["documents"] == [
        {
            "document": spec["document"],
            "path": spec["path"],
            "head": spec["hash"],
            "head_number": 1,
            "review": "pending",
        }
    ]


def test_what_may_not_follow_is_refused_with_what_may(project: Project) -> None:
    stages = start(project)
    refused = report(project.people.editor, stages, "complete")
    assert (refused.status_code, code_of(refused)) == (409, "bad_transition")
    assert refused.json()["state"] == "pending"
    assert refused.json()["allowed"] == ["in_progress", "skipped"]


def test_history_is_paged_and_filtered(project: Project) -> None:
    editor, reader = project.people.editor, project.people.reader
    stages = start(project)
    for n in range(5):
        report(editor, stages, "in_progress", run=f"r{n % 2}")
    report(editor, stages, "in_progress", stage="plan", run="r1")

    def numbers(**query: Any) -> list[int]:
        found: list[int] = []
        url: str | None = f"{stages}/history"
        while url:
            page = reader.get(url, params=query or None)
            found += [each["number"] for each in page.json()["items"]]
            url, query = page.links.get("next", {}).get("url"), {}
        return found

    assert numbers(limit=2) == [6, 5, 4, 3, 2, 1]
    assert numbers(stage="spec", limit=4) == [5, 4, 3, 2, 1]
    assert numbers(run="r1") == [6, 4, 2]
    assert numbers(run="r1", stage="spec", limit=1) == [4, 2]
    assert numbers(run="nobody's") == []


def test_a_late_report_is_history(project: Project) -> None:
    editor, stages = project.people.editor, start(project)
    report(editor, stages, "in_progress", at=ago(100))
    report(editor, stages, "complete", at=ago(50))
    late = report(editor, stages, "failed", at=ago(70)).json()
    assert (late["late"], late["number"]) == (True, 3)
    assert standing(editor, stages)["state"] == "complete"


def test_a_key_writes_once_and_a_condition_guards_what_one_has_read(project: Project) -> None:
    editor, stages = project.people.editor, start(project)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = report(editor, stages, "in_progress", headers=key).json()
    assert report(editor, stages, "in_progress", headers=key).json() == first
    assert code_of(report(editor, stages, "skipped", headers=key)) == "idempotency_key_reused"
    stale = report(editor, stages, "complete", headers={"If-None-Match": "*"})
    assert (stale.status_code, code_of(stale), stale.json()["report"]) == (412, "stage_moved", first["id"])
    done = report(editor, stages, "complete", headers={"If-Match": f'"{first["id"]}"'})
    assert done.status_code == 201
    assert code_of(report(editor, stages, "in_progress", headers={"If-Match": f'"{first["id"]}"'})) == (
        "stage_moved"
    )
    for odd in ("*", first["id"], f'"{first["id"]}", "b"'):
        assert code_of(report(editor, stages, "in_progress", headers={"If-Match": odd})) == "bad_condition"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"state": "done"}, 400),
        ({"state": "in_progress", "status": "x"}, 400),
        ({"state": "in_progress", "validation": {"errors": 0}}, 400),
        ({"state": "in_progress", "validation": {"checks": -1, "errors": 0}}, 400),
        ({"state": "in_progress", "at": "2026-03-02T09:00:00"}, 400),
        ({"state": "in_progress", "at": "2999-03-02T09:00:00Z"}, 422),
        ({"state": "in_progress", "at": "0001-01-01T00:00:00Z"}, 422),
        ({"state": "in_progress", "run": "a\x00b"}, 422),
        ({"state": "in_progress", "run": ""}, 400),
        ({"state": "in_progress", "note": "é" * 3000}, 422),
        ({"state": "in_progress", "consumed": ["\x00"]}, 404),
        ({"state": "in_progress", "consumed": [{"path": "../x"}]}, 422),
        ({"state": "in_progress", "consumed": [{"path": "gone.md"}]}, 404),
        ({"state": "in_progress", "consumed": [7]}, 400),
        ({"state": "in_progress", "consumed": ["0" * 64] * 1001}, 400),
    ],
    ids=[
        "nothing", "no state", "unknown field", "half a validation", "below none", "no zone", "future", "year 1", "nul",
        "empty run", "long note", "nul hash", "bad path", "no document", "a number", "too many",
    ],
)  # fmt: skip
def test_what_a_report_may_not_say(project: Project, body: dict[str, Any], status: int) -> None:
    stages = start(project)
    answer = project.people.editor.post(f"{stages}/spec/reports", json=body)
    assert answer.status_code == status, answer.text
    assert project.people.reader.get(f"{stages}/history").json()["items"] == []


def test_there_are_seven_stages_and_no_others(project: Project) -> None:
    stages = start(project)
    assert report(project.people.editor, stages, "in_progress", stage="design").status_code in {400, 404}
    nowhere = project.people.reader.get(f"{project.url}/sessions/none/stages")
    assert (nowhere.status_code, code_of(nowhere)) == (404, "session_not_found")


def test_rules_hold_what_completes_a_stage(project: Project) -> None:
    people, stages = project.people, start(project)
    rules = people.owner.patch(
        f"{project.url}/rules", json={"completion_needs_document": True, "completion_needs_validation": True}
    ).json()
    assert rules == {
        "tags_need_approval": False,
        "completion_needs_approval": False,
        "completion_needs_document": True,
        "completion_needs_validation": True,
    }
    report(people.editor, stages, "in_progress")
    lacking = report(people.editor, stages, "complete", validation=CLEAN)
    assert (lacking.status_code, code_of(lacking)) == (409, "document_needed")
    assert lacking.json()["path"] == "sessions/s/specs/spec.md"
    project.written("sessions/s/specs/spec.md", "# What\n")
    marked = report(people.editor, stages, "complete", validation={**CLEAN, "requires_input": 1})
    assert (marked.status_code, code_of(marked)) == (409, "validation_needed")
    assert report(people.editor, stages, "complete", validation=CLEAN).status_code == 201


def test_the_board_of_a_project(project: Project) -> None:
    reader = project.people.reader
    for slug in ("a", "b", "c"):
        stages = start(project, slug, status="in_progress" if slug == "c" else "draft")
        report(project.people.editor, stages, "in_progress", run=slug, validation=CLEAN)
    board = f"{project.url}/pipelines"
    first = reader.get(board, params={"limit": 2})
    assert [each["session"]["slug"] for each in first.json()["items"]] == ["a", "b"]
    rest = reader.get(first.links["next"]["url"]).json()
    assert ([each["session"]["slug"] for each in rest["items"]], rest["next"]) == (["c"], None)
    cell = rest["items"][0]["stages"][2]
    assert (cell["stage"], cell["state"], cell["run"], cell["validation"]) == (
        "spec",
        "in_progress",
        "c",
        CLEAN,
    )
    for query, slugs in (
        ({"status": "in_progress"}, ["c"]),
        ({"state": "in_progress", "stage": "spec"}, ["a", "b", "c"]),
        ({"state": "in_progress", "stage": "plan"}, []),
        ({"state": "failed"}, []),
    ):
        assert [each["session"]["slug"] for each in reader.get(board, params=query).json()["items"]] == slugs
    assert code_of(reader.get(board, params={"stage": "spec"})) == "bad_value"


def test_the_board_of_all_projects_has_ones_own_and_no_others(project: Project) -> None:
    other = make_project(project.people)
    for each in (project, other):
        start(each, f"x-{each.slug}")
        start(each, f"y-{each.slug}")
    mine, seen = {project.id, other.id}, []
    url: str | None = "/v1/pipelines?limit=3&status=draft"
    while url:
        page = project.people.reader.get(url)
        seen += page.json()["items"]
        url = page.links.get("next", {}).get("url")
    places = [(each["project"]["slug"], each["session"]["slug"]) for each in seen]
    assert places == sorted(places)
    assert [p for p in places if p[1].startswith(("x-p-", "y-p-"))] == sorted(
        (each.slug, f"{letter}-{each.slug}") for each in (project, other) for letter in "xy"
    )
    assert mine <= {each["project"]["id"] for each in seen}
    strange = project.people.outsider.get("/v1/pipelines", params={"limit": 200}).json()["items"]
    assert not mine & {each["project"]["id"] for each in strange}


def test_each_is_one_round_trip(api: Api, project: Project) -> None:
    editor, stages = project.people.editor, start(project)
    made = report(editor, stages, "in_progress", validation=CLEAN)
    for answer in (
        made,
        editor.get(stages),
        editor.get(f"{stages}/history"),
        editor.get(f"/v1/stage-reports/{made.json()['id']}"),
        editor.get(f"{project.url}/pipelines"),
        editor.get("/v1/pipelines"),
    ):
        assert api.cost(answer) == 1, answer.request.url


def test_a_report_is_told_in_the_feed(project: Project) -> None:
    stages = start(project)
    made = report(project.people.editor, stages, "in_progress", run="r1").json()
    events = project.people.reader.get(f"{project.url}/events", headers={"Accept": "application/json"}).json()
    told = [each for each in events["items"] if each["kind"] == "stage.reported"]
    assert [(each["sequence"], each["stage"], each["state"], each["before"], each["run"], each["late"]) for each in told] == [
        (made["sequence"], "spec", "in_progress", "pending", "r1", False)
    ]  # fmt: skip

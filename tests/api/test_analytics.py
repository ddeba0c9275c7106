"""Analytics over HTTP: the figures are true at once, in JSON, CSV and for Prometheus, for members only."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.world import code_of, make_project

if TYPE_CHECKING:
    from tests.api.world import Api, People, Person, Project
    from tests.stack import Stack

SPEC = "sessions/one/specs/spec.md"


def report(stack: Stack, by: Person, project: Project, what: str, **more: Any) -> None:
    """A stage's report, straight to the database, as the API passes it on."""
    stage, state = what.split()
    said = {"project": project.id, "session": "one", "stage": stage, "state": state, **more}
    answer = httpx.post(
        f"{stack.supabase_url}/rest/v1/rpc/report_stage",
        headers={"apikey": stack.publishable_key, "Authorization": f"Bearer {by.token}"},
        json=said,
        trust_env=False,
    )
    assert answer.is_success, answer.text


@pytest.fixture
def worked(stack: Stack, project: Project) -> Project:
    """A project with a session, in which a stage took an hour."""
    editor = project.people.editor
    editor.post(f"{project.url}/sessions", json={"slug": "one"}).raise_for_status()
    begun = datetime.now(UTC) - timedelta(hours=2)
    report(stack, editor, project, "spec in_progress", at=begun.isoformat())
    counts = {"checks": 10, "errors": 0, "warnings": 1, "requires_input": 0}
    report(stack, editor, project, "spec complete", at=(begun + timedelta(hours=1)).isoformat(), **counts)
    return project


def rows(person: Person, url: str, **query: Any) -> list[dict[str, Any]]:
    answer = person.get(url, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


def test_a_projects_figures_are_told_to_every_member_by_one_round_trip(api: Api, worked: Project) -> None:
    for member in worked.people.members().values():
        answer = member.get(f"{worked.url}/analytics")
        assert api.cost(answer) == 1
        assert answer.json()["by"] is None
        (row,) = answer.json()["rows"]
        assert row["lead_time"] == {"count": 1, "mean": 3600.0, "p50": pytest.approx(3600, rel=0.008),
                                    "p90": pytest.approx(3600, rel=0.008)}  # fmt: skip
        assert (row["stages_completed"], row["validation_pass_rate"]) == (1, 1.0)


def test_a_figure_reflects_a_write_at_once(stack: Stack, worked: Project) -> None:
    reader, editor = worked.people.reader, worked.people.editor
    assert rows(reader, f"{worked.url}/analytics")[0]["versions"] == 0
    worked.written(SPEC, "one")
    (row,) = rows(reader, f"{worked.url}/analytics")
    # Its stage was complete an hour ago.
    assert (row["versions"], row["changes"], row["rework_versions"]) == (1, 1, 1)
    assert row["work_in_progress"] == 0
    report(stack, editor, worked, "plan in_progress")
    assert rows(reader, f"{worked.url}/analytics")[0]["work_in_progress"] == 1


def test_a_period_is_cut_up_and_taken_apart(worked: Project) -> None:
    reader, written = worked.people.reader, worked.written("notes.md", "one")
    today = datetime.fromisoformat(written["change"]["committed_at"]).date()
    by_day = rows(
        reader,
        f"{worked.url}/analytics",
        **{"from": str(today - timedelta(6)), "to": str(today)},
        group="day",
    )
    assert [row["start"] for row in by_day] == [str(today - timedelta(6 - n)) for n in range(7)]
    assert [row["versions"] for row in by_day] == [0, 0, 0, 0, 0, 0, 1]
    by_stage = rows(reader, f"{worked.url}/analytics", by="stage")
    assert {row["stage"]: row["versions"] for row in by_stage} == {"spec": 0, None: 1}
    assert [row["actor"] for row in rows(reader, f"{worked.url}/analytics", by="actor")] == ["human"]
    (of,) = rows(reader, f"{worked.url}/analytics", by="project")
    assert of["project"] == {"id": worked.id, "slug": worked.slug, "name": worked.slug}
    assert (
        rows(reader, f"{worked.url}/analytics", **{"from": "2020-01-01", "to": "2020-01-31"})[0]["versions"]
        == 0
    )


def test_all_projects_of_the_caller_are_summed_and_no_others(worked: Project, people: People) -> None:
    other = make_project(people)
    people.owner.delete(f"{other.url}/members/{people.reader.id}").raise_for_status()
    other.written("a.md", "one")
    worked.written("a.md", "one")
    seen = {
        row["project"]["id"]: row["versions"] for row in rows(people.reader, "/v1/analytics", by="project")
    }
    assert seen[worked.id] == 1
    assert other.id not in seen
    before = rows(people.reader, "/v1/analytics")[0]["versions"]
    other.written("b.md", "one")
    assert rows(people.reader, "/v1/analytics")[0]["versions"] == before
    assert other.id in {row["project"]["id"] for row in rows(people.editor, "/v1/analytics", by="project")}


@pytest.mark.parametrize("way", ["accept", "format"])
def test_the_same_rows_come_as_csv(worked: Project, way: str) -> None:
    reader, url = worked.people.reader, f"{worked.url}/analytics"
    if way == "accept":
        answer = reader.get(url, params={"by": "stage"}, headers={"Accept": "text/csv"})
    else:
        answer = reader.get(url, params={"by": "stage", "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    assert answer.text.count("\r\n") == len(answer.text.splitlines())
    (told,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    (row,) = rows(reader, url, by="stage")
    assert (told["stage"], told["start"], told["project"]) == ("spec", "", "")
    assert float(told["lead_time_p50"]) == row["lead_time"]["p50"]
    assert told["waiting_time_count"] == ""
    for name in ("stages_completed", "validations", "checks", "work_in_progress"):
        assert int(told[name]) == row[name], name


def test_a_path_is_no_formula_in_a_spreadsheet(project: Project) -> None:
    people, path = project.people, "=cmd|' /C calc'!A0"
    first = project.written(path, "one")
    project.written(path, "two", by=people.owner, base=first["hash"])
    answer = people.reader.get(f"{project.url}/analytics/contested", params={"format": "csv"})
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["path"] == f"'{path}"
    assert row["project"] == project.slug


def test_documents_that_change_hands_are_listed(project: Project) -> None:
    people = project.people
    for path, hands in (("calm.md", "eee"), ("busy.md", "eoe"), ("once.md", "eo")):
        base = None
        for n, hand in enumerate(hands):
            by = people.editor if hand == "e" else people.owner
            base = project.written(path, f"{n}", by=by, base=base)["hash"]
    items = people.reader.get(f"{project.url}/analytics/contested").json()["items"]
    assert [(each["path"], each["handovers"], each["writers"], each["versions"]) for each in items] == [
        ("busy.md", 2, 2, 3),
        ("once.md", 1, 2, 2),
    ]
    most = people.reader.get(f"{project.url}/analytics/contested?limit=1")
    rest = people.reader.get(most.links["next"]["url"]).json()
    assert ([*most.json()["items"], *rest["items"]], rest["next"]) == (items, None)
    past = {"from": "2020-01-01", "to": "2020-12-31"}
    assert people.reader.get(f"{project.url}/analytics/contested", params=past).json()["items"] == []
    everywhere = people.reader.get("/v1/analytics/contested", params={"limit": 200}).json()["items"]
    assert project.id in {each["project"]["id"] for each in everywhere}
    strange = people.outsider.get("/v1/analytics/contested").json()["items"]
    assert project.id not in {each["project"]["id"] for each in strange}


def test_documents_that_nobody_changed_are_listed_with_what_they_are_behind(worked: Project) -> None:
    reader = worked.people.reader
    worked.written("sessions/one/plans/plan.md", "a plan")
    worked.written(SPEC, "a spec that came later")
    assert reader.get(f"{worked.url}/analytics/stale").json() == {"days": 90, "items": [], "next": None}
    plan, spec = reader.get(f"{worked.url}/analytics/stale", params={"days": 0}).json()["items"]
    assert (plan["path"], plan["behind"]["path"]) == ("sessions/one/plans/plan.md", SPEC)
    assert spec["behind"] is None
    oldest = reader.get(f"{worked.url}/analytics/stale", params={"days": 0, "limit": 1})
    rest = reader.get(oldest.links["next"]["url"]).json()
    assert ([*oldest.json()["items"], *rest["items"]], rest["next"]) == ([plan, spec], None)
    everywhere = reader.get("/v1/analytics/stale", params={"days": 0, "limit": 200}).json()["items"]
    # The people of these tests are in many projects: this one's documents are among the youngest of all.
    assert [each["changed_at"] for each in everywhere] == sorted(each["changed_at"] for each in everywhere)
    assert everywhere
    strange = worked.people.outsider.get("/v1/analytics/stale", params={"days": 0, "limit": 200}).json()[
        "items"
    ]
    assert worked.id not in {each["project"]["id"] for each in strange}


def test_a_scraper_reads_gauges_that_prometheus_takes(stack: Stack, worked: Project) -> None:
    report(stack, worked.people.editor, worked, "plan in_progress")
    answer = worked.people.reader.get("/v1/analytics/metrics")
    assert re.fullmatch(r"text/plain; version=[\d.]+; charset=utf-8", answer.headers["content-type"])
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}

    def of(name: str, **labels: str) -> list[float]:
        wanted = {"project": worked.id, **labels}.items()
        return [sample.value for sample in families[name].samples if wanted <= sample.labels.items()]

    assert of("verso_work_in_progress", stage="plan", actor="human") == [1.0]
    assert of("verso_stages_completed", stage="spec") == [1.0]
    assert of("verso_validations", result="passed", stage="spec") == [1.0]
    assert of("verso_lead_time_seconds", quantile="0.5", stage="spec") == [pytest.approx(3600, rel=0.008)]
    assert {family.type for family in families.values()} == {"gauge"}
    strange = worked.people.outsider.get("/v1/analytics/metrics").text
    assert worked.id not in strange
    assert "# TYPE verso_work_in_progress gauge" in strange


@pytest.mark.parametrize("route", ["analytics", "analytics/contested", "analytics/stale"])
def test_whoever_is_no_member_is_told_that_there_is_no_project(worked: Project, route: str) -> None:
    answer = worked.people.outsider.get(f"{worked.url}/{route}")
    assert (answer.status_code, code_of(answer)) == (404, "project_not_found")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"from": "2026-03-02", "to": "2026-03-01"}, 422, "bad_period"),
        ({"from": "2020-01-01", "group": "day"}, 422, "period_too_long"),
        ({"from": "0001-01-01"}, 422, "bad_period"),
        ({"to": "0001-01-01"}, 422, "bad_period"),
        ({"to": "9999-12-31"}, 422, "bad_period"),
        ({"from": "yesterday"}, 400, "bad_request"),
        ({"group": "year"}, 400, "bad_request"),
        ({"by": "person"}, 400, "bad_request"),
        ({"format": "xml"}, 400, "bad_request"),
    ],
)
def test_what_is_no_period_is_refused(
    project: Project, query: dict[str, str], status: int, code: str
) -> None:
    answer = project.people.reader.get(f"{project.url}/analytics", params=query)
    assert (answer.status_code, code_of(answer)) == (status, code)
    if code == "bad_period":
        answer = project.people.reader.get(f"{project.url}/analytics/contested", params=query)
        assert (answer.status_code, code_of(answer)) == (status, code)


def test_only_json_and_csv_are_spoken(project: Project) -> None:
    answer = project.people.reader.get(f"{project.url}/analytics", headers={"Accept": "image/png"})
    assert (answer.status_code, code_of(answer)) == (406, "not_acceptable")

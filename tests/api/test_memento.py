"""Memento (RFC 7089): a path at a time by header, and the map of all its times."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Project, code_of, make_project

if TYPE_CHECKING:
    from tests.api.world import People


def stamp(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


@pytest.fixture(scope="module")
def project(people: People) -> Project:
    """One for all tests that only read it: its two versions take a second."""
    return make_project(people)


@pytest.fixture(scope="module")
def versions(project: Project) -> list[dict[str, Any]]:
    """Two versions of a.md more than a second apart: a Memento's time counts whole seconds."""
    first = project.written("docs/a b.md", "1\n")
    time.sleep(1.1)
    return [first, project.written("docs/a b.md", "2\n", base=first["hash"])]


def moment_of(version: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(version["change"]["committed_at"])


def asked(project: Project, when: datetime, *, path: str = "docs/a b.md", follow: bool = False) -> Any:
    headers = {"Accept-Datetime": stamp(when)}
    return project.people.reader.get(project.file(path), headers=headers, follow_redirects=follow)


def links(field: str) -> dict[str, str]:
    """The targets of a Link header by relation."""
    found = re.findall(r'<([^>]*)>; rel="([^"]*)"', field)
    return {relation: target for target, relations in found for relation in relations.split()}


def test_a_time_leads_to_the_version_of_that_time(project: Project, versions: list[dict[str, Any]]) -> None:
    first, second = versions
    for when, version in (
        (moment_of(first), first),
        (moment_of(second) - timedelta(seconds=1), first),
        (moment_of(second), second),
        (datetime.now(UTC) + timedelta(days=9), second),
    ):
        answer = asked(project, when)
        assert answer.status_code == 302
        place = f"/v1/documents/{version['document']}/versions/{version['number']}/content"
        assert answer.headers["location"] == place
        assert "accept-datetime" in answer.headers["vary"].lower()
        related = links(answer.headers["link"])
        assert related["original"] == related["timegate"] == f"/v1/projects/{project.id}/files/docs/a%20b.md"
        assert related["timemap"] == f"/v1/documents/{version['document']}/timemap"


def test_before_the_first_version_is_the_first_version(
    project: Project, versions: list[dict[str, Any]]
) -> None:
    answer = asked(project, datetime(2001, 1, 1, tzinfo=UTC), follow=True)
    assert answer.text == "1\n"


def test_a_memento_says_when_it_was(project: Project, versions: list[dict[str, Any]]) -> None:
    answer = asked(project, moment_of(versions[0]), follow=True)
    assert (answer.status_code, answer.text) == (200, "1\n")
    assert parsedate_to_datetime(answer.headers["memento-datetime"]) == moment_of(versions[0]).replace(
        microsecond=0
    )
    related = links(answer.headers["link"])
    assert {"original", "timegate", "timemap", "latest-version", "version-history"} <= set(related)
    assert project.people.reader.get(related["original"]).text == "2\n"


def test_a_path_says_where_its_times_are(project: Project, versions: list[dict[str, Any]]) -> None:
    answer = project.people.reader.get(project.file("docs/a b.md"))
    assert answer.status_code == 200
    assert "memento-datetime" not in answer.headers
    assert {"timegate", "timemap"} <= set(links(answer.headers["link"]))
    assert "accept-datetime" in answer.headers["vary"].lower()


@pytest.mark.parametrize("field", ["yesterday", "2026-11-22T10:00:00Z", "Sun, 22 Nov 2026 25:00:00 GMT", ""])
def test_a_time_that_is_none_is_400(project: Project, versions: list[dict[str, Any]], field: str) -> None:
    answer = project.people.reader.get(project.file("docs/a b.md"), headers={"Accept-Datetime": field})
    assert (answer.status_code, code_of(answer)) == (400, "bad_request")


def test_strangers_and_missing_paths_get_404(project: Project, versions: list[dict[str, Any]]) -> None:
    assert asked(project, datetime.now(UTC), path="no/such.md").status_code == 404
    headers = {"Accept-Datetime": stamp(datetime.now(UTC))}
    outsider = project.people.outsider
    assert outsider.get(project.file("docs/a b.md"), headers=headers).status_code == 404
    assert outsider.get(f"/v1/documents/{versions[0]['document']}/timemap").status_code == 404


def test_a_timemap_has_every_time(project: Project, versions: list[dict[str, Any]]) -> None:
    first, second = versions
    answer = project.people.reader.get(f"/v1/documents/{first['document']}/timemap")
    assert answer.headers["content-type"].startswith("application/link-format")
    related = re.findall(r'<([^>]*)>; rel="([^"]*)"(?:; datetime="([^"]*)")?', answer.text)
    mementos = [(target, when) for target, relation, when in related if "memento" in relation.split()]
    assert mementos == [
        (f"/v1/documents/{each['document']}/versions/{each['number']}/content", stamp(moment_of(each)))
        for each in (second, first)
    ]
    assert "first memento" in [relation for _, relation, _ in related]
    for target, _ in mementos:
        assert project.people.reader.get(target).headers["memento-datetime"]


def test_a_long_timemap_comes_in_pages(people: People) -> None:
    project = make_project(people)
    head = project.written("a.md", "0")
    for number in range(1, 7):
        head = project.written("a.md", str(number), base=head["hash"])
    url, seen, pages = f"/v1/documents/{head['document']}/timemap?limit=3", [], 0
    while url:
        text = project.people.reader.get(url).text
        seen += [int(number) for number in re.findall(r"versions/(\d+)/content", text)]
        more = re.search(r'<([^>]*)>; rel="timemap"', text)
        url, pages = (more[1] if more else ""), pages + 1
    assert (seen, pages) == ([7, 6, 5, 4, 3, 2, 1], 3)


def test_a_delete_is_no_memento(people: People) -> None:
    project = make_project(people)
    first = project.written("a.md", "1")
    project.people.editor.delete(project.file("a.md"), headers={"If-Match": f'"{first["hash"]}"'})
    text = project.people.reader.get(f"/v1/documents/{first['document']}/timemap").text
    assert re.findall(r"versions/(\d+)/content", text) == ["1"]

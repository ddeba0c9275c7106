"""The feed: every event once, in order, to whoever may see it, from where they stood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.api.feed import Stream
from tests.api.world import code_of

if TYPE_CHECKING:
    from tests.api.world import Project


def events(project: Project, **query: Any) -> list[dict[str, Any]]:
    """All pages of events."""
    found: list[dict[str, Any]] = []
    after = query.pop("after", 0)
    while after is not None:
        page = project.people.reader.get(f"{project.url}/events", params={"after": after, **query})
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        after = page.json()["next"]
    return found


def test_what_happened_is_numbered_without_gaps_and_says_what_it_was(project: Project) -> None:
    first = project.written("a/b.md", "1")
    project.written("a/b.md", "2", base=first["hash"])
    found = events(project)
    assert [each["sequence"] for each in found] == list(range(1, len(found) + 1))
    newest = found[-1]
    assert newest["kind"] == "change.added"
    assert newest["actor"]["id"] == project.people.editor.id
    assert newest["change"]["sequence"] == 2
    assert [each["path"] for each in newest["change"]["versions"]] == ["a/b.md"]
    assert newest["change"]["versions"][0]["parent"] == first["hash"]
    assert newest["change"]["more"] is False


def test_a_stream_begins_now_and_tells_what_follows(project: Project) -> None:
    known = len(events(project))
    with Stream(project.people.reader, f"{project.url}/events") as stream:
        ready = stream.next()
        assert (ready.event, ready.id, ready.data) == ("ready", str(known), {"sequence": known})
        project.written("a.md", "1")
        assert [each["sequence"] for each in stream.events(1)] == [known + 1]
        project.written("b.md", "1")
        assert stream.events(1)[0]["change"]["versions"][0]["path"] == "b.md"


def test_a_stream_resumes_exactly(project: Project) -> None:
    for number in range(5):
        project.written(f"{number}.md", "1")
    everything = events(project)
    with Stream(project.people.reader, f"{project.url}/events?after=0") as stream:
        assert stream.events(len(everything)) == everything
        project.written("new.md", "1")
        assert stream.events(1)[0]["sequence"] == len(everything) + 1
    with Stream(project.people.reader, f"{project.url}/events?after=0", Last_Event_ID="7") as stream:
        assert [each["sequence"] for each in stream.events(2)] == [8, 9]


def test_strangers_get_what_they_get_for_nothing(project: Project) -> None:
    for headers in ({}, {"Accept": "text/event-stream"}):
        for home in (project.url, "/v1/projects/no-such-project"):
            answer = project.people.outsider.get(f"{home}/events", headers=headers)
            assert (answer.status_code, code_of(answer)) == (404, "project_not_found")

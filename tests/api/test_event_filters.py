"""Which events a filter lets through, in pages (decided by the database) and streams (by the process): the same."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from app.flows.event_filter import EventFilter
from tests.api.feed import Stream
from tests.api.test_events import events

if TYPE_CHECKING:
    from tests.api.world import Project


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [each["sequence"] for each in found]


def busy(project: Project) -> None:
    """A bit of everything: sessions within sessions, moves in and out of them, deletes, remarks, tags."""
    editor, url = project.people.editor, project.url
    for slug, root in (("outer", "runs/outer"), ("inner", "runs/outer/in"), ("other", "else")):
        assert editor.post(f"{url}/sessions", json={"slug": slug, "root": root}).status_code == 201
    paths = ["runs/outer/specs/a.md", "runs/outer/in/plans/b.md", "else/c.md", "runs/outerlike.md", "d/é.md"]
    for path in paths:
        project.written(path, path)
    heads = {path: project.people.reader.get(project.file(path)).headers["etag"] for path in paths}
    document = project.people.reader.get(f"{url}/tree").json()["items"]
    by_path = {each["path"]: each for each in document}
    moved = editor.patch(
        f"/v1/documents/{by_path['else/c.md']['document']}",
        json={"path": "runs/outer/in/c.md"},
        headers={"If-Match": heads["else/c.md"]},
    )
    assert moved.status_code == 200, moved.text
    gone = editor.delete(project.file("d/é.md"), headers={"If-Match": heads["d/é.md"]})
    assert gone.status_code == 200, gone.text
    version = by_path["runs/outer/specs/a.md"]["version"]
    assert editor.post(f"/v1/versions/{version}/comments", json={"body": "x"}).status_code == 201
    assert editor.post(f"{url}/tags", json={"name": "t1"}).status_code == 201
    assert editor.post(f"{url}/tags", json={"name": "t2", "at": version}).status_code == 201
    reviewed = project.people.reviewer.post(f"/v1/versions/{version}/reviews", json={"verdict": "approve"})
    assert reviewed.status_code == 201
    assert editor.patch(f"{url}/sessions/inner", json={"title": "x"}).status_code == 200
    project.change(
        *({"path": f"many/{n}.md", "text": "x"} for n in range(120)), {"path": "zz/last.md", "text": "x"}
    )


FILTERS: list[dict[str, Any]] = [
    {},
    {"kind": "change.added"},
    {"kind": ["comment.*", "review.added"]},
    {"kind": "nothing.ever"},
    {"path": "runs/"},
    {"path": "runs/outer"},
    {"path": "runs/outer/"},
    {"path": "runs/outer/specs/a.md"},
    {"path": "else/"},
    {"path": "d/é"},
    {"path": "zz/"},
    {"path": "many/119"},
    {"path": "%"},
    {"session": "outer"},
    {"session": "inner"},
    {"session": "other"},
    {"session": "inner", "kind": "session.*"},
    {"session": "outer", "path": "runs/outer/specs"},
    {"path": "zz", "kind": "tag.*"},
]


def test_pages_and_streams_let_the_same_through(project: Project) -> None:
    """The process's own decision, by an event's row or by all that its change touches, is the database's."""
    busy(project)
    everything = events(project)
    reach = {each["sequence"]: reach_of(project, each) for each in everything}
    sessions = {
        each["slug"]: each["id"]
        for each in project.people.reader.get(f"{project.url}/sessions").json()["items"]
    }
    for query in FILTERS:
        kinds = query.get("kind", [])
        wanted = EventFilter(
            kinds=frozenset([kinds] if isinstance(kinds, str) else kinds),
            prefix=query.get("path"),
            session=sessions[query["session"]] if "session" in query else None,
        )
        mine = [
            each["sequence"]
            for each in everything
            if wanted.wants_kind(each["kind"]) and place(wanted, each, reach[each["sequence"]])
        ]
        assert numbers(events(project, **query)) == mine, query
        assert numbers(events(project, limit=5, **query)) == mine, query
    assert len(events(project, path="else/")) == 2, "there it was added, and from there it moved"
    assert len(events(project, path="zz/")) == 1


def reach_of(project: Project, event: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What the database says that a change touches, found another way: by all of its versions."""
    if event["change"] is None:
        return [], []
    change = project.people.reader.get(f"{project.url}/changes/{event['change']['sequence']}").json()
    sessions = project.people.reader.get(f"{project.url}/sessions").json()["items"]
    paths = []
    for each in change["versions"]:
        paths.append(each["path"])
        if each.get("parent"):
            number = each["number"] - 1
            before = project.people.reader.get(f"/v1/documents/{each['document']}/versions/{number}").json()
            paths.append(before["path"])
    lying = []
    for path in paths:
        above = [each for each in sessions if path.startswith(each["root"] + "/")]
        if above:
            lying.append(max(above, key=lambda each: len(each["root"]))["id"])
    return sorted(paths), lying


def place(wanted: EventFilter, event: dict[str, Any], reach: tuple[list[str], list[str]]) -> bool:
    """By the row alone where that can say, and it must then agree with the whole."""
    by_reach = wanted.wants_reach(
        event, paths=sorted([*reach[0], *filter(None, [event.get("path")])]), sessions=reach[1]
    )
    by_row = wanted.wants_place(event)
    assert by_row in {None, by_reach}, (wanted, event)
    return by_reach


def test_streams_decide_by_themselves_as_the_database_does(project: Project) -> None:
    chosen = [each for each in FILTERS if "session" not in each]
    streams = []
    for query in chosen:
        asked = project.people.reader.build_request("GET", f"{project.url}/events", params=query).url
        streams.append(Stream(project.people.reader, str(asked)))
    try:
        for stream in streams:
            stream.__enter__()
            stream.next()
        known = len(events(project))
        busy(project)
        project.people.editor.post(f"{project.url}/tags", json={"name": "the-end"})
        for query, stream in zip(chosen, streams, strict=True):
            expected = numbers(events(project, after=known, **query))
            assert numbers(stream.events(len(expected))) == expected, query
        for stream in streams:
            assert stream.quiet(0.05)
    finally:
        for stream in streams:
            stream.__exit__()


def test_streams_about_a_session_see_what_moves_out_of_it(project: Project) -> None:
    editor, url = project.people.editor, project.url
    made = editor.post(f"{url}/sessions", json={"slug": "s", "root": "s"}).json()["id"]
    version = project.written("s/a.md", "1")
    with Stream(project.people.reader, f"{url}/events?session=s") as stream:
        stream.next()
        project.written("elsewhere.md", "1")
        moved = editor.patch(
            f"/v1/documents/{version['document']}",
            json={"path": "t/a.md"},
            headers={"If-Match": f'"{version["hash"]}"'},
        )
        assert moved.status_code == 200
        told = stream.events(1)[0]["change"]["versions"][0]
        assert (told["from_path"], told["path"], told.get("session")) == ("s/a.md", "t/a.md", None)
        again = project.written("s/b.md", "1")
        told = stream.events(1)[0]["change"]["versions"][0]
        assert (told["session"], told["hash"]) == (made, again["hash"])


@pytest.mark.slow
def test_a_filter_is_exact_for_a_change_of_ten_thousand_versions(project: Project) -> None:
    everyone = project.people.reader
    with (
        Stream(everyone, f"{project.url}/events?path=deep/9999.md") as there,
        Stream(everyone, f"{project.url}/events?path=deep/10000.md") as not_there,
        Stream(everyone, f"{project.url}/events") as unfiltered,
    ):
        there.next(), not_there.next(), unfiltered.next()
        project.change(*({"path": f"deep/{n}.md", "text": str(n % 7)} for n in range(10_000)), timeout=200)
        told = there.events(1, 60)[0]
        assert (told["change"]["version_count"], told["change"]["more"]) == (10_000, True)
        assert len(told["change"]["versions"]) == 100
        assert unfiltered.events(1)[0] == told
        assert not_there.quiet(1)
    began = time.monotonic()
    assert numbers(events(project, path="deep/9999.md")) == [told["sequence"]]
    assert numbers(events(project, path="deep/10000.md")) == []
    assert time.monotonic() - began < 10


def test_hunks_come_with_the_event_for_those_who_asked(project: Project) -> None:
    first = project.written("a.md", "one\ntwo\nthree\n")
    with (
        Stream(project.people.reader, f"{project.url}/events?hunks=true") as with_hunks,
        Stream(project.people.reviewer, f"{project.url}/events?hunks=true") as too,
        Stream(project.people.reader, f"{project.url}/events") as without,
    ):
        with_hunks.next(), too.next(), without.next()
        project.change(
            {"document": first["document"], "base": first["hash"], "text": "one\n2\nthree\n"},
            {"path": "bin", "base64": "AAEC"},
            {"path": "big.txt", "text": "x\n" * 150_000},
        )
        told = with_hunks.events(1)[0]
        assert too.events(1)[0] == told
        assert "diff" not in without.events(1)[0]["change"]["versions"][0]
        project.people.editor.post(f"{project.url}/tags", json={"name": "t"})
        assert with_hunks.events(1)[0]["kind"] == "tag.added"
    diffs = {each["path"]: each["diff"] for each in told["change"]["versions"]}
    lines = [(each["kind"], each["text"]) for each in diffs["a.md"]["hunks"][0]["lines"]]
    assert lines == [("context", "one"), ("removed", "two"), ("added", "2"), ("context", "three")]
    assert diffs["bin"] == {"left_out": "not_text"}
    assert diffs["big.txt"] == {"left_out": "too_large"}
    page = project.people.reader.get(
        f"{project.url}/events", params={"after": told["sequence"] - 1, "hunks": True}
    )
    assert page.json()["items"][0] == told


def test_hunks_are_bounded(project: Project) -> None:
    rng = random.Random(6)
    text = "".join(f"{rng.random()}\n" for _ in range(2500))
    items = [{"path": f"{n:02}.md", "text": f"{n}\n" + text} for n in range(25)]
    assert project.change(*items).status_code == 201
    answer = project.people.reader.get(
        f"{project.url}/events", params={"kind": "change.added", "hunks": True}
    )
    assert len(answer.content) < 256 * 1024
    left_out = [each["diff"].get("left_out") for each in answer.json()["items"][0]["change"]["versions"]]
    assert left_out[20:] == ["too_many"] * 5
    assert "too_large" in left_out[:20]
    assert None in left_out[:20] or left_out[0] == "too_large"

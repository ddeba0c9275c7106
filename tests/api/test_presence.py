"""Presence over HTTP: who is at a document, for as long as they say so; told in streams, in every process."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.feed import Frame, Stream
from tests.api.world import Api, Person, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import Project
    from tests.stack import Stack


@pytest.fixture(scope="module")
def other(stack: Stack) -> Iterator[Api]:
    """A second process of the service."""
    with Api(stack) as running:
        yield running
    shutil.rmtree(running.directory)


def at(api: Api, person: Person) -> Person:
    return Person(api, {"access_token": person.token, "user": {"id": person.id, "email": person.email}}, None)


def say(project: Project, person: Person, **what: Any) -> list[tuple[str, str, str | None]]:
    answer = person.put(f"{project.url}/presence", json={"device": "tab", "state": "viewing"} | what)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    return places(answer.json()["items"])


def seen(project: Project, person: Person, **where: str) -> list[tuple[str, str, str | None]]:
    answer = person.get(f"{project.url}/presence", params=where)
    assert answer.status_code == 200, answer.text
    return places(answer.json()["items"])


def places(items: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(each["person"]["id"], each["state"], each["path"]) for each in items]


def presence(stream: Stream, seconds: float = 10) -> Frame:
    """The next frame about presence; events between are dropped."""
    deadline = time.monotonic() + seconds
    while True:
        frame = stream.next(max(deadline - time.monotonic(), 0.01))
        if frame.event == "presence":
            return frame


def test_who_says_what_they_do_is_told_who_else_is_there(project: Project) -> None:
    people = project.people
    document = project.written("a.md", "1")["document"]
    assert say(project, people.reader, path="a.md") == [(people.reader.id, "viewing", "a.md")]
    both = [(people.reader.id, "viewing", "a.md"), (people.editor.id, "editing", "a.md")]
    assert say(project, people.editor, state="editing", document=document, seconds=60) == both
    assert say(project, people.owner) == [(people.owner.id, "viewing", None)]
    assert seen(project, people.reviewer, document=document) == both
    assert seen(project, people.reviewer, path="a.md") == both
    assert len(seen(project, people.reviewer)) == 3
    assert say(project, people.editor, state="gone") == []
    assert seen(project, people.reviewer, path="a.md") == both[:1]


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"device": "a b"}, "bad_request"),
        ({"state": "asleep"}, "bad_request"),
        ({"seconds": 3600}, "bad_request"),
        ({"document": "no"}, "bad_request"),
        ({"document": "00000000-0000-0000-0000-000000000000"}, "document_not_found"),
        ({"path": "/a"}, "bad_path"),
        ({"state": "editing"}, "role_too_low"),
        ({"person": "x"}, "bad_request"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_cannot_be_said(project: Project, what: dict[str, Any], code: str) -> None:
    answer = project.people.reader.put(
        f"{project.url}/presence", json={"device": "t", "state": "viewing"} | what
    )
    assert code_of(answer) == code
    assert code_of(
        project.people.outsider.put(f"{project.url}/presence", json={"device": "t", "state": "viewing"})
    ) == ("project_not_found")


def test_streams_of_every_process_tell_who_comes_and_goes(project: Project, other: Api) -> None:
    people = project.people
    say(project, people.owner, path="old.md")
    with (
        Stream(people.reader, f"{project.url}/events") as here,
        Stream(at(other, people.reader), f"{project.url}/events") as there,
    ):
        for stream in (here, there):
            first = presence(stream)
            assert first.id is None
            assert (first.data["complete"], first.data["gone"]) == (True, [])
            assert places(first.data["present"]) == [(people.owner.id, "viewing", "old.md")]
        said = time.monotonic()
        say(project, people.editor, path="a.md", state="editing")
        for stream in (here, there):
            frame = presence(stream)
            assert frame.data["complete"] is False
            assert places(frame.data["present"]) == [(people.editor.id, "editing", "a.md")]
        assert time.monotonic() - said < 15
        say(project, people.editor, path="a.md", state="editing")  # renewed, and nothing to tell
        say(project, people.editor, state="gone")
        for stream in (here, there):
            frame = presence(stream)
            assert (frame.data["present"], frame.data["gone"]) == (
                [],
                [{"person": people.editor.id, "device": "tab"}],
            )
        # What isn't said again is over, and is told so.
        say(project, people.owner, device="brief", path="old.md", seconds=5)
        assert presence(here).data["present"]
        assert presence(here, 20).data["gone"] == [{"person": people.owner.id, "device": "brief"}]


def test_streams_of_other_kinds_hear_no_presence(project: Project) -> None:
    people = project.people
    with Stream(people.reader, f"{project.url}/events?kind=change.*") as stream:
        stream.next()
        say(project, people.editor, path="a.md")
        project.written("a.md", "1")
        assert stream.next().event == "change.added"
    with Stream(people.reader, f"{project.url}/events?kind=presence.*") as stream:
        assert presence(stream).data["complete"] is True
        project.written("b.md", "1")
        say(project, people.editor, path="b.md")
        assert stream.next().event == "presence"


def test_who_was_removed_is_gone_and_hears_of_nobody(project: Project) -> None:
    people = project.people
    with (
        Stream(people.editor, f"{project.url}/events") as removed,
        Stream(people.reader, f"{project.url}/events") as stays,
    ):
        say(project, people.editor, path="a.md")
        assert presence(removed).data["present"]
        assert presence(stays).data["present"]
        people.owner.delete(f"{project.url}/members/{people.editor.id}").raise_for_status()
        say(project, people.owner, path="secret.md")
        heard = []
        while (frame := removed.next()).event != "end":
            heard.append(frame)
        assert frame.data["reason"] == "member_removed"
        assert not any("secret" in str(each.data) for each in heard)
        told = [presence(stays).data]
        while not any("secret" in str(each) for each in told):
            told.append(presence(stays).data)
        assert {"person": people.editor.id, "device": "tab"} in [
            gone for each in told for gone in each["gone"]
        ]

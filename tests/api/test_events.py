"""The feed: every event once, in order, to whoever may see it, from where they stood."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.api.feed import Stream
from tests.api.world import Api, Person, code_of, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import Project
    from tests.stack import Stack

AS_STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def hasty(stack: Stack) -> Iterator[Api]:
    """A process that looks at everything more often, and lets few in."""
    settings = {"event_heartbeat": 0.5, "event_recheck": 2, "event_streams_per_account": 3}
    with Api(stack, **settings) as running:
        yield running
    shutil.rmtree(running.directory)


def at(api: Api, person: Person, token: str | None = None) -> Person:
    """Somebody at another process, or with another token."""
    session = {"access_token": token or person.token, "user": {"id": person.id, "email": person.email}}
    return Person(api, session, None)


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


def test_pages_go_on_from_where_one_is(project: Project) -> None:
    everything = events(project)
    reader, url = project.people.reader, f"{project.url}/events"
    assert events(project, limit=1) == events(project, limit=2) == everything
    page = reader.get(url, params={"after": 2, "limit": 2}).json()
    assert ([each["sequence"] for each in page["items"]], page["next"]) == ([3, 4], None)
    assert page["newest"] == 4
    first = reader.get(url, params={"limit": 3, "kind": ["member.*", "project.*"]})
    assert [each["sequence"] for each in first.json()["items"]] == [1, 2, 3]
    assert [each["sequence"] for each in reader.get(first.links["next"]["url"]).json()["items"]] == [4]
    assert reader.get(url, params={"after": 4}).json() == {"items": [], "next": None, "newest": 4}
    refused = reader.get(url, params={"after": 5})
    assert (refused.status_code, code_of(refused), refused.json()["newest"]) == (400, "bad_cursor", 4)


def test_a_stream_begins_now_and_tells_what_follows(project: Project) -> None:
    known = len(events(project))
    with Stream(project.people.reader, f"{project.url}/events") as stream:
        assert stream.response is not None
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"
        ready = stream.next()
        assert (ready.event, ready.id, ready.data) == ("ready", str(known), {"sequence": known})
        project.written("a.md", "1")
        assert [each["sequence"] for each in stream.events(1)] == [known + 1]
        project.written("b.md", "1")
        assert stream.events(1)[0]["change"]["versions"][0]["path"] == "b.md"


def test_a_stream_resumes_exactly_and_tells_what_pages_tell(project: Project) -> None:
    for number in range(5):
        project.written(f"{number}.md", "1")
    everything = events(project)
    with Stream(project.people.reader, f"{project.url}/events?after=0") as stream:
        assert stream.events(len(everything)) == everything
        project.written("new.md", "1")
        assert stream.events(1)[0]["sequence"] == len(everything) + 1
    with Stream(project.people.reader, f"{project.url}/events?after=0", Last_Event_ID="7") as stream:
        assert [each["sequence"] for each in stream.events(2)] == [8, 9]


def test_a_stream_that_got_nothing_resumes_where_it_began(project: Project) -> None:
    with Stream(project.people.reader, f"{project.url}/events") as stream:
        ready = stream.next()
    project.written("meanwhile.md", "1")
    with Stream(project.people.reader, f"{project.url}/events", Last_Event_ID=str(ready.id)) as stream:
        assert stream.events(1)[0]["change"]["versions"][0]["path"] == "meanwhile.md"


def test_a_stream_resumes_at_another_process(project: Project, hasty: Api) -> None:
    """What one process told isn't told again by the other, and nothing between is missing."""
    told: list[int] = []
    last = "0"
    for turn in range(6):
        person = project.people.reader if turn % 2 else at(hasty, project.people.reader)
        with Stream(person, f"{project.url}/events", Last_Event_ID=last) as stream:
            project.written(f"{turn}.md", "1")
            told += [each["sequence"] for each in stream.events(5 if turn == 0 else 2)]
            last = str(told[-1])
        project.written(f"between-{turn}.md", "1")
    assert told == list(range(1, len(told) + 1))


@pytest.mark.parametrize("headers", [{}, AS_STREAM], ids=["page", "stream"])
def test_strangers_get_what_they_get_for_nothing(project: Project, headers: dict[str, str]) -> None:
    for home in (project.url, "/v1/projects/no-such-project"):
        answer = project.people.outsider.get(f"{home}/events", headers=headers)
        assert (answer.status_code, code_of(answer)) == (404, "project_not_found")


@pytest.mark.parametrize("headers", [{}, AS_STREAM], ids=["page", "stream"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("after=-1", "bad_request"),
        ("after=x", "bad_request"),
        ("after=99999", "bad_cursor"),
        ("kind=change", "bad_value"),
        ("kind=*", "bad_value"),
        ("kind=change.added&kind=x.y;", "bad_value"),
        ("session=none", "session_not_found"),
        ("path=", "bad_request"),
    ],
)
def test_what_is_asked_is_checked(project: Project, headers: dict[str, str], query: str, code: str) -> None:
    answer = project.people.reader.get(f"{project.url}/events?{query}", headers=headers)
    assert code_of(answer) == code


def test_other_forms_and_ids_that_are_none_are_refused(project: Project) -> None:
    reader, url = project.people.reader, f"{project.url}/events"
    assert code_of(reader.get(url, headers={"Accept": "text/html"})) == "not_acceptable"
    for last in ("x", "-1", "1.0", "9" * 19, "99999"):
        assert code_of(reader.get(url, headers={**AS_STREAM, "Last-Event-ID": last})) == "bad_cursor"


# Who may ---------------------------------------------------------------------------------------------


def test_who_is_removed_is_told_so_and_gets_nothing_after(project: Project) -> None:
    people = project.people
    with (
        Stream(people.reviewer, f"{project.url}/events") as theirs,
        Stream(people.reader, f"{project.url}/events") as other,
    ):
        theirs.next()
        people.owner.delete(f"{project.url}/members/{people.reviewer.id}").raise_for_status()
        project.written("after.md", "secret")
        ended = theirs.next()
        assert (ended.event, ended.id, ended.data["reason"]) == ("end", None, "member_removed")
        with pytest.raises(EOFError):
            theirs.any()
        assert [each["kind"] for each in other.events(2)] == ["member.removed", "change.added"]
    assert code_of(people.reviewer.get(f"{project.url}/events", headers=AS_STREAM)) == "project_not_found"


def test_an_end_without_an_event_is_found_by_looking_again(
    project: Project, hasty: Api, stack: Stack
) -> None:
    """An operator's hand in the table: nobody is told, and the stream still ends."""
    people = project.people
    with (
        Stream(at(hasty, people.reviewer), f"{project.url}/events") as theirs,
        Stream(at(hasty, people.reader), f"{project.url}/events") as other,
    ):
        theirs.next()
        other.next()
        remove = "delete from public.members where user_id = $1 and project_id = $2"
        asyncio.run(stack.psql(remove, people.reviewer.id, project.id))
        assert theirs.next(10).data["reason"] == "member_removed"
        project.written("after.md", "1")
        assert other.events(1)


def test_a_stream_ends_with_its_token_and_goes_on_with_the_next(
    project: Project, stack: Stack, api: Api
) -> None:
    reader = project.people.reader
    short = brief(api, reader, stack, seconds=4)
    with Stream(short, f"{project.url}/events") as stream:
        last = stream.next().id
        project.written("a.md", "1")
        last = str(stream.events(1)[0]["sequence"])
        ended = stream.next(15)
        assert (ended.event, ended.data["reason"]) == ("end", "token_expired")
    project.written("b.md", "1")
    with Stream(reader, f"{project.url}/events", Last_Event_ID=last) as stream:
        assert stream.events(1)[0]["change"]["versions"][0]["path"] == "b.md"


def test_others_go_on_when_the_token_that_reads_for_all_ends(
    project: Project, stack: Stack, api: Api
) -> None:
    """The one who came first reads for both; then the other one's token does."""
    people = project.people
    with (
        Stream(brief(api, people.reader, stack, seconds=4), f"{project.url}/events") as first,
        Stream(brief(api, people.owner, stack, seconds=9), f"{project.url}/events") as second,
        Stream(people.reviewer, f"{project.url}/events") as third,
    ):
        assert first.next().event == second.next().event == third.next().event == "ready"
        assert first.next(15).data["reason"] == "token_expired"
        project.written("a.md", "1")
        assert second.events(1) == third.events(1)
        assert second.next(15).data["reason"] == "token_expired"
        project.written("b.md", "1")
        assert third.events(1)[0]["change"]["versions"][0]["path"] == "b.md"


def brief(api: Api, person: Person, stack: Stack, *, seconds: float) -> Person:
    """Somebody with a token that ends soon."""
    return at(api, person, stack.sign(sub=person.id, exp=int(time.time() + seconds), email=person.email))


def test_an_account_that_ends_ends_its_streams(project: Project, stack: Stack, api: Api) -> None:
    person = Person(api, sign_in(stack, "leaver"), None)
    project.people.owner.put(f"{project.url}/members/{person.id}", json={"role": "editor"})
    with (
        Stream(person, f"{project.url}/events") as theirs,
        Stream(project.people.reader, f"{project.url}/events") as other,
    ):
        theirs.next()
        with httpx.Client(base_url=f"{stack.supabase_url}/auth/v1", trust_env=False) as auth:
            auth.delete(f"/admin/users/{person.id}", headers={"apikey": stack.secret_key}).raise_for_status()
        assert theirs.next().data["reason"] in {"account_ended", "member_removed"}
        told = other.events(1)[0]
        assert (told["kind"], told["person"]["id"], told["actor"]) == (
            "member.account_ended",
            person.id,
            None,
        )


def test_who_joined_and_left_is_told_as_people_are(project: Project) -> None:
    owner, reader = project.people.owner, project.people.reader
    url = f"{project.url}/members/{reader.id}"
    owner.put(url, json={"role": "editor"}).raise_for_status()
    owner.delete(url).raise_for_status()
    asked = {"kind": "member.*", "limit": 200}
    mine = [
        each
        for each in owner.get(f"{project.url}/events", params=asked).json()["items"]
        if each["person"]["id"] == reader.id
    ]
    assert [each["kind"] for each in mine] == ["member.added", "member.role_set", "member.removed"]
    assert {each["person"]["handle"] for each in mine} == {reader.handle}
    assert {each["actor"]["handle"] for each in mine} == {owner.handle}
    assert set(mine[0]["actor"]) == set(mine[0]["person"])
    with Stream(owner, f"{project.url}/events?after=0&kind=member.removed") as stream:
        assert [each["person"] for each in stream.events(1)] == [mine[-1]["person"]]


def test_a_page_follows_by_its_cookie(project: Project, api: Api) -> None:
    """As an EventSource of a page: no header of its own, the cookie says who it is."""
    with httpx.Client(base_url=api.url, trust_env=False) as page:
        page.headers["Cookie"] = f"verso-access={project.people.reader.token}"
        with Stream(page, f"{project.url}/events") as stream:
            assert stream.next().event == "ready"
            project.written("a.md", "1")
            assert stream.events(1)


# Streams as such -------------------------------------------------------------------------------------


def test_silence_is_broken_by_comments(project: Project, hasty: Api) -> None:
    with Stream(at(hasty, project.people.reader), f"{project.url}/events") as stream:
        stream.next()
        for _ in range(2):
            assert stream.any(10) == (None, None, "heartbeat")


def test_an_account_has_only_so_many_streams(project: Project, hasty: Api) -> None:
    reader = at(hasty, project.people.reader)
    until_free(hasty)
    with Stream(reader, f"{project.url}/events"), Stream(reader, f"{project.url}/events"):
        with Stream(reader, f"{project.url}/events") as third:
            third.next()
            refused = reader.get(f"{project.url}/events", headers=AS_STREAM)
            assert (refused.status_code, code_of(refused)) == (429, "too_many_streams")
            assert refused.headers["retry-after"]
            assert refused.json()["limit"] == 3
            assert reader.get(f"{project.url}/events").status_code == 200, "pages are no streams"
            with Stream(at(hasty, project.people.editor), f"{project.url}/events") as other:
                assert other.next().event == "ready"
        until(lambda: reader.get(f"{project.url}/events", headers=AS_STREAM | {"Last-Event-ID": "x"}), 400)


def until(ask: Any, status: int) -> None:
    deadline = time.monotonic() + 20
    while ask().status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def until_free(api: Api) -> None:
    """Wait until nobody follows anything there: who left is noticed a moment later."""
    deadline = time.monotonic() + 20
    while api.metric("verso_event_streams"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_who_leaves_frees_everything(project: Project, hasty: Api) -> None:
    reader = at(hasty, project.people.reader)
    until_free(hasty)
    for _ in range(5):  # more than there may be at once
        with Stream(reader, f"{project.url}/events") as stream:
            stream.next()
        until_free(hasty)


def test_who_takes_nothing_holds_nobody_up(project: Project, api: Api) -> None:
    """A client that stops reading, and another one beside it, while a lot happens."""
    lazy = socket.create_connection(("127.0.0.1", api.port))
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.sendall(
        f"GET {project.url}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {project.people.reviewer.token}\r\n\r\n".encode()
    )
    known = len(events(project))
    with Stream(project.people.reader, f"{project.url}/events") as stream:
        stream.next()
        items = [{"path": f"{'long' * 40}/{n}.md", "text": "x"} for n in range(150)]
        for turn in range(20):
            changed = [{**each, "path": f"{turn}/{each['path']}"} for each in items]
            assert project.change(*changed).status_code == 201
        told = stream.events(20)
        assert [each["sequence"] for each in told] == list(range(known + 1, known + 21))
    lazy.close()


def test_many_who_write_and_many_who_follow(project: Project, hasty: Api) -> None:
    """Writers side by side at two processes; each follower gets each event once, in order."""
    people = project.people
    streams = [Stream(people.reader, f"{project.url}/events") for _ in range(3)]
    streams += [
        Stream(at(hasty, person), f"{project.url}/events") for person in (people.owner, people.editor)
    ]
    known = len(events(project))
    opened = [stream.__enter__() for stream in streams]
    try:
        for stream in opened:
            stream.next()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: project.written(f"{n}.md", "x"), range(40)))
        for stream in opened:
            assert [each["sequence"] for each in stream.events(40)] == list(range(known + 1, known + 41))
            assert stream.quiet(0.2)
    finally:
        for stream in streams:
            stream.__exit__()


def test_a_stream_ends_at_once_when_the_server_is_told_to_stop(project: Project, stack: Stack) -> None:
    with Api(stack) as other, Stream(at(other, project.people.reader), f"{project.url}/events") as stream:
        stream.next()
        began = time.monotonic()
        os.kill(other.pid, signal.SIGTERM)
        ended = stream.next()
        assert (ended.event, ended.data["reason"]) == ("end", "server_stopping")
        assert other.ended(20) == -signal.SIGTERM
        assert time.monotonic() - began < 15, "uvicorn itself would wait for the stream for ever"

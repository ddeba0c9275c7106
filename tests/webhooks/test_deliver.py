"""Webhooks are sent: by the real worker, to a real receiver that takes, fails, hangs, redirects and goes away."""

from __future__ import annotations

import base64
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.webhooks.conftest import sql
from tests.webhooks.working import Worker, deliveries, is_signed, register, soon, until, webhook_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import Project
    from tests.stack import Stack
    from tests.webhooks.receiver import Receiver


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[Worker]:
    """The one that most tests are about; it sends to this machine, which workers don't unless told."""
    running = Worker(stack, "--allow-private")
    yield running
    assert '"level": "error"' not in running.stop()
    assert running.process.returncode == 0


def test_events_come_signed_in_order_as_the_feed_has_them(
    project: Project, receiver: Receiver, worker: Worker
) -> None:
    webhook = register(project, receiver)
    for n in range(3):
        project.written(f"docs/{n}.md", f"text {n}")
    got = receiver.wait_for(4)
    feed = project.people.owner.get(f"{project.url}/events", params={"after": webhook["place"]}).json()[
        "items"
    ]
    assert [each.event for each in got] == feed
    assert [each["kind"] for each in feed] == ["webhook.added", *["change.added"] * 3]
    assert all(is_signed(each, webhook["secret"]) for each in got)
    assert not is_signed(got[0], "whsec_" + base64.b64encode(b"another").decode())
    assert all(abs(int(each.headers["webhook-timestamp"]) - time.time()) < 60 for each in got)
    assert len({each.headers["webhook-id"] for each in got}) == 4
    assert got[1].headers["verso-project"] == project.id
    assert got[1].headers["verso-event"] == "change.added"
    assert "authorization" not in got[1].headers
    until(lambda: webhook_of(project)["place"] == webhook_of(project)["newest"])
    attempts = deliveries(project, webhook)
    assert [(each["sequence"], each["status"], each["delivered"]) for each in attempts[::-1]] == [
        (event["sequence"], 204, True) for event in feed
    ]


def test_filters_hold_and_what_is_not_wanted_is_done_all_the_same(
    project: Project, receiver: Receiver, worker: Worker
) -> None:
    register(project, receiver, kinds=["change.*"], prefix="docs/")
    project.written("docs/a.md", "a")
    project.written("other.md", "b")
    last = project.written("docs/b.md", "c")
    project.written("other2.md", "d")
    until(lambda: webhook_of(project)["place"] == webhook_of(project)["newest"])
    assert [each.event["change"]["versions"][0]["path"] for each in receiver.got] == [
        "docs/a.md",
        "docs/b.md",
    ]
    assert receiver.got[1].event["change"]["versions"][0]["hash"] == last["hash"]


def test_a_failure_is_tried_again_before_anything_after_it(
    project: Project, receiver: Receiver, worker: Worker, stack: Stack
) -> None:
    receiver.answers = [500, 503]
    webhook = register(project, receiver, kinds=["change.added"])
    for n in range(3):
        project.written(f"{n}.md", f"{n}")
    receiver.wait_for(1)
    failing = until(lambda: (found := webhook_of(project))["attempts"] == 1 and found)
    assert failing["last_error"] == "answered 500"
    assert failing["failing_since"]
    time.sleep(1.5)  # it doesn't hurry, and nothing overtakes
    assert len(receiver.got) == 1
    soon(stack, webhook)
    receiver.wait_for(2)
    until(lambda: webhook_of(project)["attempts"] == 2)
    soon(stack, webhook)
    receiver.wait_for(5)
    first = receiver.got[0]
    assert receiver.sequences() == [first.sequence] * 3 + [first.sequence + 1, first.sequence + 2]
    assert len({each.headers["webhook-id"] for each in receiver.got}) == 3, "a message keeps its id"
    until(lambda: len(deliveries(project, webhook)) == 5)
    assert webhook_of(project)["failing_since"] is None
    assert [each["attempt"] for each in deliveries(project, webhook)[::-1]] == [1, 2, 3, 1, 1]
    assert [each["status"] for each in deliveries(project, webhook, failed=True)] == [503, 500]


def test_retry_after_is_kept_to(project: Project, receiver: Receiver, worker: Worker, stack: Stack) -> None:
    receiver.answers = [(429, {"Retry-After": "3000"})]
    webhook = register(project, receiver, kinds=["change.added"])
    project.written("a.md", "a")
    until(lambda: webhook_of(project)["attempts"] == 1)
    [wait] = sql(
        stack,
        "select extract(epoch from next_attempt_at - now()) as s from private.webhooks where id = $1",
        webhook["id"],
    )
    assert 2900 < wait["s"] <= 3000


def test_no_redirect_is_followed(project: Project, receiver: Receiver, worker: Worker) -> None:
    receiver.answers = [(307, {"Location": f"{receiver.url}/elsewhere"})]
    webhook = register(project, receiver, kinds=["change.added"])
    project.written("a.md", "a")
    until(lambda: webhook_of(project)["attempts"] == 1)
    assert [each.path for each in receiver.got] == ["/hook"]
    assert deliveries(project, webhook)[0]["error"] == "answered 307, and redirects are not followed"


def test_who_hangs_up_or_says_nonsense_or_is_not_there_has_failed(
    project: Project, receiver: Receiver, worker: Worker, stack: Stack
) -> None:
    def hang_up(handler: Any) -> None:
        handler.connection.close()

    def talk_nonsense(handler: Any) -> None:
        handler.wfile.write(b"hello\r\n\r\n")
        handler.close_connection = True

    receiver.answers = [hang_up, talk_nonsense]
    webhook = register(project, receiver, kinds=["change.added"])
    project.written("a.md", "a")
    for attempts in (1, 2):
        until(lambda attempts=attempts: webhook_of(project)["attempts"] == attempts)
        if attempts == 1:
            soon(stack, webhook)
    project.people.owner.patch(
        f"{project.url}/webhooks/{webhook['id']}", json={"url": "http://127.0.0.1:9/x"}
    )
    project.people.owner.patch(f"{project.url}/webhooks/{webhook['id']}", json={"state": "active"})
    until(lambda: len(deliveries(project, webhook)) == 3)
    errors = [each["error"] for each in deliveries(project, webhook)]
    assert errors == [
        "it cannot be connected to",
        "its answer is not HTTP",
        "it closed the connection without an answer",
    ]


def test_an_answer_without_end_is_not_read(project: Project, receiver: Receiver, worker: Worker) -> None:
    def flood(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            for _ in range(2000):
                handler.wfile.write(b"x" * 65536)
            receiver.answers.append(500)  # all of 128 MB was read

    receiver.answers = [flood]
    webhook = register(project, receiver, kinds=["change.added"])
    project.written("a.md", "a")
    until(lambda: deliveries(project, webhook))
    assert [each["delivered"] for each in deliveries(project, webhook)] == [True]
    time.sleep(0.3)
    assert receiver.answers == []


def test_who_says_gone_is_sent_nothing_more_until_resumed(
    project: Project, receiver: Receiver, worker: Worker
) -> None:
    receiver.answers = [410]
    webhook = register(project, receiver, kinds=["change.added"])
    project.written("a.md", "a")
    until(lambda: webhook_of(project)["state"] == "disabled")
    events = project.people.reader.get(f"{project.url}/events").json()["items"]
    assert events[-1]["kind"] == "webhook.disabled"
    assert events[-1]["webhook"] == webhook["id"]
    assert receiver.url.removeprefix("http://") == events[-1]["host"]
    time.sleep(1.5)
    assert len(receiver.got) == 1
    resumed = project.people.owner.patch(f"{project.url}/webhooks/{webhook['id']}", json={"state": "active"})
    assert resumed.json()["state"] == "active"
    receiver.wait_for(2)
    assert len(set(receiver.sequences())) == 1


def test_days_of_failure_disable_it_with_an_event(
    project: Project, receiver: Receiver, worker: Worker, stack: Stack
) -> None:
    receiver.answers = [500, 500, 500]
    webhook = register(project, receiver, kinds=["change.added"])
    project.written("a.md", "a")
    for attempts, days in ((1, 4), (2, 6)):
        until(lambda attempts=attempts: webhook_of(project)["attempts"] == attempts)
        sql(
            stack,
            "update private.webhooks set failing_since = now() - make_interval(days => $2) where id = $1",
            webhook["id"],
            days,
        )
        assert webhook_of(project)["state"] == "active"
        soon(stack, webhook)
    until(lambda: webhook_of(project)["state"] == "disabled")
    assert len(receiver.got) == 3


def test_paused_is_paused_and_resumed_misses_nothing(
    project: Project, receiver: Receiver, worker: Worker
) -> None:
    webhook = register(project, receiver, kinds=["change.added"])
    url = f"{project.url}/webhooks/{webhook['id']}"
    project.people.owner.patch(url, json={"state": "paused"})
    project.written("a.md", "a")
    time.sleep(1.5)
    assert receiver.got == []
    project.people.owner.patch(url, json={"state": "active"})
    receiver.wait_for(1)
    project.people.owner.patch(url, json={"state": "paused"})
    project.written("b.md", "b")
    project.people.owner.patch(url, json={"state": "active", "from": "now"})
    project.written("c.md", "c")
    receiver.wait_for(2)
    time.sleep(0.5)
    assert [each.event["change"]["versions"][0]["path"] for each in receiver.got] == ["a.md", "c.md"]


def test_events_are_sent_once_more_with_their_ids_before_anything_new(
    project: Project, receiver: Receiver, worker: Worker
) -> None:
    webhook = register(project, receiver, kinds=["change.added"])
    for n in range(4):
        project.written(f"{n}.md", f"{n}")
    receiver.wait_for(4)
    until(lambda: webhook_of(project)["place"] == webhook_of(project)["newest"])
    first = receiver.got[0].sequence
    url = f"{project.url}/webhooks/{webhook['id']}/replay"
    assert project.people.owner.post(url, json={"first": first + 1, "last": first + 2}).status_code == 202
    receiver.wait_for(6)
    assert receiver.sequences()[4:] == [first + 1, first + 2]
    assert receiver.got[4].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]
    assert receiver.got[4].headers["verso-replay"] == "true"
    assert receiver.got[4].body == receiver.got[1].body
    until(lambda: webhook_of(project)["replay"] is None)
    assert project.people.owner.post(url, json={"first": first}).status_code == 202
    receiver.wait_for(7)
    project.written("new.md", "n")
    receiver.wait_for(8)
    assert receiver.sequences()[6:] == [first, first + 4]


def test_both_keys_sign_until_the_old_one_is_over(
    project: Project, receiver: Receiver, worker: Worker, stack: Stack
) -> None:
    webhook = register(project, receiver, kinds=["change.added"])
    url = f"{project.url}/webhooks/{webhook['id']}/rotate"
    rotated = project.people.owner.post(url, json={"overlap_seconds": 600}).json()
    assert rotated["secret"] != webhook["secret"]
    project.written("a.md", "a")
    [got] = receiver.wait_for(1)
    assert is_signed(got, webhook["secret"])
    assert is_signed(got, rotated["secret"])
    sql(stack, "update private.webhooks set old_secret_until = now() where id = $1", webhook["id"])
    project.written("b.md", "b")
    receiver.wait_for(2)
    assert not is_signed(receiver.got[1], webhook["secret"])
    assert is_signed(receiver.got[1], rotated["secret"])


def test_a_hanging_receiver_holds_up_nobody_else_and_no_commit(
    project: Project, receiver: Receiver, worker: Worker
) -> None:
    from tests.webhooks.receiver import Receiver as Another  # noqa: PLC0415

    with Another() as other:
        receiver.open.clear()
        register(project, receiver, kinds=["change.added"])
        register(project, other, kinds=["change.added"])
        began = time.monotonic()
        project.written("a.md", "a")
        project.written("b.md", "b")
        assert time.monotonic() - began < 10
        other.wait_for(2)
        assert len(receiver.wait_for(1)) == 1
        receiver.open.set()
        receiver.wait_for(2)

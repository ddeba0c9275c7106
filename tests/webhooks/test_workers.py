"""Workers of webhooks beside one another, killed, told to stop, and not allowed everywhere."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from app.errors import VersoError
from app.flows.deliver_webhooks import Deliverer, KeyRefusedError
from tests.webhooks.conftest import sql
from tests.webhooks.working import Worker, deliveries, register, until, webhook_of

if TYPE_CHECKING:
    from app.supabase.webhooks import Claim
    from tests.api.world import Project
    from tests.stack import Stack
    from tests.webhooks.receiver import Receiver


def test_what_leaks_into_the_log_is_no_address_key_or_body(
    project: Project, receiver: Receiver, stack: Stack
) -> None:
    webhook = register(project, receiver, kinds=["change.added"], url=f"{receiver.url}/hook?token=hush")
    project.written("secret-name.md", "a")
    own = Worker(stack, "--allow-private")
    receiver.wait_for(1)
    until(lambda: deliveries(project, webhook))
    told = own.stop()
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert any(line["event"] == "webhooks.attempt" for line in lines)
    figures = [line for line in lines if line["event"] == "webhooks.figures"]
    assert len(figures) >= 2, "at the beginning and at the end"
    assert (figures[0]["delivered"], figures[0]["retried"]) == (0, 0)
    assert figures[-1]["delivered"] >= 1
    assert figures[-1]["active"] >= 1
    for word in ("hush", "/hook", webhook["secret"][6:], stack.secret_key, "secret-name"):
        assert word not in told


def test_this_machine_is_not_sent_to_unless_that_is_allowed(
    project: Project, receiver: Receiver, stack: Stack
) -> None:
    webhook = register(project, receiver, kinds=["change.added"])
    project.written("a.md", "a")
    own = Worker(stack)
    try:
        assert until(lambda: deliveries(project, webhook))[0]["error"] == "the address is not https"
        sql(
            stack,
            "update private.webhooks set url = replace(url, 'http:', 'https:'), next_attempt_at = now() where id = $1",
            webhook["id"],
        )
        until(lambda: len(deliveries(project, webhook)) == 2)
        assert deliveries(project, webhook)[0]["error"] == "the address is not one of the public internet"
    finally:
        own.stop()
    assert receiver.got == []


@pytest.mark.slow
def test_three_workers_send_each_event_once_and_a_killed_ones_again(
    project: Project, receiver: Receiver, stack: Stack
) -> None:
    webhooks = [register(project, receiver, kinds=["change.added"], description=str(n)) for n in range(5)]
    workers = [Worker(stack, "--allow-private") for _ in range(3)]
    try:
        for n in range(20):
            project.written(f"{n}.md", f"{n}")
        receiver.wait_for(100, seconds=60)
        time.sleep(2)
        ids = [each.headers["webhook-id"] for each in receiver.got]
        assert len(ids) == len(set(ids)) == 100
        for webhook in webhooks:
            mine = [
                each.sequence
                for each in receiver.got
                if webhook["id"].replace("-", "") in each.headers["webhook-id"]
            ]
            assert mine == sorted(mine)
    finally:
        for each in workers:
            each.stop()


def test_a_worker_that_is_killed_while_it_sends_leaves_its_event_to_another(
    project: Project, receiver: Receiver, stack: Stack
) -> None:
    receiver.open.clear()
    webhook = register(project, receiver, kinds=["change.added"])
    project.written("a.md", "a")
    first = Worker(stack, "--allow-private")
    receiver.wait_for(1)
    first.kill()
    receiver.open.set()
    # As long as the lease holds, nobody takes it; the minute is shortened here.
    sql(stack, "update private.webhooks set leased_until = now() where id = $1", webhook["id"])
    second = Worker(stack, "--allow-private")
    try:
        receiver.wait_for(2)
        until(lambda: webhook_of(project)["place"] == webhook_of(project)["newest"])
    finally:
        second.stop()
    assert len({each.headers["webhook-id"] for each in receiver.got}) == 1
    assert [each["delivered"] for each in deliveries(project, webhook)] == [True]


@pytest.mark.parametrize("key", ["x", "publishable"])
def test_a_key_that_is_refused_ends_the_worker_with_a_sentence(stack: Stack, key: str) -> None:
    own = Worker(stack, key=stack.publishable_key if key == "publishable" else key)
    told = own.ended()
    assert own.process.returncode == 1
    assert "verso: Supabase refuses this key." in told
    assert "Traceback" not in told


def test_a_key_that_is_refused_later_ends_the_worker_after_what_is_under_way() -> None:
    claims = Refusing()
    with pytest.raises(KeyRefusedError):
        asyncio.run(Deliverer(claims, None, "key", look_seconds=0.01).run())  # type: ignore[arg-type]
    assert claims.asked == 3, "a fault that passes is asked again"


class Refusing:
    """A database that takes a key, is away for a moment, and then doesn't take it any more."""

    def __init__(self) -> None:
        self.asked = 0

    async def claim_deliveries(self, _key: str, **_: int) -> list[Claim]:
        self.asked += 1
        if self.asked == 1:
            return []
        raise VersoError("supabase_unavailable" if self.asked == 2 else "unauthenticated", "No.")

    async def webhook_figures(self, _key: str) -> None:
        raise VersoError("supabase_unavailable", "No.")

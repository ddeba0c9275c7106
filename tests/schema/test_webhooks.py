"""Webhooks in the database: who may what, who gets which lease, and that failures wait. By plain SQL."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.schema.world import refused

if TYPE_CHECKING:
    from tests.schema.world import Team, World

URL = "https://example.com/hook"


async def hook(world: World, team: Team, **more: Any) -> dict[str, Any]:
    return dict(await world.rpc(team.owner, "create_webhook", **{"project": team.id, "url": URL, **more}))


async def work(world: World, function: str, **arguments: Any) -> Any:
    """A call under the secret key."""
    async with world.acting("service_role", {"role": "service_role"}) as conn:
        return await world.rpc_on(conn, function, **arguments)


async def claims(world: World, *webhooks: dict[str, Any], **how: Any) -> list[dict[str, Any]]:
    """What a worker gets of these webhooks; what is another test's is given back."""
    found = await work(world, "claim_deliveries", **{"webhooks": 100, **how})
    mine = {each["id"] for each in webhooks}
    for each in found:
        if each["webhook"] not in mine:
            await work(world, "release_deliveries", webhook=each["webhook"], lease=each["lease"])
    return [each for each in found if each["webhook"] in mine]


async def finish(
    world: World, claim: dict[str, Any], event: int, *, delivered: bool = True, **more: Any
) -> bool:
    answer = await work(
        world, "finish_delivery", webhook=claim["webhook"], lease=claim["lease"], event=event, kind="change.added",
        replay=claim["replay"], delivered=delivered, ms=5, **more,
    )  # fmt: skip
    return bool(answer["go_on"])


async def shown(world: World, team: Team, webhook: dict[str, Any]) -> dict[str, Any]:
    listed = await world.rpc(team.owner, "list_webhooks", project=team.id)
    return next(each for each in listed if each["id"] == webhook["id"])


async def due(world: World, webhook: dict[str, Any]) -> None:
    await world.sql(
        "update private.webhooks set next_attempt_at = now() where id = $1", uuid.UUID(webhook["id"])
    )


async def test_only_owners_have_to_do_with_webhooks(each_world):
    world = each_world
    team = await world.team()
    webhook = await hook(world, team)
    calls = {
        "create_webhook": {"url": URL},
        "list_webhooks": {},
        "update_webhook": {"webhook": webhook["id"], "edit": {"state": "paused"}},
        "rotate_webhook": {"webhook": webhook["id"]},
        "replay_webhook": {"webhook": webhook["id"], "first": 1, "last": 1},
        "list_deliveries": {"webhook": webhook["id"]},
        "remove_webhook": {"webhook": webhook["id"]},
    }
    for function, arguments in calls.items():
        for person in (team.editor, team.reviewer, team.reader):
            call = world.rpc(person, function, project=team.id, **arguments)
            assert (await refused(call)).code == "role_too_low", function
        call = world.rpc(team.outsider, function, project=team.id, **arguments)
        assert (await refused(call)).code == "project_not_found", function
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.rpc(None, function, project=team.id, **arguments)
    other = await world.team()
    for function, arguments in calls.items():
        if "webhook" in arguments:
            call = world.rpc(other.owner, function, project=other.id, **arguments)
            assert (await refused(call)).code == "webhook_not_found", function
    assert (await shown(world, team, webhook))["state"] == "active"


async def test_the_key_is_in_one_answer_and_nowhere_that_a_member_reads(world, team):
    webhook = await hook(world, team)
    assert webhook["secret"].startswith("whsec_")
    assert "secret" not in await shown(world, team, webhook)
    rotated = await world.rpc(team.owner, "rotate_webhook", project=team.id, webhook=webhook["id"])
    assert rotated["secret"] != webhook["secret"]
    events = await world.sql("select payload::text from public.events where project_id = $1", team.id)
    told = " ".join(row[0] for row in events)
    assert "whsec" not in told
    assert "/hook" not in told, "an address may hold a secret of the receiver's: members see its host"
    assert "example.com" in told
    for role in ("anon", "authenticated", "service_role"):
        for table in ("webhooks", "webhook_deliveries"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await world.sql(f"select * from private.{table}", role=role)
    worker_only = "claim_deliveries()", "release_deliveries(gen_random_uuid(), gen_random_uuid())"
    for statement in (*worker_only, "webhook_figures()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.as_person(team.owner) as conn:
                await conn.fetch(f"select public.{statement}")


async def test_operators_are_told_how_many_are_behind_and_by_how_much(world, team):
    before = await work(world, "webhook_figures")
    one, other = await hook(world, team), await hook(world, team)
    await world.write(team.editor, team.id, "a.md", "a")
    after = await work(world, "webhook_figures")
    more = {name: after[name] - before[name] for name in ("active", "paused", "behind", "waiting", "failing")}
    # Both events of their own and the change; of the second one without the first.
    assert more == {"active": 2, "paused": 0, "behind": 2, "waiting": 5, "failing": 0}
    assert after["oldest_seconds"] >= 0
    (claim,) = await claims(world, other)
    assert not await finish(world, claim, claim["events"][0]["sequence"], delivered=False, status=500)
    await world.rpc(
        team.owner, "update_webhook", project=team.id, webhook=one["id"], edit={"state": "paused"}
    )
    failed = await work(world, "webhook_figures")
    assert (failed["paused"], failed["failing"]) == (before["paused"] + 1, before["failing"] + 1)
    assert failed["active"] == after["active"] - 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://example.com/"},
        {"url": "https://user:pass@example.com/"},
        {"url": "https://example.com/#x"},
        {"url": "https://example.com/a b"},
        {"url": "https://example.com/\u00e4"},
        {"url": "https:///x"},
        {"url": "https://example.com/" + "x" * 2000},
        {"kinds": ["nonsense"]},
        {"kinds": []},
        {"kinds": ["a.b"] * 51},
        {"prefix": ""},
        {"description": "x" * 501},
    ],
    ids=range(12),
)
async def test_what_a_webhook_cannot_be_is_refused(world, team, wrong):
    given = {"project": team.id, "url": URL, **wrong}
    if "kinds" in given:
        given["kinds"] = "{" + ",".join(given["kinds"]) + "}"
    assert (await refused(world.rpc(team.owner, "create_webhook", **given))).code == "bad_webhook"


async def test_a_project_has_twenty_and_edits_are_events(world, team):
    made = [await hook(world, team) for _ in range(20)]
    assert (await refused(hook(world, team))).code == "too_many_webhooks"
    await world.rpc(team.owner, "remove_webhook", project=team.id, webhook=made[0]["id"])
    await hook(world, team, kinds="{change.*,tag.added}", prefix="docs/", description="why")
    edit = {"url": "https://example.org/x", "kinds": None, "state": "paused"}
    edited = await world.rpc(team.owner, "update_webhook", project=team.id, webhook=made[1]["id"], edit=edit)
    assert (edited["url"], edited["kinds"], edited["state"]) == ("https://example.org/x", None, "paused")
    # A name of one's own would be in an event for ever.
    for nonsense in ({"state": "disabled"}, {"state": None}, {"from": "then"}, {"x" * 9999: 1}, ["state"]):
        call = world.rpc(team.owner, "update_webhook", project=team.id, webhook=made[1]["id"], edit=nonsense)
        assert (await refused(call)).code == "bad_value"
    kinds = {
        row[0] for row in await world.sql("select kind from public.events where project_id = $1", team.id)
    }
    assert {"webhook.added", "webhook.removed", "webhook.edited"} <= kinds


async def test_no_two_workers_get_one_webhook_until_its_lease_is_over(world, team):
    webhook = await hook(world, team)
    await world.write(team.editor, team.id, "a.md", "a")
    found = await asyncio.gather(*(claims(world, webhook) for _ in range(8)))
    [claim] = [each for some in found for each in some]
    assert [event["kind"] for event in claim["events"]] == ["webhook.added", "change.added"]
    assert await claims(world, webhook) == []
    await world.sql(
        "update private.webhooks set leased_until = now() - interval '1 s' where id = $1",
        uuid.UUID(webhook["id"]),
    )
    [again] = await claims(world, webhook)
    assert again["events"] == claim["events"]
    first = claim["events"][0]["sequence"]
    assert not await finish(world, claim, first), "the one that was too slow has nothing to say any more"
    assert (await shown(world, team, webhook))["place"] == first - 1
    assert await finish(world, again, first)
    assert not await finish(world, again, first + 1, last=True)
    assert (await shown(world, team, webhook))["place"] == first + 1
    assert await claims(world, webhook) == []


async def test_what_fails_waits_longer_each_time_and_goes_alone(world, team):
    webhook = await hook(world, team)
    for n in range(3):
        await world.write(team.editor, team.id, f"{n}.md", f"{n}")
    waits = []
    for attempt in range(1, 13):
        [claim] = await claims(world, webhook)
        assert len(claim["events"]) == (4 if attempt == 1 else 1)
        event = claim["events"][0]["sequence"]
        assert not await finish(world, claim, event, delivered=False, status=500, error="answered 500")
        assert await claims(world, webhook) == []
        waits.append(
            await world.one(
                "select extract(epoch from next_attempt_at - now())::float8 from private.webhooks where id = $1",
                uuid.UUID(webhook["id"]),
            )
        )
        await due(world, webhook)
    steps = [5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 43200, 43200]
    assert all(0.79 * step - 1 <= wait <= 1.21 * step for wait, step in zip(waits, steps, strict=True)), waits
    state = await shown(world, team, webhook)
    assert (state["attempts"], state["last_error"], state["state"]) == (12, "answered 500", "active")
    [claim] = await claims(world, webhook)
    await finish(
        world,
        claim,
        claim["events"][0]["sequence"],
        delivered=False,
        status=429,
        error="x",
        retry_after=10**6,
    )
    wait = await world.one(
        "select extract(epoch from next_attempt_at - now())::float8 from private.webhooks where id = $1",
        uuid.UUID(webhook["id"]),
    )
    assert 86_000 < wait <= 86_400
    attempts = await world.rpc(
        team.owner, "list_deliveries", project=team.id, webhook=webhook["id"], page_size=5
    )
    assert [each["number"] for each in attempts] == [13, 12, 11, 10, 9]
    assert [each["attempt"] for each in attempts] == [13, 12, 11, 10, 9]


async def test_five_days_of_failure_or_a_410_disable_it(world, team):
    webhook = await hook(world, team)
    [claim] = await claims(world, webhook)
    event = claim["events"][0]["sequence"]
    await finish(world, claim, event, delivered=False, status=500, error="x")
    await due(world, webhook)
    await world.sql(
        "update private.webhooks set failing_since = now() - interval '5 days 1 minute' where id = $1",
        uuid.UUID(webhook["id"]),
    )
    [claim] = await claims(world, webhook)
    await finish(world, claim, event, delivered=False, status=500, error="x")
    assert (await shown(world, team, webhook))["state"] == "disabled"
    assert await claims(world, webhook) == []
    resumed = await world.rpc(
        team.owner, "update_webhook", project=team.id, webhook=webhook["id"], edit={"state": "active"}
    )
    assert (resumed["state"], resumed["attempts"], resumed["failing_since"]) == ("active", 0, None)
    [claim] = await claims(world, webhook)
    assert claim["events"][0]["sequence"] == event, "nothing was left out"
    await finish(world, claim, event, delivered=False, status=410, error="answered 410")
    assert (await shown(world, team, webhook))["state"] == "disabled"
    told = await world.sql(
        "select payload from public.events where project_id = $1 and kind = 'webhook.disabled'", team.id
    )
    assert [json.loads(row[0])["status"] for row in told] == [500, 410]


async def test_a_webhook_gets_its_own_projects_events_only_and_as_members_read_them(world):
    one, two = await world.team(), await world.team()
    webhook = await hook(world, one, kinds="{change.*}")
    await world.write(two.editor, two.id, "secret.md", "theirs")
    await world.write(one.editor, one.id, "a.md", "ours")
    [claim] = await claims(world, webhook)
    assert claim["project"] == one.id
    feed = await world.rpc(one.reader, "list_events", project=one.id, after=0, kinds="{change.*}")
    assert claim["events"] == feed["events"]
    assert "secret" not in json.dumps(claim["events"])
    # The identity that it was asked with is not left behind for what else the transaction does.
    async with world.acting("service_role", {"role": "service_role"}) as conn:
        await conn.fetchval("select public.claim_deliveries(1, 1, 1)")
        assert await conn.fetchval("select auth.uid()") is None


async def test_a_webhook_whose_events_cannot_be_read_keeps_no_other_waiting(world):
    one, two = await world.team(), await world.team()
    broken, whole = await hook(world, one), await hook(world, two)
    # As if it had been set back: it asks for what comes after a number that there isn't.
    await world.sql(
        "update private.webhooks set replay_first = 10^6, replay_last = 10^6 where id = $1",
        uuid.UUID(broken["id"]),
    )
    found = await claims(world, broken, whole)
    assert [each["webhook"] for each in found] == [whole["id"]]
    state = await shown(world, one, broken)
    assert (state["last_error"], state["state"]) == ("its events cannot be read", "active")


async def test_without_a_living_owner_nothing_is_sent(world, team):
    webhook = await hook(world, team)
    await world.sql("delete from auth.users where id = $1", team.owner.id, role="supabase_auth_admin")
    assert await claims(world, webhook) == []


async def test_one_without_an_owner_keeps_no_other_waiting(world, team):
    other = await world.team()
    left, whole = await hook(world, team), await hook(world, other)
    await world.sql("delete from auth.users where id = $1", team.owner.id, role="supabase_auth_admin")
    for webhook, since in ((left, "2001-01-01"), (whole, "2001-01-02")):
        await world.sql(
            "update private.webhooks set next_attempt_at = $2::text::timestamptz where id = $1",
            uuid.UUID(webhook["id"]),
            since,
        )
    looks = [await claims(world, left, whole, webhooks=1) for _ in range(2)]
    assert [[claim["webhook"] for claim in look] for look in looks] == [[], [whole["id"]]]
    told = "select last_error from private.webhooks where id = $1"
    assert await world.one(told, uuid.UUID(left["id"])) == "the project has no owner"


async def test_one_that_passes_events_by_goes_behind_those_that_wait(world, team):
    webhook = await hook(world, team, kinds="{tag.added}")
    await world.sql(
        "update private.webhooks set next_attempt_at = '2001-01-03' where id = $1", uuid.UUID(webhook["id"])
    )
    assert await claims(world, webhook, webhooks=1) == []
    moved = "select next_attempt_at > '2001-01-03' from private.webhooks where id = $1"
    assert await world.one(moved, uuid.UUID(webhook["id"]))


async def test_what_is_not_wanted_is_passed_by_however_much_it_is(world, team):
    webhook = await hook(world, team, kinds="{tag.added}")
    for n in range(5):
        await world.write(team.editor, team.id, f"{n}.md", f"{n}")
    assert await claims(world, webhook) == []
    state = await shown(world, team, webhook)
    assert state["place"] == state["newest"]


async def test_a_replay_ends_also_when_nothing_of_it_is_wanted(world, team):
    webhook = await hook(world, team)
    for n in range(3):
        await world.write(team.editor, team.id, f"{n}.md", f"{n}")
    [claim] = await claims(world, webhook)
    for event in claim["events"]:
        await finish(world, claim, event["sequence"], last=event is claim["events"][-1])
    place = (await shown(world, team, webhook))["place"]
    for first, last in ((0, 1), (2, 1), (1, place + 1)):
        call = world.rpc(
            team.owner, "replay_webhook", project=team.id, webhook=webhook["id"], first=first, last=last
        )
        assert (await refused(call)).code == "bad_value"
    await world.rpc(team.owner, "replay_webhook", project=team.id, webhook=webhook["id"], first=1, last=2)
    call = world.rpc(team.owner, "replay_webhook", project=team.id, webhook=webhook["id"], first=1, last=2)
    assert (await refused(call)).code == "replay_pending"
    [claim] = await claims(world, webhook)
    assert (claim["replay"], [each["sequence"] for each in claim["events"]]) == (True, [1, 2])
    await finish(world, claim, 1)
    await finish(world, claim, 2, last=True)
    state = await shown(world, team, webhook)
    assert (state["replay"], state["place"]) == (None, place)
    edit = {"kinds": ["tag.added"]}
    await world.rpc(team.owner, "update_webhook", project=team.id, webhook=webhook["id"], edit=edit)
    await world.rpc(team.owner, "replay_webhook", project=team.id, webhook=webhook["id"], first=1, last=place)
    assert await claims(world, webhook) == []
    assert (await shown(world, team, webhook))["replay"] is None


async def test_the_last_thousand_attempts_are_kept(world, team):
    webhook = await hook(world, team)
    await world.sql(
        """insert into private.webhook_deliveries (webhook_id, number, sequence, kind, attempt, replay, ms, delivered)
           select $1, n, 1, 'change.added', 1, false, 1, true from generate_series(1, 1000) n""",
        uuid.UUID(webhook["id"]),
    )
    await world.sql(
        "update private.webhooks set delivery_count = 1000 where id = $1", uuid.UUID(webhook["id"])
    )
    [claim] = await claims(world, webhook)
    await finish(world, claim, claim["events"][0]["sequence"], last=True)
    numbers = await world.sql(
        "select min(number), max(number) from private.webhook_deliveries where webhook_id = $1",
        uuid.UUID(webhook["id"]),
    )
    assert tuple(numbers[0]) == (2, 1001)


async def test_a_commit_does_nothing_for_webhooks(world, team):
    """No trigger looks at them, and a claim that is at work holds no commit up."""
    triggers = await world.sql(
        "select tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid where p.prosrc ilike '%webhook%'"
    )
    assert triggers == []
    await hook(world, team)
    async with world.acting("service_role", {"role": "service_role"}) as conn:
        await conn.fetchval("select public.claim_deliveries(100, 20, 60)")
        await asyncio.wait_for(world.write(team.editor, team.id, "a.md", "a"), 10)


async def test_owners_edits_and_a_worker_that_disables_do_not_wait_for_each_other(world, team):
    webhook = await hook(world, team)

    async def give_up() -> None:
        for _ in range(15):
            for claim in await claims(world, webhook):
                await finish(
                    world, claim, claim["events"][0]["sequence"], delivered=False, status=410, error="x"
                )

    async def resume() -> None:
        for _ in range(15):
            await world.rpc(
                team.owner, "update_webhook", project=team.id, webhook=webhook["id"], edit={"state": "active"}
            )

    await asyncio.wait_for(asyncio.gather(give_up(), resume(), give_up(), resume()), 60)

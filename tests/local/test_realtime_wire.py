"""Realtime frame by frame, in both serialisations; what is expected is what the real server's sources and tests say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest
import websockets

from app.local.realtime.policies import AT_ONCE
from tests.local.realtime_frames import Talk, talking

if TYPE_CHECKING:
    from tests.stack import Stack

POLICIES = """
create policy "test: heard" on realtime.messages for select to authenticated
  using ((select realtime.topic()) like 'heard:%' or
         ((select realtime.topic()) like 'own:%' and (select realtime.topic()) = 'own:' || (select auth.uid())));
create policy "test: said" on realtime.messages for insert to authenticated
  with check ((select realtime.topic()) like 'heard:said:%');
create policy "test: broken" on realtime.messages for select to authenticated
  using ((select realtime.topic()) like 'broken:%' and (select realtime.topic())::uuid is not null);
create policy "test: locked" on realtime.messages for select to authenticated
  using (case when (select realtime.topic()) like 'locked:%' then pg_advisory_xact_lock_shared(25) is not null end)
"""
ok = {"status": "ok", "response": {"postgres_changes": []}}


@pytest.fixture(scope="module")
async def policies(stack: Stack) -> Any:
    await stack.psql(POLICIES)
    yield
    for name in ("heard", "said", "broken", "locked"):
        await stack.psql(f'drop policy "test: {name}" on realtime.messages')


@pytest.fixture(scope="module", params=["1.0.0", "2.0.0"])
def vsn(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_joining_heartbeat_and_leaving(stack: Stack, vsn: str):
    async with talking(stack, vsn) as talk:
        beat = await talk.say("phoenix", "heartbeat", {})
        assert (await talk.hear())[1:] == (beat, "phoenix", "phx_reply", {"status": "ok", "response": {}})
        ref = await talk.say("realtime:room", "phx_join", {"config": {}})
        joined = await talk.hear()
        assert joined[1:] == (ref, "realtime:room", "phx_reply", ok)
        assert joined[0] == (ref if vsn == "2.0.0" else None)
        left = await talk.say("realtime:room", "phx_leave", {}, join_ref=ref)
        assert (await talk.hear())[1:] == (
            left,
            "realtime:room",
            "phx_reply",
            {"status": "ok", "response": {}},
        )
        assert (await talk.hear())[1:] == (ref, "realtime:room", "phx_close", {})
        late = await talk.say("realtime:room", "broadcast", {"event": "x", "payload": {}})
        assert await talk.answer(late) == {"status": "error", "response": {"reason": "unmatched topic"}}


async def test_what_is_no_frame_is_taken_no_notice_of(stack: Stack, vsn: str):
    async with talking(stack, vsn) as talk:
        for nonsense in (
            "",
            "no",
            "[]",
            "{}",
            "[1,2,3,4,5]",
            "[" * 5000,
            "null",
            b"",
            b"\x03\xff\xff\xff\xff\xff\x01x",
            b"\x09",
        ):
            await talk.socket.send(nonsense)
        assert (await talk.join("room"))["status"] == "ok"


HALF_A_PAIR = r'{"half": "\ud800"}'


async def test_json_that_not_everybody_can_read_is_told_to_nobody(stack: Stack, vsn: str):
    """Half a surrogate pair has no UTF-8: written to all who listen, it would break their connections."""
    signed = {"apikey": stack.publishable_key, "Content-Type": "application/json"}
    url = f"{stack.supabase_url}/realtime/v1/api/broadcast"
    async with (
        talking(stack, vsn) as talk,
        talking(stack, "2.0.0") as array,
        talking(stack, "1.0.0") as thing,
        httpx.AsyncClient(headers=signed) as client,
    ):
        for one in (talk, array, thing):
            await one.join("odd")
        odd = (HALF_A_PAIR, '{"vast": 1e999}', '{"nan": NaN}', '{"deep": ' + "[" * 900 + "]" * 900 + "}")
        for payload in odd:
            said = f'{{"type": "broadcast", "event": "odd", "payload": {payload}}}'
            if vsn == "2.0.0":
                await talk.socket.send(f'["1", "9", "realtime:odd", "broadcast", {said}]')
            else:
                frame = f'"topic": "realtime:odd", "event": "broadcast", "payload": {said}'
                await talk.socket.send(f'{{{frame}, "ref": "9", "join_ref": "1"}}')
            batch = f'{{"messages": [{{"topic": "odd", "event": "odd", "payload": {payload}}}]}}'
            assert (await client.post(url, content=batch)).status_code == 422
        for body in ('{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-8-sig"), b'"\xed\xa0\x80"'):
            assert (await client.post(f"{url}/odd/events/odd", content=body)).status_code == 422
            if vsn == "2.0.0":
                head = bytes([3, 1, 1, 12, 3, 0, 1])
                await talk.socket.send(head + b"19realtime:oddodd" + body)
        fine = {"type": "broadcast", "event": "fine", "payload": {"\u00e9": 10**30}}
        await talk.say("realtime:odd", "broadcast", fine)
        for one in (array, thing):
            assert (await one.hear())[4] == fine


async def test_a_broadcast_reaches_the_others_and_the_sender_when_it_wants_it(stack: Stack, vsn: str):
    async with (
        talking(stack, vsn) as talk,
        talking(stack, "2.0.0") as array,
        talking(stack, "1.0.0") as thing,
    ):
        await talk.join("hall", broadcast={"self": True, "ack": True})
        await array.join("hall")
        await thing.join("hall", broadcast={"self": "False"})
        payload = {"type": "broadcast", "event": "TEST", "payload": {"msg": 1}}
        ref = await talk.say("realtime:hall", "broadcast", payload)
        expected = (None, None, "realtime:hall", "broadcast", payload)
        assert await talk.hear() == expected
        assert (await talk.hear())[1] == ref
        assert await array.hear() == expected
        assert await thing.hear() == expected
        await thing.say("realtime:hall", "broadcast", payload)
        assert await talk.hear() == expected
        assert await array.hear() == expected
        await thing.silence()


async def test_binary_broadcasts(stack: Stack):
    """As supabase-js sends them: byte 3, five lengths, the encoding, and the fields."""

    def push(join_ref: bytes, event: bytes, body: bytes, *, is_json: int) -> bytes:
        topic = b"realtime:bytes"
        return (
            bytes([3, len(join_ref), 1, len(topic), len(event), 0, is_json])
            + join_ref
            + b"9"
            + topic
            + event
            + body
        )

    async with talking(stack, "2.0.0") as talk, talking(stack, "1.0.0") as old:
        await talk.join("bytes", broadcast={"self": True, "ack": True})
        await old.join("bytes")
        await talk.socket.send(push(b"1", b"e", b"\x00\xff", is_json=0))
        assert (await talk.hear())[4] == {"type": "broadcast", "event": "e", "payload": b"\x00\xff"}
        assert await talk.answer("9") == {"status": "ok", "response": {}}
        await talk.socket.send(push(b"1", "\u00e9".encode(), b'{"a":[1]}', is_json=1))
        told = {"type": "broadcast", "event": "\u00e9", "payload": {"a": [1]}}
        assert (await talk.hear())[4] == told
        # Objects can't hold bytes: the old client hears only the second.
        assert (await old.hear())[4] == told
        await talk.socket.send(push(b"1", b"e", b'{"a":', is_json=1))  # would break everybody's frames
        await old.silence()


async def test_private_joins_are_what_the_policies_say(stack: Stack, policies: None, vsn: str):
    person = await stack.user()
    token, sub = person["access_token"], person["user"]["id"]
    async with talking(stack, vsn) as talk:
        assert await talk.join(f"own:{sub}", token, private=True) == ok
        for name in ("own:other", "nothing", "broken:x"):
            reason = f"Unauthorized: You do not have permissions to read from this Channel topic: {name}"
            assert await talk.join(name, token, private=True) == {
                "status": "error",
                "response": {"reason": reason},
            }
        assert (await talk.join("heard:1", private=True))["status"] == "error"  # anon, by the key
        assert await talk.join("heard:1", token, private=True) == ok
        reason = "TopicNameRequired: You must provide a topic name"
        assert (await talk.join("", token))["response"] == {"reason": reason}
        for odd in ("a\0b", secrets.token_hex(4000)):  # what PostgreSQL has no text or no index entry for
            assert (await talk.join(odd))["status"] == "error"
            assert (await talk.join(odd, token, private=True))["status"] == "error"
    rows = await stack.psql("select count(*) from realtime.messages where topic like 'own:%'")
    assert rows[0][0] == 0  # what was put in to ask is not there


async def test_policies_that_wait_for_a_lock_hold_up_nobody_else(stack: Stack, policies: None):
    """They are asked over connections that all of the server shares."""
    token = (await stack.user())["access_token"]
    async with contextlib.AsyncExitStack() as open_ones, httpx.AsyncClient(timeout=20) as client:
        talks = [await open_ones.enter_async_context(talking(stack)) for _ in range(12)]
        lock = await asyncpg.connect(stack.db_url)
        open_ones.push_async_callback(lock.close)
        await lock.execute("select pg_advisory_lock(25)")
        joins = [asyncio.create_task(talk.join("locked:x", token, private=True)) for talk in talks]
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and objid = 25 and not granted"

        async def some_wait() -> bool:
            return bool((await stack.psql(waiting))[0][0] >= AT_ONCE)

        await stack.until(some_wait)
        async with talking(stack) as other:
            assert await other.join("public") == ok
        headers = {"apikey": stack.publishable_key}
        missing = await client.get(f"{stack.supabase_url}/rest/v1/locked_out", headers=headers)
        assert missing.status_code == 404  # for which the catalog was read again
        await lock.close()
        assert await asyncio.gather(*joins) == [ok] * 12


async def test_a_public_channel_of_the_same_name_hears_nothing_private(stack: Stack, policies: None):
    person = await stack.user()
    async with talking(stack) as inside, talking(stack) as outside:
        await inside.join("heard:said:x", person["access_token"], private=True, broadcast={"self": True})
        await outside.join("heard:said:x", broadcast={"self": True})
        await inside.say("realtime:heard:said:x", "broadcast", {"event": "e", "payload": {}})
        assert (await inside.hear())[3] == "broadcast"
        await stack.psql("""select realtime.send('{"a": 1}', 'db', 'heard:said:x', true)""")
        assert (await inside.hear())[4]["event"] == "db"
        await outside.silence()


async def test_who_may_only_read_is_heard_by_nobody(stack: Stack, policies: None, vsn: str):
    person = await stack.user()
    async with talking(stack, vsn) as talk, talking(stack, vsn) as other:
        await talk.join(
            "heard:r", person["access_token"], private=True, broadcast={"self": True, "ack": True}
        )
        await other.join("heard:r", person["access_token"], private=True)
        await talk.say("realtime:heard:r", "broadcast", {"event": "e", "payload": {}})
        refused = await talk.say("realtime:heard:r", "presence", {"event": "track", "payload": {"a": 1}})
        # The first answer is that to the second: a broadcast that isn't allowed isn't even acknowledged.
        answered = (refused, "realtime:heard:r", "phx_reply", {"status": "error", "response": {}})
        assert (await talk.hear())[1:] == answered
        await other.silence()


async def test_rows_of_the_database_are_told_after_their_commit(stack: Stack, policies: None, vsn: str):
    person = await stack.user()
    async with talking(stack, vsn) as talk:
        await talk.join("heard:db", person["access_token"], private=True)
        await stack.psql("""select realtime.send('{"a": "\u00e9"}', 'changed', 'heard:db', true)""")
        _, ref, topic, event, payload = await talk.hear()
        row = (
            await stack.psql(
                "select id::text as id from realtime.messages where topic = 'heard:db' order by inserted_at desc limit 1"
            )
        )[0]
        assert (ref, topic, event) == (None, "realtime:heard:db", "broadcast")
        assert payload == {
            "type": "broadcast",
            "event": "changed",
            "payload": {"a": "\u00e9", "id": row["id"]},
            "meta": {"id": row["id"]},
        }
        await stack.psql(
            "do $$ begin for n in 1..2500 loop perform realtime.send(jsonb_build_object('n', n), 'n', 'heard:db', true); end loop; end $$"
        )
        assert [(await talk.hear())[4]["payload"]["n"] for _ in range(2500)] == list(range(1, 2501))
        with pytest.raises(Exception, match="division by zero"):
            await stack.psql(
                "do $$ begin perform realtime.send('{}', 'gone', 'heard:db', true); perform 1/0; end $$"
            )
        await stack.psql("select realtime.send_binary('\\x00ff', 'bytes', 'heard:db', true)")
        if vsn == "2.0.0":
            assert (await talk.hear())[4]["payload"] == b"\x00\xff"
        await talk.silence()


async def test_presence_of_two(stack: Stack, vsn: str):
    async with talking(stack, vsn) as one, talking(stack, "2.0.0") as two:
        await one.join("desk", presence={"key": "ada", "enabled": True})
        assert (await one.hear())[3:] == ("presence_state", {})
        track = {"type": "presence", "event": "TRACK", "payload": {"doc": 1}}
        await one.say("realtime:desk", "presence", track)
        joins = (await one.hear())[4]["joins"]
        assert [{**meta, "phx_ref": ""} for meta in joins["ada"]["metas"]] == [{"doc": 1, "phx_ref": ""}]
        await two.join("desk", presence={"key": "ada", "enabled": True})
        assert (await two.hear())[3:] == ("presence_state", joins)
        await two.say("realtime:desk", "presence", {"event": "track", "payload": {"doc": 2}})
        assert [meta["doc"] for meta in (await two.hear())[4]["joins"]["ada"]["metas"]] == [2]
        await two.say("realtime:desk", "presence", {"event": "track", "payload": {"doc": 3}})
        await two.hear()
        changed = (await two.hear())[4]
        assert (
            changed["joins"]["ada"]["metas"][0]["phx_ref_prev"]
            == changed["leaves"]["ada"]["metas"][0]["phx_ref"]
        )
        ref = await two.say("realtime:desk", "presence", {"event": "untrack"})
        gone = (await two.hear())[3:]
        while gone[0] != "presence_diff":
            gone = (await two.hear())[3:]
        assert (gone[1]["joins"], list(gone[1]["leaves"])) == ({}, ["ada"])
        assert (await two.answer(ref))["status"] == "ok"
        bad = await two.say("realtime:desk", "presence", {"event": "track", "payload": [1]})
        reason = "Presence track payload must be a map"
        assert await two.answer(bad) == {"status": "error", "response": {"reason": reason}}
        await one.socket.close()
        while (heard := (await two.hear()))[3] != "presence_diff":
            pass
        assert heard[4]["leaves"]["ada"]["metas"][0]["doc"] == 1


async def test_too_many_presence_calls_end_the_channel(stack: Stack):
    async with talking(stack) as talk:
        await talk.join("busy")
        for number in range(6):
            await talk.say("realtime:busy", "presence", {"event": "track", "payload": {"n": number}})
        heard = [await talk.hear() for _ in range(12)]
        assert heard[-2][3:] == (
            "system",
            {
                "extension": "system",
                "status": "error",
                "message": "Client presence rate limit exceeded",
                "channel": "busy",
            },
        )
        assert heard[-1][3] == "phx_close"


async def test_a_new_token_is_asked_about_and_an_old_one_ends(stack: Stack, policies: None, vsn: str):
    one, other = await stack.user(), await stack.user()
    topic = f"realtime:own:{one['user']['id']}"
    async with talking(stack, vsn) as talk:
        await talk.join(topic[9:], one["access_token"], private=True)
        for same in (one["access_token"], "sb_publishable_x", None, stack.sign(sub=one["user"]["id"])):
            await talk.say(topic, "access_token", {"access_token": same})
        await talk.silence(0.2)
        await talk.say(topic, "access_token", {"access_token": other["access_token"]})
        message = f"You do not have permissions to read from this Channel topic: {topic[9:]}"
        told = {"extension": "system", "status": "error", "message": message, "channel": topic[9:]}
        assert (await talk.hear())[1:] == (None, topic, "system", told)
        assert (await talk.hear())[2:] == (topic, "phx_close", {})
        await talk.join(topic[9:], one["access_token"], private=True)
        await talk.say(topic, "access_token", {"access_token": ""})
        assert (await talk.hear())[4]["message"] == "The token provided is not a valid JWT"
        assert (await talk.hear())[3] == "phx_close"
        # On a busy machine a token of two seconds may have ended before it's looked at.
        while await talk.join(
            topic[9:], stack.sign(sub=one["user"]["id"], exp=int(time.time()) + 2), private=True
        ) != {"status": "ok", "response": {"postgres_changes": []}}:
            pass
        assert (await talk.hear())[4]["message"].startswith("Token has expired ")
        assert (await talk.hear())[3] == "phx_close"


async def test_joins_with_tokens_that_do_not_hold(stack: Stack):
    async with talking(stack) as talk:

        async def reason(token: str) -> str:
            return str((await talk.join("room", token))["response"]["reason"])

        assert await reason("no") == "MalformedJWT: The token provided is not a valid JWT"
        expired = await reason(stack.sign(sub="x", exp=int(time.time()) - 1000))
        assert re.fullmatch(r"InvalidJWTToken: Token has expired 10\d\d seconds ago", expired)
        assert (
            await reason(stack.sign(sub="x", role=None))
            == "InvalidJWTToken: Fields `role` and `exp` are required in JWT"
        )
        header, claims, signature = stack.sign(sub="x").split(".")
        forged = f"{header}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
        assert await reason(forged) == "JwtSignatureError: Failed to validate JWT signature"


@pytest.mark.parametrize("key", ["", "no", "sb_publishable_no"])
async def test_without_a_key_there_is_no_websocket(stack: Stack, key: str):
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with talking(stack, key=key or "%20"):
            pass
    assert refused.value.response.status_code == 401
    assert set(json.loads(refused.value.response.body)) == {"error"}


async def test_the_limits_of_one_websocket(stack: Stack):
    async with talking(stack, "2.0.0") as talk:
        for number in range(100):
            assert (await talk.join(f"many:{number}"))["status"] == "ok"
        assert (await talk.join("many:101"))["response"] == {
            "reason": "ChannelRateLimitReached: Too many channels"
        }
        await talk.join("many:0", broadcast={"ack": True})
        ref = await talk.say("realtime:many:0", "broadcast", {"event": "e", "payload": "x" * 3_100_000})
        assert await talk.answer(ref) == {"status": "error", "response": "payload_size_exceeded"}
        with pytest.raises(websockets.ConnectionClosed) as ended:
            await asyncio.gather(talk.socket.send("x" * 5_100_000), talk.hear())
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1009


async def test_postgres_changes_are_refused_in_words(stack: Stack):
    async with talking(stack) as talk:
        asked = {"event": "*", "schema": "public", "table": "events"}
        answer = await talk.join("changes", postgres_changes=[asked])
        assert answer == {"status": "ok", "response": {"postgres_changes": [{**asked, "id": 1}]}}
        told = (await talk.hear())[4]
        assert (told["extension"], told["status"], told["channel"]) == (
            "postgres_changes",
            "error",
            "changes",
        )


async def test_broadcasts_by_post(stack: Stack, policies: None):
    person = await stack.user()
    signed = {"apikey": stack.publishable_key, "Authorization": f"Bearer {person['access_token']}"}
    url = f"{stack.supabase_url}/realtime/v1/api/broadcast"
    async with talking(stack) as talk, httpx.AsyncClient(headers=signed) as client:
        for name in ("heard:said:1", "heard:1"):
            await talk.join(name, person["access_token"], private=True)
        await talk.join("open")
        messages: list[dict[str, Any]] = [
            {"topic": "heard:1", "event": "no", "payload": {}, "private": True},
            {"topic": "heard:said:1", "event": "yes", "payload": {"a": 1}, "private": True},
            {"topic": "open", "event": "yes", "payload": {}},
        ]
        assert (await client.post(url, json={"messages": messages})).status_code == 202
        heard = {(await talk.hear())[2] for _ in range(2)}
        assert heard == {"realtime:heard:said:1", "realtime:open"}
        assert (
            await client.post(f"{url}/heard%3Asaid%3A1/events/e?private=true", json=[1])
        ).status_code == 202
        assert (await talk.hear())[4] == {"type": "broadcast", "event": "e", "payload": [1]}
        assert (await client.post(f"{url}/heard:1/events/e?private=true", json=[1])).status_code == 403
        assert (await client.post(url, json={"messages": [{"topic": "x"}]})).status_code == 422
        assert (await client.post(url, content=b"x")).status_code == 422
        assert (
            await client.post(url, headers={"apikey": "x", "Authorization": ""}, json={})
        ).status_code == 401
        await talk.silence()


async def until_cut_off(talk: Talk) -> int:
    """How many frames still come before the connection ends."""
    heard = 0
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            await talk.hear()
            heard += 1
    return heard


async def test_a_client_that_does_not_read_is_cut_off_and_holds_nobody_up(stack: Stack):
    async with talking(stack) as talk, talking(stack) as slow:
        await slow.join("flood")
        await talk.join("flood", broadcast={"ack": True})
        slow.socket.transport.pause_reading()
        body = "x" * 1_000_000
        for _ in range(24):
            ref = await talk.say("realtime:flood", "broadcast", {"event": "e", "payload": body})
            assert (await talk.answer(ref))["status"] == "ok"
        slow.socket.transport.resume_reading()
        assert await until_cut_off(slow) < 24


async def test_two_hundred_subscribers_hear_a_row_of_the_database(stack: Stack, policies: None):
    person = await stack.user()
    async with contextlib.AsyncExitStack() as open_ones:
        talks = [
            await open_ones.enter_async_context(talking(stack, "2.0.0" if number % 2 else "1.0.0"))
            for number in range(200)
        ]
        for talk in talks:
            assert (await talk.join("heard:all", person["access_token"], private=True))["status"] == "ok"
        await stack.psql("select realtime.send('{}', 'all', 'heard:all', true)")
        heard = [await talk.hear() for talk in talks]
        assert {frame[4]["event"] for frame in heard} == {"all"}


async def test_who_leaves_while_joining_is_forgotten(stack: Stack, policies: None):
    """Nobody listens afterwards: a row of the database isn't even notified of."""
    person = await stack.user()
    for number in range(30):
        async with talking(stack) as talk:
            payload = {"config": {"private": True}, "access_token": person["access_token"]}
            await talk.say(f"realtime:heard:hasty:{number}", "phx_join", payload)
            await asyncio.sleep(number / 10_000)

    async def nobody() -> bool:
        rows = await stack.psql(
            "select count(*) from _embedded.listened where topic like 'heard:hasty:%'", role="supabase_admin"
        )
        return bool(rows[0][0] == 0)

    assert await stack.until(nobody, seconds=30)

"""Attacks on a project's channel over the wire: who isn't a member hears nothing, and nobody says anything on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.local.realtime_frames import talking
from tests.local.test_live import Home

if TYPE_CHECKING:
    from tests.stack import Stack


@pytest.fixture
async def home(stack: Stack) -> Home:
    return await Home.make(stack)


@pytest.mark.parametrize("vsn", ["1.0.0", "2.0.0"])
async def test_only_members_join(stack: Stack, home: Home, vsn: str):
    stranger = await Home.make(stack)
    reason = f"Unauthorized: You do not have permissions to read from this Channel topic: project:{home.id}"
    async with talking(stack, vsn) as talk, talking(stack, vsn) as public:
        for token in (None, stranger.token, stack.anon_key):
            answer = await talk.join(f"project:{home.id}", token, private=True)
            assert answer == {"status": "error", "response": {"reason": reason}}
        for name in ("project:%", "project:", f"project:{home.id} ", f"PROJECT:{home.id}"):
            assert (await talk.join(name, home.token, private=True))["status"] == "error"
        # A channel of that name that isn't private is anybody's, and another one.
        assert (await public.join(f"project:{home.id}", stranger.token))["status"] == "ok"
        assert (await talk.join(f"project:{home.id}", home.token, private=True))["status"] == "ok"
        await home.happen()
        assert (await talk.hear())[4]["event"] == "event"
        await public.silence()


async def test_nobody_says_anything_on_it(stack: Stack, home: Home):
    topic = f"realtime:project:{home.id}"
    async with talking(stack) as owner, talking(stack) as listener:
        for talk in (owner, listener):
            config = {"private": True, "presence": {"key": "x", "enabled": True}, "broadcast": {"self": True}}
            assert (await talk.join(topic[9:], home.token, **config))["status"] == "ok"
        forged = {"type": "broadcast", "event": "event", "payload": {"sequence": 999}}
        await owner.say(topic, "broadcast", forged)
        tracked = await owner.say(topic, "presence", {"event": "track", "payload": {"name": "Mallory"}})
        assert (await owner.answer(tracked))["status"] == "error"
        url = f"{stack.supabase_url}/realtime/v1/api/broadcast"
        signed = {"apikey": stack.publishable_key, "Authorization": f"Bearer {home.token}"}
        async with httpx.AsyncClient(headers=signed) as client:
            batch = {"messages": [{"topic": topic[9:], "event": "event", "payload": {}, "private": True}]}
            assert (await client.post(url, json=batch)).status_code == 202
            single = await client.post(f"{url}/{topic[9:]}/events/event?private=true", json={})
            assert single.status_code == 403
            # The functions that send are in no schema that the API shows.
            body = {"payload": {}, "event": "event", "topic": topic[9:], "private": True}
            for profile in ("public", "realtime"):
                headers = {"Content-Profile": profile}
                sent = await client.post(f"{stack.supabase_url}/rest/v1/rpc/send", json=body, headers=headers)
                assert sent.status_code in {404, 406}
        await listener.silence()
        await owner.silence()


async def test_who_was_removed_ends_with_the_next_token(stack: Stack, home: Home):
    """A hosted Realtime asks the policies at a join and at a new token; in between it told numbers only."""
    guest = await Home.make(stack)
    add = "insert into public.members (user_id, project_id, role, added_by) values ($1, $2, 'editor', $3)"
    await stack.psql(add, guest.sub, home.id, home.sub)
    topic = f"realtime:project:{home.id}"
    async with talking(stack) as talk:
        assert (await talk.join(topic[9:], guest.token, private=True))["status"] == "ok"
        await stack.psql(
            "delete from public.members where user_id = $1 and project_id = $2", guest.sub, home.id
        )
        await home.happen()
        assert set((await talk.hear())[4]["payload"]) == {"sequence", "kind", "id"}
        await talk.say(topic, "access_token", {"access_token": home.sign(sub=guest.sub)})
        told = await talk.hear()
        assert "You do not have permissions" in told[4]["message"]
        assert (await talk.hear())[3] == "phx_close"
        await home.happen()
        await talk.silence()
        assert (await talk.join(topic[9:], guest.token, private=True))["status"] == "error"

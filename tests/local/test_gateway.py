"""The front door: what is where, who may read it from a browser, and what happens when PostgreSQL is away."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.supabase_url, timeout=20) as plain:
        yield plain


async def test_the_ready_line_has_what_a_client_needs(stack: Stack):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", stack.supabase_url)
    assert stack.publishable_key.startswith("sb_publishable_")
    assert stack.secret_key.startswith("sb_secret_")
    assert stack.anon_key.count(".") == stack.service_role_key.count(".") == 2
    assert stack.jwks["keys"][0]["alg"] == "ES256"
    assert await stack.psql("select current_user::text") == [("postgres",)]
    assert "postgres" in psutil.Process(stack.postgres_pid).name()


async def test_keys_survive_a_restart(tmp_path: Path):
    stack = Stack(tmp_path / "data", migrations=None).start()
    before = (stack.publishable_key, stack.secret_key, stack.anon_key, stack.jwks, stack.supabase_url)
    session = await stack.user()
    stack.stop()
    stack.start()
    try:
        assert before == (
            stack.publishable_key,
            stack.secret_key,
            stack.anon_key,
            stack.jwks,
            stack.supabase_url,
        )
        headers = {"apikey": stack.publishable_key, "authorization": f"Bearer {session['access_token']}"}
        async with httpx.AsyncClient() as plain:
            assert (await plain.get(f"{stack.supabase_url}/auth/v1/user", headers=headers)).is_success
        assert (stack.data / "keys.json").stat().st_mode & 0o777 == 0o600
    finally:
        stack.stop()


async def test_the_front_page_says_what_this_is(http: httpx.AsyncClient):
    page = await http.get("/")
    assert "embedded Supabase for laptops, tests and demos" in page.text
    assert page.headers["content-type"].startswith("text/plain")


async def test_it_listens_on_loopback_only(stack: Stack):
    addresses = {
        connection.laddr.ip
        for connection in psutil.Process(stack.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


async def test_all_three_servers_are_where_clients_look(http: httpx.AsyncClient, stack: Stack):
    key = {"apikey": stack.publishable_key, "authorization": f"Bearer {stack.publishable_key}"}
    assert (await http.get("/rest/v1/no_such_table", headers=key)).json()["code"] == "PGRST205"
    assert (await http.get("/storage/v1/bucket", headers=key)).json() == []
    assert (await http.get("/auth/v1/health", headers=key)).json()["name"] == "GoTrue"
    nowhere = await http.get("/functions/v1/f", headers=key)
    assert (nowhere.status_code, nowhere.json()) == (404, {"message": "no Route matched with those values"})


async def test_a_browser_may_call_from_any_origin(http: httpx.AsyncClient, stack: Stack):
    asked = "apikey,authorization,x-client-info,prefer"
    preflight = await http.options(
        "/rest/v1/projects",
        headers={
            "origin": "http://localhost:3000",
            "access-control-request-method": "PATCH",
            "access-control-request-headers": asked,
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == asked
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    for path, headers in (("/auth/v1/health", {"apikey": stack.anon_key}), ("/auth/v1/health", {})):
        answer = await http.get(path, headers={"origin": "http://localhost:3000", **headers})
        assert answer.headers.get_list("access-control-allow-origin") == ["*"]
        assert "Content-Range" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in preflight.headers


async def test_requests_during_postgresqls_restart_wait_and_succeed(tmp_path: Path):
    """Not one of a stream of requests fails while PostgreSQL is killed, except those that it was working on."""
    with Stack(tmp_path / "data", migrations=None) as stack:
        session = await stack.user()
        headers = {"apikey": stack.publishable_key, "authorization": f"Bearer {session['access_token']}"}
        statuses: list[int] = []
        async with httpx.AsyncClient(base_url=stack.supabase_url, headers=headers, timeout=20) as http:

            async def ask() -> None:
                for _ in range(60):
                    statuses.append((await http.get("/auth/v1/user")).status_code)
                    await asyncio.sleep(0.005)

            asking = [asyncio.create_task(ask()) for _ in range(4)]
            await asyncio.sleep(0.1)
            os.kill(stack.postgres_pid, signal.SIGKILL)
            await asyncio.gather(*asking)
        assert statuses.count(200) >= len(statuses) - 8
        assert set(statuses) <= {200, 503}
        assert statuses[-20:] == [200] * 20


async def test_claims_of_one_request_are_not_there_in_the_next(stack: Stack):
    """Connections are shared by all users of a role: nothing of a request may stay on one."""
    await stack.psql(
        "create or replace function public.whoami() returns text language sql stable security invoker "
        "set search_path = '' as $$ select coalesce(auth.uid()::text, 'nobody') || ' ' || current_user $$;"
        "grant execute on function public.whoami() to anon, authenticated;"
    )
    people = [await stack.user() for _ in range(4)]
    try:
        async with httpx.AsyncClient(
            base_url=stack.supabase_url, headers={"apikey": stack.publishable_key}
        ) as http:

            async def ask(number: int) -> bool:
                person = people[number % 5] if number % 5 < 4 else None
                headers = {"authorization": f"Bearer {person['access_token']}"} if person else {}
                answer = await http.post("/rest/v1/rpc/whoami", headers=headers, json={})
                expected = f"{person['user']['id']} authenticated" if person else "nobody anon"
                return answer.json() == expected

            await stack.until(lambda: ask(0))
            assert all(await asyncio.gather(*(ask(number) for number in range(300))))
    finally:
        await stack.psql("drop function public.whoami()")


async def test_the_size_limit_of_objects_can_be_set(tmp_path: Path):
    with Stack(tmp_path / "data", migrations=None, arguments=("--file-size-limit", "10")) as stack:
        headers = {"apikey": stack.secret_key, "authorization": f"Bearer {stack.service_role_key}"}
        async with httpx.AsyncClient(
            base_url=f"{stack.supabase_url}/storage/v1", headers=headers, timeout=20
        ) as http:
            assert (await http.post("/bucket", json={"id": "b", "name": "b"})).is_success
            fits = await http.post("/object/b/fits", content=b"x" * 10)
            larger = await http.post("/object/b/larger", content=b"x" * 11)
    assert fits.is_success
    assert larger.json()["statusCode"] == "413"

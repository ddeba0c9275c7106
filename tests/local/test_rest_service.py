"""Who may call, what is noticed, and what a failure leaves: the parts of the REST interface around its statements."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Mount

from app.local.database import Database
from app.local.keys import Keys
from app.local.rest import routes
from app.local.rest.schema_cache import LEAST_SECONDS
from tests.local.rest_cases.harness import ADA, fill, library, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stack import Stack

BO = "00000000-0000-0000-0000-000000000002"


@pytest_asyncio.fixture(scope="module")
async def books(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with library(tmp_path_factory.mktemp("books")) as stack:
        yield stack


@pytest_asyncio.fixture
async def client(books: Stack) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"apikey": books.publishable_key, "Authorization": f"Bearer {tokens(books)['ada']}"}
    url = f"{books.supabase_url}/rest/v1"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        yield client


def _signed(books: Stack, **claims: Any) -> dict[str, str]:
    token = Keys.load(books.data).sign({"role": "authenticated", "exp": int(time.time()) + 60, **claims})
    return {"Authorization": f"Bearer {token}"}


async def test_without_a_key_nobody_gets_in(books: Stack):
    async with httpx.AsyncClient(base_url=f"{books.supabase_url}/rest/v1") as bare:
        missing = await bare.get("/books")
        wrong = await bare.get("/books", headers={"apikey": "sb_publishable_wrong"})
    assert (missing.status_code, missing.json()["message"]) == (401, "No API key found in request")
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Invalid API key")


@pytest.mark.parametrize(
    ("claims", "code"),
    [({"exp": int(time.time()) - 60}, "PGRST303"), ({"nbf": int(time.time()) + 36_000}, "PGRST303")],
)
async def test_a_token_out_of_its_time_is_401(
    books: Stack, client: httpx.AsyncClient, claims: dict[str, int], code: str
):
    answer = await client.get("/books", headers=_signed(books, **claims))
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


async def test_a_token_that_we_did_not_sign_is_401(client: httpx.AsyncClient):
    for token in ("nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.eyJyb2xlIjoic2VydmljZV9yb2xlIn0."):
        answer = await client.get("/books", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "PGRST301"), token


async def test_a_role_that_the_api_does_not_have_is_401(books: Stack, client: httpx.AsyncClient):
    for role in ("postgres", "supabase_admin", "nobody", 'authenticated"; reset role; --'):
        answer = await client.get("/secrets", headers=_signed(books, role=role))
        assert (answer.status_code, answer.json()["code"]) == (401, "22023"), role


async def test_two_callers_at_once_see_their_own_rows(books: Stack, client: httpx.AsyncClient):
    await fill(books)
    headers = {who: _signed(books, sub=who) for who in (ADA, BO)}

    async def seen(who: str) -> tuple[str, int, str]:
        rows = await client.get("/loans?select=id", headers=headers[who])
        called = await client.post("/rpc/who", json={}, headers=headers[who])
        return who, len(rows.json()), called.json()["sub"]

    for who, rows, sub in await asyncio.gather(*(seen(who) for _ in range(40) for who in (ADA, BO))):
        assert (rows, sub) == ({ADA: 1, BO: 2}[who], who)


async def test_claims_do_not_outlive_a_call(books: Stack, client: httpx.AsyncClient):
    for body in ({"state": "P0001"}, {"state": "23505"}):
        await client.post("/rpc/fail", json=body)
    anonymous = httpx.AsyncClient(base_url=client.base_url, headers={"apikey": books.publishable_key})
    async with anonymous:
        told = [(await anonymous.post("/rpc/who", json={})).json() for _ in range(5)]
    assert {(one["role"], one["sub"]) for one in told} == {("anon", None)}


async def test_a_role_does_not_outlive_a_call(books: Stack):
    """A function may make its connection another role for good; the next caller on it is himself again."""
    await books.psql(
        "create function public.keep_setting(name text, value text) returns text language sql "
        "as 'select set_config(name, value, false)';"
        "create function public.role_now() returns text language sql volatile as 'select current_user::text';"
    )
    headers = {"apikey": books.publishable_key}
    async with httpx.AsyncClient(base_url=f"{books.supabase_url}/rest/v1", headers=headers) as anonymous:
        kept = {"name": "role", "value": "service_role"}
        assert (await anonymous.post("/rpc/keep_setting", json=kept)).json() == "service_role"
        assert (await anonymous.post("/rpc/role_now", json={})).json() == "anon"
        assert (await anonymous.get("/rpc/role_now")).json() == "anon"


async def test_a_new_table_column_and_function_are_there_at_once(books: Stack, client: httpx.AsyncClient):
    assert (await client.get("/fresh")).status_code == 404
    await books.psql(
        "create table public.fresh (id integer primary key); insert into public.fresh values (1);"
    )
    assert (await client.get("/fresh")).json() == [{"id": 1}]
    await books.psql("alter table public.fresh add column label text default 'x'")
    assert (await client.post("/fresh?select=*", json={"id": 2, "label": "y"})).status_code == 201
    await books.psql("create function public.fresh_one(a integer) returns integer language sql as 'select a'")
    assert (await client.post("/rpc/fresh_one", json={"a": 1})).json() == 1
    await books.psql(
        "drop function public.fresh_one(integer);"
        "create function public.fresh_one(b integer) returns text language sql as 'select b::text';"
    )
    assert (await client.post("/rpc/fresh_one", json={"b": 1})).json() == "1"
    await books.psql("drop table public.fresh")
    assert (await client.get("/fresh")).json()["code"] in ("PGRST205", "42P01")


async def test_who_miss_a_name_together_wait_together(client: httpx.AsyncClient):
    """The catalog is read again for a missing name, but not once for each of a crowd that misses one."""
    started = time.monotonic()
    answers = await asyncio.gather(*(client.get(f"/missing_{number % 3}") for number in range(60)))
    assert {answer.status_code for answer in answers} == {404}
    assert time.monotonic() - started < 59 * LEAST_SECONDS


async def test_a_function_replaced_by_another_shape_answers_in_the_new_shape(
    books: Stack, client: httpx.AsyncClient
):
    await books.psql("create function public.shape() returns integer language sql as 'select 1'")
    assert (await client.post("/rpc/shape", json={})).json() == 1
    await books.psql(
        "drop function public.shape();"
        "create function public.shape() returns table (x integer) language sql as 'select 1';"
    )

    async def is_new() -> bool:
        return (await client.post("/rpc/shape", json={})).json() == [{"x": 1}]

    assert await books.until(is_new)


async def test_no_read_gives_more_rows_than_max_rows(client: httpx.AsyncClient):
    for ask in (client.post("/rpc/many", json={"n": 1500}), client.get("/rpc/many?n=1500")):
        assert len((await ask).json()) == 1000
    counted = await client.get("/rpc/many?n=1500&limit=1200", headers={"Prefer": "count=exact"})
    assert (counted.status_code, counted.headers["content-range"]) == (206, "0-999/1500")


async def test_preferences_may_stand_in_several_lines(client: httpx.AsyncClient):
    lines = [*client.headers.multi_items(), ("Prefer", "count=exact"), ("Prefer", "handling=strict")]
    async with httpx.AsyncClient(base_url=client.base_url) as bare:
        answer = await bare.get("/books?limit=1", headers=lines)
    assert answer.headers["preference-applied"] == "count=exact, handling=strict"


async def test_a_write_whose_answer_is_refused_is_undone(books: Stack, client: httpx.AsyncClient):
    await fill(books)
    one = {"Accept": "application/vnd.pgrst.object+json", "Prefer": "return=representation"}
    refused = await client.patch("/books?id=in.(1,2)", json={"pages": 1}, headers=one)
    assert refused.status_code == 406
    assert [row["pages"] for row in await books.psql("select pages from books where id < 3 order by id")] == [
        120,
        340,
    ]
    strict = {"Prefer": "handling=strict, max-affected=1"}
    refused = await client.delete("/book_genres?book_id=eq.1", headers=strict)
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST124")
    assert (await books.psql("select count(*) as n from book_genres"))[0]["n"] == 4


async def test_a_stable_function_cannot_write_in_one_round_trip_either(
    books: Stack, client: httpx.AsyncClient
):
    await fill(books)
    refused = await client.post("/rpc/write_in_stable", json={})
    assert (refused.status_code, refused.json()["code"]) == (405, "25006")
    assert (await client.post("/rpc/write_it", json={})).json() == 1
    assert (await books.psql("select count(*) as n from plain"))[0]["n"] == 1


async def test_a_function_cannot_smuggle_headers_in(books: Stack, client: httpx.AsyncClient):
    await books.psql(
        "create or replace function public.smuggle() returns text language plpgsql as $$ begin "
        "perform set_config('response.headers', jsonb_build_array(jsonb_build_object('X-One', "
        "E'a\\r\\nSet-Cookie: b=c'))::text, true); return 'x'; end $$"
    )
    answer = await client.post("/rpc/smuggle", json={})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-one"] == "a  Set-Cookie: b=c"


async def test_what_http_has_no_form_for_is_not_sent(books: Stack, client: httpx.AsyncClient):
    """A header's name with a space, a body with 204: either would end the connection under the client."""
    await books.psql(
        "create function public.odd_answer(status text) returns text language plpgsql as $$ begin "
        """perform set_config('response.headers', '[{"a b": "c"}, {"X-One": "d\\u0001e"}]', true), """
        "set_config('response.status', status, true); return 'x'; end $$"
    )
    told = len(books.stderr_path.read_text())
    for status in ("200", "204", "304"):
        answer = await client.post("/rpc/odd_answer", json={"status": status})
        assert (answer.status_code, answer.text) == (int(status), '"x"' if status == "200" else "")
        assert (answer.headers["x-one"], "a b" in answer.headers) == ("d e", False)
    for status in ("99", "600", "ok", "9" * 5000):
        refused = await client.post("/rpc/odd_answer", json={"status": status})
        assert (refused.status_code, refused.json()["code"]) == (500, "PGRST112"), status
    assert "Traceback" not in books.stderr_path.read_text()[told:]


async def test_forty_thousand_and_one_is_answered_once(books: Stack, client: httpx.AsyncClient):
    """PostgREST before 16 tries a serialization failure again for ever; here it is an error like others."""
    await books.psql("create sequence public.tries; grant usage on sequence public.tries to authenticated;")
    await books.psql(
        "create function public.clash() returns void language plpgsql as $$ begin "
        "perform nextval('public.tries'); raise exception 'clash' using errcode = '40001'; end $$"
    )
    answer = await client.post("/rpc/clash", json={})
    assert (answer.status_code, answer.json()["code"]) == (500, "40001")
    assert (await books.psql("select last_value as n from public.tries"))[0]["n"] == 1


async def test_a_statement_that_takes_too_long_ends(books: Stack, client: httpx.AsyncClient):
    await books.psql(
        "create function public.nap() returns void language sql set statement_timeout = '100ms' "
        "as 'select pg_sleep(15)'"
    )
    started = time.monotonic()
    answer = await client.post("/rpc/nap", json={})
    assert (answer.status_code, answer.json()["code"]) == (500, "57014")
    assert time.monotonic() - started < 10


async def test_it_goes_on_after_postgresql_was_killed(books: Stack, client: httpx.AsyncClient):
    assert (await client.post("/rpc/add", json={"a": 1, "b": 1})).json() == 2
    await asyncio.to_thread(books.kill_postgres)

    async def answers() -> bool:
        return (await client.post("/rpc/add", json={"a": 1, "b": 1})).text == "2"

    assert await books.until(answers, seconds=15)
    assert (await client.get("/books?select=id&limit=1&order=id")).json() == [{"id": 1}]
    await books.psql("create function public.after_all() returns integer language sql as 'select 9'")
    assert (await client.post("/rpc/after_all", json={})).json() == 9


async def test_a_large_body_and_a_large_answer_pass(client: httpx.AsyncClient):
    text = "ü" * 3_000_000
    answer = await client.post("/rpc/echo", json={"v": text})
    assert answer.json() == text


async def test_json_nested_too_deeply_is_refused(client: httpx.AsyncClient):
    deep = '{"v":' + "[" * 200_000 + "]" * 200_000 + "}"
    for path in ("/rpc/echo", "/plain"):
        answer = await client.post(path, content=deep, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) in ((400, "PGRST102"), (500, "54001")), path


@pytest_asyncio.fixture
async def inside(books: Stack) -> AsyncIterator[tuple[httpx.AsyncClient, Database]]:
    """The service in this process, so that what it says to PostgreSQL can be counted."""
    # The admin's own socket: over TCP each role would need a password.
    directory = (await books.psql("show unix_socket_directories"))[0][0].strip('"')
    port = (await books.psql("show port"))[0][0]
    database = await Database.connect(f"postgresql:///postgres?host={directory}&port={port}")
    app = Starlette(routes=[Mount("/rest/v1", routes=routes(database, Keys.load(books.data)))])
    headers = {"apikey": books.publishable_key, "Authorization": f"Bearer {tokens(books)['ada']}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x/rest/v1", headers=headers) as client:
        yield client, database
    await database.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "statements"),
    [
        ("POST", "/rpc/add", {"a": 1, "b": 2}, 1),
        ("POST", "/rpc/books_by", {"writer": 1}, 1),
        ("POST", "/rpc/one_book", {"which": 1}, 1),
        ("POST", "/rpc/nothing", {}, 1),
        ("GET", "/books?select=id,genres(code)&id=eq.1", None, 3),
        ("GET", "/rpc/add?a=1&b=2", None, 3),
    ],
)
async def test_round_trips(
    inside: tuple[httpx.AsyncClient, Database], method: str, path: str, body: Any, statements: int
):
    """A call is one statement; a read is one between BEGIN (with the claims in the same message) and COMMIT."""
    client, database = inside
    assert (await client.request(method, path, json=body)).status_code < 300
    said: list[Any] = []
    async with database.pool("authenticated").connection() as connection:
        connection.add_query_logger(said.append)
    assert (await client.request(method, path, json=body)).status_code < 300
    async with asyncio.timeout(20):
        while len(said) < statements:  # noqa: ASYNC110 - asyncpg tells its loggers in a later turn of the loop
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    assert len(said) == statements, [one.query for one in said]

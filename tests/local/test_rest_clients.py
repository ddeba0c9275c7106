"""The official clients, Python's and JavaScript's, work with the embedded REST interface as with a hosted one."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions

from tests.local.rest_cases.harness import BIN, JS, UnavailableError, fill, library, modules, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stack import Stack


@pytest_asyncio.fixture(scope="module")
async def books(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with library(tmp_path_factory.mktemp("books")) as stack:
        yield stack


@pytest_asyncio.fixture
async def db(books: Stack) -> AsyncIterator[AsyncClient]:
    """The Python client, signed in as Ada, on fresh rows."""
    await fill(books)
    async with httpx.AsyncClient(timeout=20) as shared:
        options = AsyncClientOptions(
            headers={"Authorization": f"Bearer {tokens(books)['ada']}"},
            httpx_client=shared,
            auto_refresh_token=False,
            persist_session=False,
        )
        yield AsyncClient(books.supabase_url, books.publishable_key, options)


async def test_python_reads_with_filters_embeddings_and_order(db: AsyncClient):
    answer = await (
        db.table("books")
        .select("id, title, author:authors!author_id(name), genres(code)")
        .in_("id", [1, 2, 3])
        .gt("pages", 100)
        .order("id", desc=True)
        .limit(1)
        .execute()
    )
    assert answer.data == [
        {"id": 2, "title": "Warm rivers", "author": {"name": "Ada Lund"}, "genres": [{"code": "riv"}]}
    ]


@pytest.mark.parametrize(
    ("column", "operator", "criteria", "found"),
    [
        ("title", "like", "Cold%", [1]),
        ("title", "eq", 'a"b,c', []),
        ("price", "is", "null", [3]),
        ("facts", "cs", '{"lang":"en"}', [2, 4]),
        ("shelf", "ov", "[4,6)", [1, 2]),
        ("words", "fts(english)", "river", [1, 2]),
    ],
)
async def test_python_filters(db: AsyncClient, column: str, operator: str, criteria: str, found: list[int]):
    answer = await db.table("books").select("id").filter(column, operator, criteria).order("id").execute()
    assert [row["id"] for row in answer.data] == found


async def test_python_or_not_and_contains(db: AsyncClient):
    either = await db.table("books").select("id").or_("id.eq.1,and(pages.lt.90,price.is.null)").execute()
    assert [row["id"] for row in either.data] == [1, 3]
    priced = await db.table("books").select("id").not_.is_("price", "null").eq("author_id", 1).execute()
    assert [row["id"] for row in priced.data] == [1, 2]
    tagged = await db.table("authors").select("id").contains("tags", ["poet"]).execute()
    assert tagged.data == [{"id": 1}]


async def test_python_counts(db: AsyncClient):
    whole = await db.table("books").select("*", count="exact", head=True).execute()
    assert (whole.count, whole.data) == (5, [])
    part = await db.table("books").select("id", count="exact").range(0, 1).execute()
    assert (part.count, len(part.data)) == (5, 2)


async def test_python_single_and_maybe_single(db: AsyncClient):
    with pytest.raises(APIError) as refused:
        await db.table("books").select("*").eq("id", 99).single().execute()
    assert refused.value.code == "PGRST116"
    assert await db.table("books").select("*").eq("id", 99).maybe_single().execute() is None
    one = await db.table("books").select("title").eq("id", 1).maybe_single().execute()
    assert one is not None
    assert one.data == {"title": "Cold rivers"}


async def test_python_writes(db: AsyncClient):
    publishers = db.table("publishers")
    made = await publishers.insert([{"id": 20, "name": "A"}, {"id": 21, "name": "B"}]).execute()
    assert [row["id"] for row in made.data] == [20, 21]
    merged = await db.table("publishers").upsert({"id": 20, "name": "A2"}).execute()
    assert merged.data == [{"id": 20, "name": "A2", "city": None}]
    kept = await db.table("publishers").upsert({"id": 20, "name": "no"}, ignore_duplicates=True).execute()
    assert kept.data == []
    changed = await db.table("publishers").update({"name": "C"}).eq("id", 21).execute()
    assert changed.data == [{"id": 21, "name": "C", "city": None}]
    gone = await db.table("publishers").delete(count="exact").gte("id", 20).execute()
    assert gone.count == 2
    odd = await db.table("Odd names").insert({"the id": 9, "a.b": "x"}).execute()
    assert odd.data[0]["a.b"] == "x"


async def test_python_fills_missing_keys_with_defaults_when_asked(db: AsyncClient):
    rows = [{"title": "With", "mood": "grim"}, {"title": "Without"}]
    made = await db.table("books").insert(rows, default_to_null=False).execute()
    assert [row["mood"] for row in made.data] == ["grim", "calm"]


async def test_python_calls_functions(db: AsyncClient):
    assert (await db.rpc("add", {"a": 1, "b": 2}).execute()).data == 3
    assert (await db.rpc("add", {"a": 1, "b": 2}, get=True).execute()).data == 3
    # The client makes an empty list of 204, from a hosted project too.
    assert (await db.rpc("nothing", {}).execute()).data == []
    assert (await db.rpc("books_by", {"writer": 1}).select("id").gt("pages", 200).execute()).data == [
        {"id": 2}
    ]
    assert (await db.rpc("who", {}).execute()).data["role"] == "authenticated"
    with pytest.raises(APIError) as refused:
        await db.rpc("fail", {"state": "PT402", "message": "pay"}).execute()
    assert (refused.value.code, refused.value.message, refused.value.hint) == ("PT402", "pay", "h")


async def test_python_sees_refusals(db: AsyncClient):
    for table, code in (("secrets", "42501"), ("nope", "PGRST205")):
        with pytest.raises(APIError) as refused:
            await db.table(table).select("*").execute()
        assert refused.value.code == code
    with pytest.raises(APIError) as refused:
        await db.schema("auth").table("users").select("*").execute()
    assert refused.value.code == "PGRST106"


async def test_javascript(books: Stack):
    await fill(books)
    try:
        await asyncio.to_thread(modules)
    except UnavailableError as error:
        if os.environ.get("VERSO_TEST_REQUIRE_ALL") == "1":
            raise
        pytest.skip(str(error))
    process = await asyncio.create_subprocess_exec(
        *(
            BIN / "node",
            JS / "test_rest.mjs",
            books.supabase_url,
            books.publishable_key,
            tokens(books)["ada"],
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    assert output.count(b"ok ") == 9

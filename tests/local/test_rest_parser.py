"""The grammar of the REST interface's URLs, and that nothing in a request ever becomes SQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.local.rest.bodies import parse_arguments, parse_rows
from app.local.rest.catalog import quoted
from app.local.rest.conditions import parse_filter, parse_logic
from app.local.rest.errors import RestError
from app.local.rest.media import negotiate
from app.local.rest.orders import parse_order
from app.local.rest.preferences import parse_preferences
from app.local.rest.query import parse_query
from app.local.rest.ranges import at_most, content_range, requested, status_of
from app.local.rest.selects import parse_select
from app.local.rest.similar import most_similar
from app.local.rest.syntax import Column, Condition, Embed, Field, Filter, Group, JsonStep, Order, Range
from app.local.rest.view_columns import origins_in, table_columns
from tests.local.rest_cases.harness import fill, library, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.stack import Stack

# Letters of the grammar make deep nonsense; free text makes shallow nonsense.
PIECES = st.sampled_from(
    [
        *"(),.:!*\"'\\{}->=& ;%$",
        "select",
        "and",
        "or",
        "not.",
        "eq.",
        "in.(",
        "is.",
        "fts(",
        "any",
        "->>",
        "::",
        "...",
        "id",
    ]
)
WILD = st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join) | st.text(max_size=60)
HOSTILE = (
    "'; drop table public.plain; --",
    '"; drop table public.plain; --',
    "id) from public.secrets --",
    "id) union select word from public.secrets --",
    "1); select pg_sleep(9); --",
    "$1",
    "\\'; drop table public.plain; --",
    "$$; drop table public.plain; $$",
    "E'\\''",
    "text); drop table public.plain; --",
    "public.secrets",
    "(select word from public.secrets)",
    "*/ select word from public.secrets /*",
    "\u2019; drop table public.plain; --",
    "a\0b",
    "{},{}); drop table public.plain; --",
    "%s%n",
    "../secrets",
)


def test_select_reads_every_form():
    assert parse_select("id,name:title::text, data->a->>0,*") == (
        Column(Field("id")),
        Column(Field("title"), alias="name", cast="text"),
        Column(Field("data", (JsonStep(False, "a", False), JsonStep(True, "0", True)))),
        Column(Field("*")),
    )
    assert parse_select('who:authors!by!inner("a.b",...c(d))') == (
        Embed(
            "authors",
            (Column(Field("a.b")), Embed("c", (Column(Field("d")),), spread=True)),
            alias="who",
            hint="by",
            join="inner",
        ),
    )


def test_filters_read_every_form():
    def condition(text: str) -> Any:
        return parse_filter("a", text)[1].condition

    assert condition("not.like(any).{a,b}") == Condition("like", "{a,b}", negated=True, quantifier="any")
    assert condition('in.("a,b",c d,"q\\"")') == Condition("in", values=("a,b", "c d", 'q"'))
    assert condition("plfts(german).x") == Condition("plfts", "x", language="german")
    assert condition("is.NULL") == Condition("is", "null")
    assert parse_filter('x."a.b"->c', "eq.1")[0] == ("x",)
    assert parse_logic("x.not.or", '(a.eq."1,2",not.and(b.is.null,c.in.(1,2)))') == (
        ("x",),
        Group(
            "or",
            (
                Filter(Field("a"), Condition("eq", "1,2")),
                Group(
                    "and",
                    (
                        Filter(Field("b"), Condition("is", "null")),
                        Filter(Field("c"), Condition("in", values=("1", "2"))),
                    ),
                    negated=True,
                ),
            ),
            negated=True,
        ),
    )


def test_order_reads_every_form():
    assert parse_order("a.desc.nullslast,b(c).asc,d->>e") == (
        Order(Field("a"), "desc", "nullslast"),
        Order(Field("c"), "asc", relation="b"),
        Order(Field("d", (JsonStep(True, "e", False),))),
    )


def test_nesting_has_an_end():
    for parse in (
        lambda: parse_select("a(" * 5000),
        lambda: parse_logic("or", "(or" * 5000),
        lambda: parse_logic("or", "(not.and" * 5000),
    ):
        with pytest.raises(RestError) as refused:
            parse()
        assert refused.value.code == "PGRST100"


@settings(max_examples=400)
@given(WILD)
@example("or=(" + "a.eq.1," * 2000)
@example("x->" * 500)
def test_no_text_breaks_a_parser(text: str):
    parsers: tuple[Callable[[], Any], ...] = (
        lambda: parse_query(text),
        lambda: parse_query(text, arguments=True),
        lambda: parse_query(
            urlencode({"select": text, text: text, "order": text, "or": text, "limit": text})
        ),
        lambda: parse_select(text),
        lambda: parse_order(text),
        lambda: parse_filter(text, text),
        lambda: parse_logic("or", text),
        lambda: parse_preferences(text),
        lambda: negotiate(text),
        lambda: requested(None, text),
        lambda: parse_arguments(text.encode("utf-8", "surrogatepass")),
        lambda: parse_rows(text.encode("utf-8", "surrogatepass"), "text/csv", columns=None),
    )
    for refusal in filter(None, map(_refusal, parsers)):
        assert 400 <= refusal.status < 500
        assert json.loads(refusal.body())["code"].startswith("PGRST")


def _refusal(parse: Callable[[], Any]) -> RestError | None:
    try:
        parse()
    except RestError as refused:
        return refused
    return None


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_quoted_name_is_one_name(name: str):
    inner = quoted(name)[1:-1]
    assert inner.replace('""', "") == name.replace('"', "")
    assert inner.count('"') % 2 == 0


@given(st.integers(0, 50), st.none() | st.integers(1, 50), st.integers(0, 60))
def test_ranges_never_reach_beyond_what_was_asked(offset: int, limit: int | None, most: int):
    span = at_most(requested(Range(offset, limit), None), most)
    assert span.limit is not None
    assert span.limit <= most
    assert limit is None or span.limit <= limit


def test_content_ranges():
    assert content_range(first=0, last=9, total=20) == "0-9/20"
    assert content_range(first=0, last=-1, total=0) == "*/0"
    assert content_range(first=5, last=4, total=None) == "*/*"
    assert [status_of(first=0, last=9, total=n) for n in (None, 10, 20)] == [200, 200, 206]
    assert status_of(first=30, last=29, total=20) == 416


def test_suggestions_are_near_or_none():
    assert most_similar("bok", ["books", "authors"]) == "books"
    assert most_similar("zzz", ["books", "authors"]) is None
    assert most_similar("x" * 100_000, ["books"]) is None


def test_a_views_columns_are_found_under_expressions_and_views():
    tree = (
        "({QUERY :cteList <> :targetList ({TARGETENTRY :expr {VAR :varno 1} :resno 1 :resname a\\ b "
        ":resorigtbl 7 :resorigcol 3 :resjunk false} {TARGETENTRY :expr {FUNC :args ({TARGETENTRY :resno 9 "
        ":resorigtbl 7 :resorigcol 9})} :resno 2 :resname \\{x\\} :resorigtbl 0 :resorigcol 0}) :override 0})"
    )
    assert origins_in(tree) == {1: (7, 3)}
    assert table_columns(8, {8: {1: (7, 3)}, 7: {3: (6, 2)}}) == {(7, 3): [1], (6, 2): [1]}
    assert table_columns(8, {8: {1: (7, 3)}, 7: {3: (8, 1)}}) == {(7, 3): [1], (8, 1): [1]}


@pytest_asyncio.fixture(scope="module")
async def books(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with library(tmp_path_factory.mktemp("books")) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module")
async def client(books: Stack) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"apikey": books.publishable_key, "Authorization": f"Bearer {tokens(books)['ada']}"}
    url = f"{books.supabase_url}/rest/v1"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        yield client


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_stays_text(books: Stack, client: httpx.AsyncClient, text: str):
    await fill(books)
    word = quote(text, safe="")
    name = quote('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"', safe="")
    urls = [
        f"/books?select={word}",
        f"/books?select={name}",
        f"/books?select={name}:id",
        f"/books?select=id::{word}",
        f"/books?select=id,{name}:authors!author_id(name)",
        f"/books?select=facts->{name}",
        f"/books?select=facts->>{word}",
        f"/books?title=eq.{word}",
        f"/books?title=in.({name},{word})",
        f"/books?title=like(any).{word}",
        f"/books?title=fts({word}).x",
        f"/books?title=fts(english).{word}",
        f"/books?id=eq.{word}",
        f"/books?{name}=eq.1",
        f"/books?order={word}",
        f"/books?order={name}.desc",
        f"/books?limit={word}&offset={word}",
        f"/books?or=(title.eq.{name},id.eq.{word})",
        f"/books?or={word}",
        f"/{word}?select=id",
        f"/rpc/{word}?a=1",
        f"/rpc/greet?name={word}",
        f"/rpc/greet?{word}=1",
    ]
    for url in urls:
        answer = await client.get(url)
        assert answer.status_code < 500, (url, answer.text)
        assert "xyzzy" not in answer.text, url
    await _write_hostile(client, text, name)
    assert (await books.psql("select count(*) as n from public.secrets"))[0]["n"] == 1
    assert (await books.psql("select to_regclass('public.plain') is not null as there"))[0]["there"]


async def _write_hostile(client: httpx.AsyncClient, text: str, name: str) -> None:
    asks = [
        ("POST", "/plain", {"note": text}),
        ("POST", "/plain", {text: "x"}),
        ("POST", f"/plain?columns={name}", {text: "x"}),
        ("POST", f"/publishers?on_conflict={name}", {"id": 1, "name": "x"}),
        ("PATCH", f"/plain?note=eq.{quote(text, safe='')}", {"note": text}),
        ("DELETE", f"/plain?{name}=eq.1", None),
        ("POST", "/rpc/greet", {"name": text}),
        ("POST", "/rpc/greet", {text: text}),
        ("POST", "/rpc/fail", {"state": "P0001", "message": text, "detail": text, "hint": text}),
    ]
    headers = {"Prefer": "return=representation, resolution=merge-duplicates, timezone=x'y"}
    for method, url, body in asks:
        for more in ({}, headers):
            answer = await client.request(method, url, json=body, headers=more)
            assert answer.status_code < 500, (method, url, answer.text)
            assert "xyzzy" not in answer.text, url


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.dictionaries(
        st.sampled_from(["select", "order", "or", "id", "title", "limit", "genres.code"]) | WILD,
        WILD,
        max_size=4,
    )
)
async def test_no_query_is_an_internal_error(client: httpx.AsyncClient, parts: dict[str, str]):
    query = "&".join(
        f"{quote(k, safe='', errors='replace')}={quote(v, safe='', errors='replace')}"
        for k, v in parts.items()
    )
    for path in ("/books", "/rpc/books_by"):
        answer = await client.get(f"{path}?{query}")
        assert answer.status_code < 500, (query, answer.text)

"""The REST interface answers as PostgREST does, but for the differences that are listed with their reasons.

`rest_cases/answers.jsonl` was recorded from PostgREST 12.0.2. When that binary can be had here, the record itself
is proven again.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from tests.local.rest_cases.harness import (
    CHANGING,
    Case,
    UnavailableError,
    answer_of,
    ask_all,
    fill,
    library,
    postgrest,
    read_answers,
    read_cases,
    read_differences,
    tokens,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stack import Stack

pytestmark = pytest.mark.slow

CASES = read_cases()
ANSWERS = read_answers()
DIFFERENCES = read_differences()


@pytest_asyncio.fixture(scope="module")
async def books(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with library(tmp_path_factory.mktemp("books")) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module")
async def client(books: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{books.supabase_url}/rest/v1", timeout=20) as client:
        yield client


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_answers_as_postgrest_does(books: Stack, client: httpx.AsyncClient, case: Case):
    answer = await answer_of(client, case, tokens(books), apikey=books.publishable_key)
    if case.ask.startswith(CHANGING):
        await fill(books)
    assert answer == _expected(case)


async def test_the_recorded_answers_are_a_real_postgrests(books: Stack):
    wrong = {}
    try:
        with postgrest(books) as url:
            async for case, answer in ask_all(books, url):
                if answer != ANSWERS[case.name]:
                    wrong[case.name] = answer
    except UnavailableError as error:
        if os.environ.get("VERSO_TEST_REQUIRE_ALL") == "1":
            raise
        pytest.skip(str(error))
    assert wrong == {}


def test_every_request_has_one_answer_and_each_listed_difference_is_one():
    names = Counter(case.name for case in CASES)
    assert [name for name, times in names.items() if times > 1] == []
    assert set(names) == set(ANSWERS)
    assert set(names) >= set(DIFFERENCES)
    for name in DIFFERENCES:
        ours = {key: value for key, value in DIFFERENCES[name].items() if key != "why"}
        assert ours != ANSWERS[name], name
        assert DIFFERENCES[name]["why"]


def _expected(case: Case) -> dict[str, Any]:
    differs = DIFFERENCES.get(case.name)
    if differs is None:
        return ANSWERS[case.name]
    return {key: value for key, value in differs.items() if key != "why"}

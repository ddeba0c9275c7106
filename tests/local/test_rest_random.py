"""Requests that nobody thought of: what a real PostgREST answers with rows, the embedded one answers with the same.

Where several things are wrong at once the two may name another one first, so refusals are compared by the written
cases only.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import Any

import httpx
import pytest

from tests.local.rest_cases.harness import Case, UnavailableError, answer_of, library, postgrest, tokens

pytestmark = pytest.mark.slow

REQUESTS = 400
VALUES = {
    "id": ["1", "2", "4"],
    "author_id": ["1", "2"],
    "pages": ["80", "120"],
    "price": ["10.5", "22"],
    "title": ["Cold rivers", "*rivers*"],
    "mood": ["grim", "calm"],
    "available": ["true"],
    "shelf": ["[1,5)", "[4,8)"],
    "facts": ['{"lang":"en"}', "{}"],
    "published": ["2001-02-03", "2011-01-01"],
    "full_title": ["The critic!"],
    "name": ["Ada Lund", "North", "*o*"],
    "tags": ["{poet}", "{critic,swede}"],
    "born": ["1950-01-02"],
    "city": ["oslo"],
    "code": ["nat", "riv", "978-1"],
    "label": ["Nature", "*s*"],
}
TABLES = {
    "books": [
        "id",
        "title",
        "author_id",
        "pages",
        "price",
        "mood",
        "available",
        "shelf",
        "facts",
        "published",
        "full_title",
    ],
    "authors": ["id", "name", "tags", "born"],
    "publishers": ["id", "name", "city"],
    "genres": ["code", "label"],
    "isbns": ["code"],
}
EMBEDDINGS = {
    "books": {
        "authors!author_id": "authors",
        "publishers": "publishers",
        "publishers!inner": "publishers",
        "genres": "genres",
        "genres!inner": "genres",
        "isbns": "isbns",
    },
    "authors": {"books!author_id": "books", "books!editor_id!inner": "books"},
    "publishers": {"books": "books", "cheapest": "books"},
    "genres": {"books": "books"},
    "isbns": {"books": "books"},
}
PATTERNS = {"title", "name", "code", "label", "full_title"}
CONTAINERS = {"shelf", "tags", "facts"}


class Maker:
    """Makes requests out of a seed; most of them are right."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)

    def case(self) -> Case:
        table = self.pick.choice([*TABLES, "books", "books"])
        select, embedded = self.select(table, depth=0)
        parts = [
            f"select={select}",
            *(f"{'='.join(self.condition(table))}" for _ in range(self.pick.randint(0, 2))),
        ]
        if self.pick.random() < 0.3:
            parts.append(f"{self.pick.choice(['or', 'and', 'not.or'])}={self.tree(table, depth=0)}")
        for name, other in embedded.items():
            if self.pick.random() < 0.4:
                parts.append(f"{name}.{'='.join(self.condition(other))}")
            if self.pick.random() < 0.2:
                parts.append(f"{name}={self.pick.choice(['is.null', 'not.is.null'])}")
        if self.pick.random() < 0.3:
            parts.append(f"order={TABLES[table][0]}&offset={self.pick.randint(0, 2)}")
        headers = {"Prefer": "count=exact"} if self.pick.random() < 0.5 else {}
        return Case(f"GET /{table}?{'&'.join(parts)}", self.pick.choice(["service", "ada", "anon"]), headers)

    def select(self, table: str, *, depth: int) -> tuple[str, dict[str, str]]:
        items = self.pick.sample(TABLES[table], self.pick.randint(1, min(3, len(TABLES[table]))))
        embedded = {}
        if depth < 2 and self.pick.random() < 0.6:
            target = self.pick.choice([*EMBEDDINGS[table]])
            name, other = target.split("!")[0], EMBEDDINGS[table][target]
            items.append(f"{target}({self.select(other, depth=depth + 1)[0]})")
            embedded[name] = other
        return ",".join(items), embedded

    def tree(self, table: str, *, depth: int) -> str:
        members = [".".join(self.condition(table)) for _ in range(self.pick.randint(1, 3))]
        if depth < 2 and self.pick.random() < 0.4:
            members.append(f"not.and{self.tree(table, depth=depth + 1)}")
        return f"({','.join(members)})"

    def condition(self, table: str) -> tuple[str, str]:
        column = self.pick.choice(TABLES[table])
        operators = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "is", "isdistinct"]
        operators += ["like", "ilike", "match", "like(any)"] if column in PATTERNS else []
        operators += ["cs", "cd"] if column in CONTAINERS else []
        operator = self.pick.choice(operators)
        value = self.pick.choice(VALUES[column])
        if operator == "in":
            value = f"({','.join(json.dumps(one) for one in VALUES[column])})"
        elif operator == "is":
            value = "null"
        elif operator == "like(any)":
            value = f"{{{','.join(json.dumps(one) for one in VALUES[column])}}}"
        elif operator == "match":
            value = "^[CA]"
        return column, f"{'not.' if self.pick.random() < 0.2 else ''}{operator}.{value}"


def _unordered(body: Any) -> Any:
    """Rows in any order: the requests ask for none."""
    if isinstance(body, list):
        return sorted((_unordered(one) for one in body), key=lambda one: json.dumps(one, sort_keys=True))
    return {key: _unordered(value) for key, value in body.items()} if isinstance(body, dict) else body


async def test_random_requests_get_the_same_rows(tmp_path_factory: pytest.TempPathFactory):
    maker = Maker(seed=20261122)
    answered, wrong = 0, []
    async with library(tmp_path_factory.mktemp("books")) as stack:
        try:
            with postgrest(stack) as url:
                fresh = httpx.Limits(max_keepalive_connections=0)
                signed = tokens(stack)
                async with (
                    httpx.AsyncClient(base_url=url, timeout=20, limits=fresh) as real,
                    httpx.AsyncClient(base_url=f"{stack.supabase_url}/rest/v1", timeout=20) as ours,
                ):
                    for case in (maker.case() for _ in range(REQUESTS)):
                        mine, theirs = await asyncio.gather(
                            answer_of(ours, case, signed, apikey=stack.publishable_key),
                            answer_of(real, case, signed),
                        )
                        if theirs["status"] >= 300:
                            continue
                        answered += 1
                        if {**mine, "body": _unordered(mine["body"])} != {
                            **theirs,
                            "body": _unordered(theirs["body"]),
                        }:
                            wrong.append((case.name, mine, theirs))
        except UnavailableError as error:
            if os.environ.get("VERSO_TEST_REQUIRE_ALL") == "1":
                raise
            pytest.skip(str(error))
    assert wrong == []
    assert answered > REQUESTS // 2

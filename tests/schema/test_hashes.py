"""The hashes, written twice, and the chain that they make: anyone with the rows can compute it again."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import VersoError
from app.model import (
    ChangeSummary,
    VersionState,
    change_canonical,
    hash_of,
    normal_media_type,
    normal_path,
    version_canonical,
)
from tests.schema.world import put
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from tests.schema.world import Team, World

VECTORS = REPOSITORY / "fixtures" / "hashes"
VERSIONS = json.loads((VECTORS / "versions.json").read_text())
CHANGES = json.loads((VECTORS / "changes.json").read_text())


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


def name(vector: dict[str, Any]) -> str:
    return vector["name"]


@pytest.mark.parametrize("vector", VERSIONS + CHANGES, ids=name)
def test_a_vectors_hash_is_that_of_its_text(vector):
    assert hashlib.sha256(vector["canonical"].encode()).hexdigest() == vector["hash"]
    assert unicodedata.is_normalized("NFC", vector["canonical"])


@pytest.mark.parametrize("vector", VERSIONS, ids=name)
def test_python_writes_a_version_so(vector):
    state = msgspec.convert({**vector["version"], "hash": "?"}, VersionState)
    assert version_canonical(state) == vector["canonical"]
    assert hash_of(version_canonical(state)) == vector["hash"]


@pytest.mark.parametrize("vector", CHANGES, ids=name)
def test_python_writes_a_change_so(vector):
    fields = {
        **vector["change"],
        "author": {"id": vector["change"]["author"]},
        "hash": "?",
        "version_count": 1,
    }
    if "on_behalf_of" in fields:
        fields["on_behalf_of"] = {"id": fields["on_behalf_of"]}
    if "origin" in fields:
        raw = fields["origin"]["raw"].encode()
        fields["origin"] = {
            **fields["origin"],
            "author_name": fields["author_name"],
            "attributed_to": {"id": fields["origin"]["attributed_to"]},
            "sha256": hashlib.sha256(raw).hexdigest(),
            "size": len(raw),
        }
    change = msgspec.convert(fields, ChangeSummary)
    assert change_canonical(change, vector["versions"]) == vector["canonical"]


@pytest.mark.parametrize("vector", VERSIONS, ids=name)
async def test_sql_writes_a_version_so(world, vector):
    row = {
        **vector["version"],
        "project_id": vector["version"]["project"],
        "document_id": vector["version"]["document"],
    }
    canonical, digest = (
        await world.sql(
            """select c, private.hash_of(c)
               from private.version_canonical(jsonb_populate_record(null::public.versions, $1)) c""",
            json.dumps(row),
        )
    )[0]
    assert (canonical, digest) == (vector["canonical"], vector["hash"])


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"])
@pytest.mark.parametrize("vector", CHANGES, ids=name)
async def test_sql_writes_a_change_so_in_every_time_zone(world, vector, zone):
    row = {
        **vector["change"],
        "project_id": vector["change"]["project"],
        "author_id": vector["change"]["author"],
    }
    if "origin" in row:
        origin = row.pop("origin")
        raw = origin["raw"].encode()
        row |= {name: value for name, value in origin.items() if name not in {"id", "raw"}}
        row |= {
            "origin_id": origin["id"],
            "origin_sha256": hashlib.sha256(raw).hexdigest(),
            "origin_size": len(raw),
        }
    async with world.acting("postgres") as conn:
        await conn.execute(f"set local timezone = '{zone}'")
        await conn.execute("set local datestyle = 'German'")
        canonical = await conn.fetchval(
            "select private.change_canonical(jsonb_populate_record(null::public.changes, $1), $2)",
            json.dumps(row),
            vector["versions"],
        )
    assert canonical == vector["canonical"]


@pytest_asyncio.fixture
async def history(world: World, team: Team) -> Team:
    """Every action, every optional field, and names that need care."""
    paths = ["r\u00e9sum\u00e9.md", "\U0001f4dc \U00020bb7/**Intent: a.md", "c/d.md"]
    await world.store(team.id, "one")
    await world.store(team.id, "two")
    made = await world.commit(
        team.editor, team.id, *(put(path, "one") for path in paths), message="a\nversion 1\n"
    )
    heads = made["versions"]
    await world.commit(
        team.owner, team.id, put(paths[0], "two", base=heads[0]["hash"]), message="\u00e9\U0001f4dc"
    )
    gone = await world.commit(
        team.editor,
        team.id,
        {"document": heads[1]["document"], "base": heads[1]["hash"], "delete": True},
        {"document": heads[2]["document"], "base": heads[2]["hash"], "path": "moved/d.md"},
        source="git",
        authored_at="2001-02-03T04:05:06.7+09:30",
    )
    await world.commit(
        team.editor,
        team.id,
        {"document": heads[1]["document"], "base": gone["versions"][0]["hash"], "restore": 1},
    )
    agent = await world.person("agent", app_metadata={"verso_agent": "planner \u00b7 1"})
    await world.rpc(team.owner, "set_member", project=team.id, person=agent.handle, role="editor")
    await world.write(agent, team.id, "by-agent.md", "three")
    return team


async def changes_of(world: World, team: Team) -> list[dict[str, Any]]:
    count = await world.one("select change_sequence from public.projects where id = $1", team.id)
    return [
        await world.rpc(team.reader, "read_change", project=team.id, sequence=number)
        for number in range(1, count + 1)
    ]


async def test_the_whole_history_can_be_computed_again_from_what_a_reader_sees(world, history):
    previous = None
    parents: dict[str, str] = {}
    for number, row in enumerate(await changes_of(world, history), 1):
        summary = msgspec.convert(row, ChangeSummary, strict=False)
        assert (summary.sequence, summary.previous) == (number, previous)
        hashes = []
        for each in row["versions"]:
            version = msgspec.convert(each, VersionState, strict=False)
            assert version.parent == parents.get(version.document)
            assert hash_of(version_canonical(version)) == version.hash
            parents[version.document] = version.hash
            hashes.append(version.hash)
        assert hash_of(change_canonical(summary, hashes)) == summary.hash
        previous = summary.hash
    assert previous == await world.one("select change_hash from public.projects where id = $1", history.id)


async def test_the_tree_follows_from_the_versions_alone(world, history):
    live: dict[str, str] = {}
    where: dict[str, str] = {}
    for row in await changes_of(world, history):
        for each in row["versions"]:
            live.pop(where.pop(each["document"], ""), None)
        for each in row["versions"]:
            if each["action"] != "delete":
                live[each["path"]] = each["hash"]
                where[each["document"]] = each["path"]
        answer = await world.rpc(history.reader, "list_tree", project=history.id, at=str(row["sequence"]))
        assert {entry["path"]: entry["version"] for entry in answer["entries"]} == live


async def test_an_agents_name_comes_from_what_the_operator_says_of_its_account(world, history):
    last = (await changes_of(world, history))[-1]
    assert (last["actor"], last["agent"]) == ("agent", "planner \u00b7 1")


async def test_committed_times_never_go_back(world, team):
    first = await world.write(team.editor, team.id, "a.md", "one")
    ahead = "2999-01-01T00:00:00+00:00"
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute(
            "set local session_replication_role = replica"
        )  # a clock that was wrong for a while
        await conn.execute(
            "update public.changes set committed_at = $2::text::timestamptz where project_id = $1",
            team.id,
            ahead,
        )
    second = await world.write(team.editor, team.id, "a.md", "two", base=first["hash"])
    assert second["change"]["committed_at"] == ahead


# Paths and media types: the same rules in SQL and in Python --------------------------------------------------

SEGMENT = st.one_of(
    st.sampled_from(
        [
            "",
            ".",
            "..",
            "...",
            "a",
            "**Intent",
            " ",
            "a:b",
            "\u00e9",
            "e\u0301",
            "\u212b",
            "\U0001f4dc",
            "\x7f",
        ]
    ),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=6),
)
PATHS = st.one_of(
    st.lists(SEGMENT, max_size=5).map("/".join),
    st.integers(1018, 1028).map("a".__mul__),
    st.integers(508, 515).map("\u00e9".__mul__),
    st.integers(253, 258).map("\U0001f4dc".__mul__),
)
SOME = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


async def rules(world: World, *names: str) -> str:
    """The expressions of check constraints, all of them, with `t` for the value."""
    rows = await world.sql(
        "select pg_get_constraintdef(oid) as rule from pg_constraint where conname = any ($1)", list(names)
    )
    assert len(rows) == len(names)
    return " and ".join(
        re.sub(r"\b(VALUE|media_type)\b", "t", row["rule"].removeprefix("CHECK ")) for row in rows
    )


@SOME
@given(paths=st.lists(PATHS, min_size=20, max_size=40))
async def test_python_and_sql_take_the_same_paths(world, paths):
    names = [f"document_path_{rule}" for rule in ("length", "nfc", "control", "segments")]
    rows = await world.sql(
        f"""select t, private.path_problem(t) is null as plan, ({await rules(world, *names)}) as domain
            from unnest($1::text[]) t""",
        paths,
    )
    for row in rows:
        try:
            normal = normal_path(row["t"])
        except VersoError:
            normal = None
        taken = normal == row["t"]  # SQL takes only what is normal already
        assert (row["plan"], row["domain"]) == (taken, taken), row["t"]


MEDIA_TYPES = st.one_of(
    st.lists(st.sampled_from([*"aZ9 ;=/.+-*\n\u00e9", "text", "/", "; charset=", "utf-8"]), max_size=7).map(
        "".join
    ),
    st.integers(190, 210).map(lambda length: "a/" + "b" * (length - 2)),
)


@SOME
@given(texts=st.lists(MEDIA_TYPES, min_size=20, max_size=40))
async def test_python_and_sql_take_the_same_media_types(world, texts):
    rule = await rules(world, "versions_media_type_form")
    for row in await world.sql(f"select t, ({rule}) as taken from unnest($1::text[]) t", texts):
        try:
            normal = normal_media_type(row["t"])
        except VersoError:
            normal = None
        assert row["taken"] == (normal == row["t"]), row["t"]

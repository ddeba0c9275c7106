"""What the database holds an attribution and a text to, whoever brings them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.schema.world import put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Person, Team, World


def item(version: dict[str, Any], *runs: int, **more: Any) -> dict[str, Any]:
    return {"version": version["hash"], "runs": list(runs), **more}


async def keep(world: World, person: Person, *items: dict[str, Any]) -> int:
    return int((await world.rpc(person, "store_attributions", items=list(items)))["stored"])


@pytest.fixture
def world(each_world: World) -> World:
    return each_world


async def history(world: World, team: Team) -> list[dict[str, Any]]:
    """Three lines; the second changed by the owner; a fourth added by the editor."""
    one = await world.write(team.editor, team.id, "a.md", "1\n2\n3\n")
    two = await world.write(team.owner, team.id, "a.md", "1\ntwo\n3\n", base=one["hash"])
    three = await world.write(team.editor, team.id, "a.md", "1\ntwo\n3\n4\n", base=two["hash"])
    return [one, two, three]


async def test_what_is_kept_is_answered(world, team):
    one, two, three = await history(world, team)
    assert await keep(world, team.editor, item(one, 1, 1, 3, added=3, removed=0)) == 1
    assert await keep(world, team.owner, item(two, 1, 1, 1, 2, 2, 1, 1, 3, 1, added=1, removed=1)) == 1
    assert await keep(world, team.editor, item(three, 2, 1, 3, 3, 4, 1)) == 1
    said = await world.rpc(team.reader, "read_blame", document=one["document"], first_line=2, last_line=3)
    assert (said["lines"], said["runs"]) == (4, [[2, 2, 2, 1], [3, 1, 3, 1]])
    assert [origin["number"] for origin in said["origins"]] == [1, 2]
    assert said["origins"][1]["author"]["id"] == team.owner.id
    change = await world.rpc(team.reader, "read_change", project=team.id, sequence=2)
    assert change["diffstat"] == {
        "added": 1,
        "removed": 1,
        "unknown": 0,
        "versions": [{"version": two["hash"], "lines": 3, "added": 1, "removed": 1}],
    }
    log = await world.rpc(team.reader, "list_changes", project=team.id)
    assert [each["diffstat"] for each in log] == [
        {"added": None, "removed": None, "unknown": 1},
        {"added": 1, "removed": 1, "unknown": 0},
        {"added": 3, "removed": 0, "unknown": 0},
    ]


async def test_a_diffstat_knows_deletes_and_moves_and_sums_what_is_kept(world, team):
    one = await world.write(team.editor, team.id, "a.md", "1\n2\n3\n")
    two = await world.write(team.editor, team.id, "b.md", "1\n2\n")
    await keep(world, team.editor, item(two, 1, 1, 2, added=2, removed=0))
    await world.store(team.id, b"new\n")
    await world.commit(
        team.editor,
        team.id,
        {"document": one["document"], "base": one["hash"], "path": "c.md"},
        {"document": two["document"], "base": two["hash"], "delete": True},
        put("d.md", b"new\n"),
    )
    stat = (await world.rpc(team.reader, "read_change", project=team.id, sequence=3))["diffstat"]
    counts = [(each["lines"], each["added"], each["removed"]) for each in stat["versions"]]
    assert counts == [(None, 0, 0), (0, 0, 2), (None, None, None)]
    assert (stat["added"], stat["removed"], stat["unknown"]) == (0, 2, 1)


async def test_the_log_sums_small_changes_only(world, team):
    for count in (20, 21):
        items = [put(f"{count}/{n}.md", f"{count} {n}\n") for n in range(count)]
        for each in range(count):
            await world.store(team.id, f"{count} {each}\n".encode())
        await world.commit(team.editor, team.id, *items)
    log = await world.rpc(team.reader, "list_changes", project=team.id)
    assert [each["diffstat"] for each in log] == [None, {"added": None, "removed": None, "unknown": 20}]


async def test_the_first_word_stays(world, team):
    one, _, _ = await history(world, team)
    await keep(world, team.editor, item(one, 1, 1, 3))
    assert await keep(world, team.editor, item(one, 1, 1, 2)) == 0
    said = await world.rpc(team.reader, "read_blame", document=one["document"], at="v1")
    assert said["lines"] == 3


@pytest.mark.parametrize(
    "runs",
    [
        [2],
        [2, 1, 0],
        [2, 0, 3],
        [0, 1, 3],
        [4, 1, 1],
        [3, 2, 4],
        [2, 1, 9],
        [2, 1, 2_000_000_000, 2, 1, 2_000_000_000],
        [2, 1, 2_147_483_647, 2, 1, 2_147_483_647, 2, 1, 2_147_483_647],
        [],
        [None, 1, 1],
        ["x", 1, 1],
        [[2, 1, 1]],
        [2.5, 1, 1],
        [1, 1, 1, 3, 2, 3],  # it was made from version 2 alone
        [2, 1, 4],  # version 2 has three lines
        [2, 1, 1, 2, 1, 1],  # each line is handed on once
        [2, 2, 1, 2, 1, 1],  # and in order
    ],
    ids=str,
)
async def test_runs_that_cannot_be_are_refused(world, team, runs):
    one, two, three = await history(world, team)
    await keep(world, team.editor, item(one, 1, 1, 3))
    await keep(world, team.owner, item(two, 1, 1, 1, 2, 2, 1, 1, 3, 1))
    refusal = await refused(
        world.rpc(team.editor, "store_attributions", items=[{"version": three["hash"], "runs": runs}])
    )
    assert (refusal.status, refusal.code) == (422, "bad_attribution")
    said = await world.rpc(team.reader, "read_blame", document=one["document"])
    assert said["runs"] is None


@pytest.mark.parametrize(
    "counts", [{"added": 1}, {"added": 9, "removed": 0}, {"added": 1, "removed": 3}], ids=str
)
async def test_counts_that_do_not_fit_the_version_before_are_refused(world, team, counts):
    one, two, _ = await history(world, team)
    await keep(world, team.editor, item(one, 1, 1, 3))
    refusal = await refused(keep(world, team.owner, item(two, 1, 1, 1, 2, 2, 1, 1, 3, 1, **counts)))
    assert refusal.code == "bad_attribution"


async def test_a_delete_has_none(world, team):
    one = await world.write(team.editor, team.id, "a.md", "1\n")
    gone = await world.commit(team.editor, team.id, {"path": "a.md", "base": one["hash"], "delete": True})
    refusal = await refused(keep(world, team.editor, item(gone["versions"][0])))
    assert refusal.code == "bad_attribution"


async def test_only_its_author_says_who_wrote_a_versions_lines(world, team):
    one, _, _ = await history(world, team)
    for person in (team.owner, team.reviewer, team.reader, team.outsider):
        refusal = await refused(keep(world, person, item(one, 1, 1, 3)))
        assert (refusal.status, refusal.code) == (404, "version_not_found")


async def test_an_author_who_left_says_nothing_more(world, team):
    one, _, _ = await history(world, team)
    await world.rpc(team.owner, "remove_member", project=team.id, person=team.editor.handle)
    assert (await refused(keep(world, team.editor, item(one, 1, 1, 3)))).code == "version_not_found"


async def test_an_author_whose_account_ended_says_nothing_more(world, team):
    one = await world.write(team.editor, team.id, "a.md", "1\n2\n3\n")
    await world.sql(
        "update auth.users set deleted_at = now() where id = $1", team.editor.id, role="supabase_auth_admin"
    )
    assert (await refused(keep(world, team.editor, item(one, 1, 1, 3)))).code == "version_not_found"


async def test_a_torn_text_of_many_lines_takes_no_time(world, team):
    count = 20_000
    plain = "".join(f"{n}\n" for n in range(count))
    one = await world.write(team.editor, team.id, "a.md", plain)
    torn = "".join(f"{n}\n" if n % 2 else f"{n}!\n" for n in range(count))
    two = await world.write(team.editor, team.id, "a.md", torn, base=one["hash"])
    runs = [number for n in range(count) for number in (1 if n % 2 else 2, n + 1, 1)]
    assert await keep(world, team.editor, item(one, 1, 1, count), item(two, *runs)) == 2
    async with world.as_person(team.reader) as conn:
        # Run by run it took more than a minute; PostgreSQL ends a person's statements after 8 s.
        await conn.execute("set local statement_timeout = '8s'")
        said = await world.rpc_on(conn, "read_blame", document=one["document"], first_line=3, last_line=4)
    assert (said["lines"], said["runs"]) == (count, [[3, 2, 3, 1], [4, 1, 4, 1]])


async def test_a_walk_back_ends_at_the_nearest_that_is_kept(world, team):
    one, two, _ = await history(world, team)
    await keep(world, team.owner, item(two, 2, 1, 3))
    rows = await world.rpc(team.reader, "list_attributions", document=one["document"], upto=3)
    assert [(row["number"], row["runs"]) for row in rows] == [(3, None), (2, [2, 1, 3]), (1, None)]
    rows = await world.rpc(
        team.reader, "list_attributions", document=one["document"], upto=3, ignore_kept=True
    )
    assert [(row["number"], row["runs"]) for row in rows] == [(3, None), (2, None), (1, None)]


async def long_history(world: World, team: Team, versions: int) -> tuple[str, list[dict[str, Any]]]:
    """Each version adds a line at the end; what each came from, ready to be kept."""
    items: list[dict[str, Any]] = []
    base: dict[str, Any] = {}
    for number in range(1, versions + 1):
        body = "".join(f"{line}\n" for line in range(number))
        base = await world.write(team.editor, team.id, "a.md", body, base=base.get("hash"))
        before = [number - 1, 1, number - 1] if number > 1 else []
        items.append(item(base, *before, number, number, 1, added=1, removed=0))
    return base["document"], items


async def test_a_walk_back_ends_where_the_database_has_settled_it(world, team):
    document, items = await long_history(world, team, 35)
    assert await keep(world, team.editor, *items) == 35
    rows = await world.rpc(team.reader, "list_attributions", document=document, upto=35)
    assert [row["number"] for row in rows] == [35, 34, 33, 32]
    written = [number for line in range(1, 33) for number in (line, line, 1)]
    assert [row["settled"] for row in rows] == [None, None, None, written]
    said = await world.rpc(team.reader, "read_blame", document=document, first_line=31)
    assert (said["lines"], said["runs"]) == (35, [[line, line, line, 1] for line in range(31, 36)])
    assert [origin["number"] for origin in said["origins"]] == [31, 32, 33, 34, 35]


async def test_a_gap_is_told_and_settles_nothing(world, team):
    document, items = await long_history(world, team, 33)
    assert await keep(world, team.editor, *items[:10], *items[11:]) == 32
    assert (await world.rpc(team.reader, "read_blame", document=document))["runs"] is None
    assert (
        await world.one("select count(*) from public.settled_attributions where project_id = $1", team.id)
        == 0
    )
    assert await keep(world, team.editor, items[10]) == 1
    said = await world.rpc(team.reader, "read_blame", document=document)
    assert said["runs"] == [[line, line, line, 1] for line in range(1, 34)]


async def test_a_merge_hands_on_lines_of_both(world, team):
    one = await world.write(team.editor, team.id, "a.md", "1\n2\n3\n")
    two = await world.write(team.owner, team.id, "a.md", "1\n3\n", base=one["hash"])
    await world.store(team.id, b"1\n2\n3\n4\n")
    merged = put("a.md", b"1\n2\n3\n4\n", base=two["hash"]) | {"merged_from": one["hash"]}
    three = (await world.commit(team.editor, team.id, merged))["versions"][0]
    await keep(world, team.editor, item(one, 1, 1, 3))
    await keep(world, team.owner, item(two, 1, 1, 1, 1, 3, 1))
    await keep(world, team.editor, item(three, 2, 1, 1, 1, 2, 1, 2, 2, 1, 3, 4, 1))
    said = await world.rpc(team.reader, "read_blame", document=one["document"])
    assert said["runs"] == [[1, 1, 1, 3], [4, 3, 4, 1]]


@pytest.mark.parametrize(
    "what",
    [
        "update public.settled_attributions set runs = '{}'",
        "delete from public.settled_attributions",
        "truncate public.settled_attributions",
    ],
)
async def test_what_is_settled_never_changes(world, team, what):
    _, items = await long_history(world, team, 32)
    await keep(world, team.editor, *items)
    assert (await refused(world.sql(what))).code == "immutable"


# Texts -------------------------------------------------------------------------------------------


async def test_a_text_is_what_its_hash_says(world, team):
    await world.write(team.editor, team.id, "a.md", "apple\n")
    for body in ("pear\n", "apple", "x" * 524_289, 7, None):
        lie = [{"sha256": sha256(b"apple\n"), "body": body}]
        refusal = await refused(world.rpc(team.editor, "store_texts", project=team.id, items=lie))
        assert (refusal.status, refusal.code) == (422, "bad_text")
    with pytest.raises(asyncpg.CheckViolationError):
        await world.sql(
            "insert into public.texts (project_id, sha256, body) values ($1, $2, 'pear')",
            team.id,
            sha256(b"apple\n"),
        )


async def test_any_member_may_bring_a_text_and_nobody_else(world, team):
    await world.write(team.editor, team.id, "a.md", "apple\n")
    texts = [{"sha256": sha256(b"apple\n"), "body": "apple\n"}]
    refusal = await refused(world.rpc(team.outsider, "store_texts", project=team.id, items=texts))
    assert refusal.code == "project_not_found"
    assert (await world.rpc(team.reader, "store_texts", project=team.id, items=texts))["stored"] == 1
    found = await world.rpc(team.reader, "search", project=team.id, query="apples")
    assert [each["version"]["path"] for each in found["items"]] == ["a.md"]
    assert found["missing"] == {}


async def test_a_text_that_no_version_has_is_not_taken(world, team):
    texts = [{"sha256": sha256(b"pear\n"), "body": "pear\n"}]
    assert (await world.rpc(team.editor, "store_texts", project=team.id, items=texts))["stored"] == 0


@pytest.mark.parametrize(
    "what",
    ["update public.texts set body = body", "delete from public.texts", "truncate public.texts cascade"],
)
async def test_texts_never_change(world, team, what):
    await world.write(team.editor, team.id, "a.md", "apple\n")
    texts = [{"sha256": sha256(b"apple\n"), "body": "apple\n"}]
    await world.rpc(team.reader, "store_texts", project=team.id, items=texts)
    refusal = await refused(world.sql(what))
    assert refusal.code == "immutable"


async def test_more_words_than_an_index_entry_takes(world, team):
    """Addresses count as three words each: the text is kept, and told as too large to be searched."""
    signs = "0123456789abcdefghijklmnopqrstuvwxyz"
    names = [a + b + c for a in signs for b in signs for c in signs][:40_000]
    body = " ".join(f"{name}.com/{name}" for name in names)
    await world.write(team.editor, team.id, "a.md", body)
    texts = [{"sha256": sha256(body.encode()), "body": body}]
    assert (await world.rpc(team.reader, "store_texts", project=team.id, items=texts))["stored"] == 1
    found = await world.rpc(team.reader, "search", project=team.id, query="apple")
    assert found["missing"] == {"too_large": 1}


async def pages_read(world: World, person: Person, sql: str, *args: Any) -> int:
    """How many pages one statement touched, once its plans and caches are warm."""
    async with world.as_person(person) as conn:
        for _ in range(3):
            await conn.fetch(sql, *args)
        rows = await conn.fetch(f"explain (analyze, buffers, format json) {sql}", *args)
    plan = json.loads(rows[0][0])[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_searching_the_latest_costs_the_same_after_a_long_history(world, team):
    base = None
    costs = []
    for number in range(1, 121):
        body = f"apple pie {number}\n" * 20
        version = await world.write(team.editor, team.id, "a.md", body, base=base)
        base = version["hash"]
        texts = [{"sha256": version["sha256"], "body": body}]
        await world.rpc(
            team.editor, "store_texts", project=team.id, items=texts, documents=f"{{{version['document']}}}"
        )
        if number in {5, 120}:
            await world.sql(
                "select gin_clean_pending_list('public.head_texts_tsv_idx')", role="supabase_admin"
            )
            costs.append(
                await pages_read(
                    world, team.reader, "select public.search(project => $1, query => 'apple')", team.id
                )
            )
    assert costs[1] <= costs[0] + 40, costs

"""The difference of two trees says the same whichever way it is found: document by document, or from path to path."""

from __future__ import annotations

import json
import random

from tests.schema.world import put

FEW = "few constant integer := case when prefix = '' then 20000 else 1000 end"
PATHS = [f"{folder}{name}.md" for folder in ("", "a/", "a b/", "b/") for name in ("a", "b", "c d", "c!")]


async def wander(world, team, *, changes):
    """A random history: documents come, change, move (also into others' places) and go."""
    chance = random.Random(20261123)
    contents = [b"one", b"two", b"three"]
    for content in contents:
        await world.store(team.id, content)
    for _ in range(changes):
        here = {
            each["path"]: each
            for each in (await world.rpc(team.editor, "list_tree", project=team.id))["entries"]
        }
        path, content = chance.choice(PATHS), chance.choice(contents)
        if path not in here:
            item = put(path, content)
        else:
            entry = here[path]
            item = {"document": entry["document"], "base": entry["version"]}
            free = [each for each in PATHS if each not in here]
            match chance.choice(("edit", "delete", "move", "move")):
                case "edit":
                    item = put(path, content, base=entry["version"])
                case "delete":
                    item["delete"] = True
                case _:
                    item["path"] = chance.choice(free)
        await world.commit(team.editor, team.id, item)


async def compared(conn, world, team, *, points, prefix, size):
    """All pages, as (place, what was, what is)."""
    found, after = [], None
    while True:
        page = await world.rpc_on(
            conn,
            "compare_trees",
            project=team.id,
            from_point=points[0],
            to_point=points[1],
            prefix=prefix,
            after=after,
            page_size=size,
        )
        found += [
            (pair["place"], *(side and side["version"] for side in (pair["from"], pair["to"])))
            for pair in page["pairs"]
        ]
        if len(page["pairs"]) < size:
            return found
        after = found[-1][0]


async def test_both_ways_say_the_same(world):
    team = await world.team()
    await wander(world, team, changes=40)
    definition = await world.one("select pg_get_functiondef('private.tree_pairs'::regproc)")
    assert FEW in definition
    asked = [
        ((older, newer), prefix)
        for older, newer in (("0", None), ("7", "31"), ("33", "12"), ("20", "35"))
        for prefix in ("", "a", "b/")
    ]
    answers = []
    for few in (20000, -1):
        async with world.acting("postgres") as conn:
            await conn.execute(definition.replace(FEW, f"few constant integer := {few}"))
            await conn.execute("set local role authenticated")
            await conn.execute(
                "select set_config('request.jwt.claims', $1, true)", json.dumps(team.reader.claims)
            )
            answers.append(
                [
                    await compared(conn, world, team, points=points, prefix=prefix, size=2)
                    for points, prefix in asked
                ]
            )
            await conn.execute("reset role")
            await conn.execute(definition)
    assert answers[0] == answers[1]
    for (points, prefix), pairs in zip(asked, answers[0], strict=True):
        trees = [
            {
                each["document"]: each
                for each in (await world.rpc(team.reader, "list_tree", project=team.id, at=point))["entries"]
            }
            for point in points
        ]
        differing = {
            document
            for document in trees[0].keys() | trees[1].keys()
            if any(
                tree.get(document, {}).get("path", "").startswith(prefix) and document in tree
                for tree in trees
            )
            and len(
                {(tree.get(document, {}).get("path"), tree.get(document, {}).get("sha256")) for tree in trees}
            )
            > 1
        }
        assert {(was or now)["document"] for _, was, now in pairs} == differing, (points, prefix)
        assert len(pairs) == len(differing)
    assert any(answers[0])

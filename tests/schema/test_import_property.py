"""Random Git histories, linearised as an importer does it: after each commit the tree is that commit's.

The model knows nothing of documents: a tree is paths with contents and modes. What changed from one commit to
the next in the order is told in random ways: as content, as what an earlier commit had, as a move or as a delete
and an add, as a merge.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.schema.test_imports import commit, id_of, load, tree
from tests.schema.world import put, sha256

if TYPE_CHECKING:
    from tests.schema.world import World

PATHS = ("a", "b", "c", "d", "d/x", "d/y", "e/f/g")
CONTENTS = tuple(f"content {n}" for n in range(6))
MODES = (None, None, None, "100755", "120000")
HISTORIES = 12
COMMITS = 25

Tree = dict[str, tuple[str, str | None]]
"""Path to content and mode."""


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


def fits(here: Tree, path: str) -> bool:
    return not any(
        (other != path and f"{other}/".startswith(f"{path}/"))
        or (f"{path}/".startswith(f"{other}/") and other != path)
        for other in here
    )


def grown(dice: random.Random, parents: list[Tree]) -> Tree:
    """A tree made from its parents' by a few edits, adds, deletes and renames."""
    made = dict(parents[0])
    for other in parents[1:]:
        for path, state in other.items():
            if dice.random() < 0.5 and fits(made, path):
                made[path] = state
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        path = dice.choice(PATHS)
        act = dice.random()
        if act < 0.25:
            made.pop(path, None)
        elif act < 0.5 and path in made:
            other = dice.choice(PATHS)
            state = made.pop(path)
            if other in made:  # two names cross
                made[path], made[other] = made[other], state
            else:
                made[other if fits(made, other) else path] = state
        elif fits(made, path):
            made[path] = (dice.choice(CONTENTS), dice.choice(MODES))
    return made


def history(dice: random.Random) -> list[tuple[list[int], Tree]]:
    """Commits in a topological order: each with its parents' numbers and its tree."""
    commits: list[tuple[list[int], Tree]] = [([], grown(dice, [{}]))]
    while len(commits) < COMMITS:
        count = dice.choice((1, 1, 1, 2, 3))
        parents = dice.sample(range(max(0, len(commits) - 6), len(commits)), min(count, len(commits), 6))
        commits.append((parents, grown(dice, [commits[each][1] for each in parents])))
    return commits


def told(
    dice: random.Random, before: Tree, trees: list[Tree], wanted: Tree, parents: list[int]
) -> list[dict[str, Any]]:
    """Items that turn one tree into another, each in one of the ways in which it can be said."""
    items: list[dict[str, Any]] = []
    gone = [path for path in before if path not in wanted]
    dice.shuffle(gone)
    if dice.random() < 0.3:  # a path that stays may be said to have moved elsewhere as well
        gone += [path for path in before if path in wanted and before[path] != wanted[path]]
    moved: set[str] = set()
    changed = [path for path in wanted if before.get(path) != wanted[path]]
    dice.shuffle(changed)
    for path in changed:
        content, mode = wanted[path]
        item: dict[str, Any] = {"path": path}
        sources = [each for each in gone if each != path and each not in moved]
        over = path in before and path not in moved  # what is there has to go, or nothing can come
        if sources and dice.random() < (0.2 if over else 0.5):
            item["from"] = sources[0]
            moved.add(sources[0])
            if over:
                items.append({"path": path, "delete": True})
                gone = [each for each in gone if each != path]
        had = [number for number, each in enumerate(trees) if each.get(path) == wanted[path]]
        was = before.get(item.get("from", path))
        if had and dice.random() < 0.7:
            item["take"] = id_of(dice.choice(had))
        elif (
            was is not None
            and was[0] == content
            and "from" not in item
            and path not in gone
            and dice.random() < 0.5
        ):
            item["mode"] = mode or "100644"
        elif was is not None and was == wanted[path] and "from" in item and dice.random() < 0.5:
            pass
        else:
            item |= put(path, content, mode=mode or "100644")
            if parents and dice.random() < 0.5:
                item["merge"] = id_of(dice.choice(parents))
        items.append(item)
    # What a move left and nothing took is gone by that; the rest is deleted.
    items += [{"path": path, "delete": True} for path in gone if path not in moved and path not in wanted]
    dice.shuffle(items)
    return items


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_the_tree_at_every_commit_is_that_commits(world, seed):
    dice = random.Random(seed)
    team = await world.team()
    for content in CONTENTS:
        await world.store(team.id, content)
    trees: list[Tree] = []
    batch: list[dict[str, Any]] = []
    after = None
    for number, (parents, wanted) in enumerate(history(dice)):
        batch.append(commit(number, *told(dice, trees[-1] if trees else {}, trees, wanted, parents)))
        trees.append(wanted)
        if dice.random() < 0.3 or number == COMMITS - 1:
            after = (await load(world, team, *batch, after=after))[-1]["hash"]
            batch = []
    for number, wanted in enumerate(trees):
        expected = {path: (sha256(content.encode()), mode) for path, (content, mode) in wanted.items()}
        assert await tree(world, team, id_of(number)) == expected, number

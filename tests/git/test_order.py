"""Commits in one line, and dates that never go back."""

from __future__ import annotations

import itertools
import random
import subprocess
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from app.git.read.order import ancestors, line_of, steady_times
from tests.git.reading import read

if TYPE_CHECKING:
    from tests.git.making import Maker

DAGS = st.lists(st.lists(st.integers(0, 40), max_size=3), min_size=1, max_size=40)


def parents_in(dag: list[list[int]]) -> dict[str, list[str]]:
    """A graph in which each node has some of those before it for parents."""
    return {
        str(number): list(dict.fromkeys(str(parent % number) for parent in parents)) if number else []
        for number, parents in enumerate(dag)
    }


@given(DAGS)
def test_parents_come_before_their_children_and_every_ancestor_comes_once(dag):
    parents = parents_in(dag)
    tip = str(len(dag) - 1)
    line = line_of(tip, parents.__getitem__)
    assert len(line) == len(set(line))
    assert set(line) == ancestors([tip], parents.__getitem__)
    at = {commit: position for position, commit in enumerate(line)}
    assert all(at[parent] < at[commit] for commit in line for parent in parents[commit])


@given(DAGS, st.integers(0, 40))
def test_the_rest_of_a_line_is_the_same_wherever_one_stopped(dag, stop):
    parents = parents_in(dag)
    line = line_of(str(len(dag) - 1), parents.__getitem__)
    assert line_of(line[-1], parents.__getitem__, done=line[:stop]) == line[stop:]


def test_in_a_straight_line_and_with_branches_the_order_keeps_each_branch_in_one_piece(git: Maker):
    base = git.commit({"a": b"0"}, at=100)
    main = [base]
    side = [base]
    for at in range(200, 800, 100):
        main.append(git.commit({"a": b"%d" % at}, main[-1], at=at))
        side.append(git.commit({"b": b"%d" % at}, side[-1], at=at + 50))
    merge = git.commit({}, main[-1], side[-1], at=900)
    assert read(git.path).line().commits == [*main, *side[1:], merge]


def test_no_order_of_git_goes_to_and_fro_less_often(git: Maker):
    """What an order costs is how often a commit isn't followed by its child."""
    chance = random.Random(5)
    tips = [git.commit({"base": b""})]
    made = set(tips)
    for number in range(150):
        parents = chance.sample(tips, 2) if len(tips) > 5 else [chance.choice(tips)]
        tips = [tip for tip in tips if len(parents) == 1 or tip not in parents]
        tips.append(git.commit({"at": b"%d" % number}, *parents))
        made.add(tips[-1])
    made.add(git.commit({}, *tips))

    def steps(line: list[str]) -> int:
        opened = read(git.path).repository
        return sum(one not in opened.parents(other) for one, other in itertools.pairwise(line))

    def by_git(order: str) -> list[str]:
        command = ["git", "-C", str(git.path), "rev-list", order, "--reverse", "main"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    ours = read(git.path).line().commits
    assert set(ours) == made
    assert steps(ours) <= steps(by_git("--topo-order")) + 2
    assert steps(ours) < steps(by_git("--date-order"))


@given(st.lists(st.integers(0, 12), max_size=9))
def test_as_few_dates_as_possible_are_moved_and_none_goes_back(times):
    steady = steady_times(times, latest=10)
    assert steady == sorted(steady)
    assert all(each <= 10 for each in steady)
    kept = max(
        (
            len(chosen)
            for size in range(len(times) + 1)
            for chosen in itertools.combinations(times, size)
            if list(chosen) == sorted(chosen) and all(each <= 10 for each in chosen)
        ),
        default=0,
    )
    assert sum(one == other for one, other in zip(times, steady, strict=True)) >= kept

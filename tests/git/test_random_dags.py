"""Any history at all: after each commit's items, the paths are its tree's."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from app.git.read.history import Past
from tests.git.documents import Documents
from tests.git.making import Maker
from tests.git.random_history import make_history
from tests.git.reading import plan, read


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), commits=st.integers(1, 40), first_parent=st.booleans(), skip=st.booleans())
def test_every_tree_of_a_random_history_comes_out(seed, commits, first_parent, skip):
    with tempfile.TemporaryDirectory() as folder:
        git = Maker(Path(folder) / "r.git")
        made = make_history(git, random.Random(seed), commits)
        plans = plan(read(git.path, first_parent=first_parent, skip_empty=skip))
        if not first_parent and not skip:
            assert {each.commit.id for each in plans} == set(made)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), commits=st.integers(2, 30), share=st.floats(0, 1), skip=st.booleans())
def test_a_run_that_goes_on_plans_what_it_would_have_planned(seed, commits, share, skip):
    with tempfile.TemporaryDirectory() as folder:
        git = Maker(Path(folder) / "r.git")
        make_history(git, random.Random(seed), commits)
        whole = plan(read(git.path, skip_empty=skip))
        done = [each.commit.id for each in whole[: int(share * len(whole))]]
        first = read(git.path, skip_empty=skip)
        stopped = first.line()
        line = read(git.path, skip_empty=skip).line(done)
        states: dict[str, dict[str, str]] = {}
        documents = Documents()
        for planned in first.plans(stopped):
            if len(states) == len(done):
                break
            documents.write(planned, first)
            states[planned.commit.id] = documents.paths()
        past = (
            Past(documents=states, deleted=documents.deleted(), births=documents.births()) if done else None
        )
        rest = list(read(git.path, skip_empty=skip).plans(line, past))
        assert [each.commit.id for each in rest] == [each.commit.id for each in whole[len(done) :]]
        assert [each.items for each in rest] == [each.items for each in whole[len(done) :]]
        assert [each.committed_at for each in rest] == [each.committed_at for each in whole[len(done) :]]

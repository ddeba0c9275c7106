"""Which document a path is doesn't depend on what is ahead in the line, and blame crosses every switch."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from app.git.read.order import ancestors
from tests.git.making import Maker
from tests.git.reading import plan, read
from tests.git.told_lines import Lines, Story


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), commits=st.integers(2, 30))
def test_every_line_is_whose_it_is_and_every_document_its_first_parents(seed, commits):
    with tempfile.TemporaryDirectory() as folder:
        git = Maker(Path(folder) / "r.git")
        story = Story(git, random.Random(seed), commits)
        history = read(git.path)
        plan(history)
        history = read(git.path)
        lines = Lines(history)
        after: dict[str, dict[str, str]] = {}
        for planned in history.plans(history.line()):
            who = lines.write(planned, history)
            now = after[planned.commit.id] = lines.documents.paths()
            for path, wrote in who.items():
                assert [line.split(" ")[0] for line in wrote] == list(wrote.values()), path
            state = story.states[planned.commit.id]
            before = {each: (story.states[each], after[each]) for each in planned.commit.parents}
            for path, (file, _) in state.items():
                known = {
                    documents[where]
                    for held, documents in before.values()
                    for where, (other, _) in held.items()
                    if other == file
                }
                # What its own history had at this path and deleted is the same document again.
                birth = lines.documents.births()[now[path]][0]
                assert (
                    now[path] in known
                    if known
                    else birth in ancestors([planned.commit.id], history.repository.parents)
                ), path

"""The documents that a plan counts on are those that the server's ledger makes: in any history, at each commit."""

from __future__ import annotations

import random

import pytest

from app.client.import_git import Server, import_into
from app.git.read.history import _Reading
from app.git.read.objects import moment_of
from app.sources.git.past import Replay, whole_history
from tests.git.random_history import make_history
from tests.git.reading import read


@pytest.mark.parametrize("seed", [1, 2, 20261122])
def test_each_path_is_the_document_that_was_planned(server, project, git, seed):
    make_history(git, random.Random(seed), 120)
    report = import_into(server, project, read(git.path), source="here").run(proof="full")
    assert report.proof is not None
    assert report.proof.identical == report.commits
    history = read(git.path)
    line = history.line()
    reading, replay = _Reading(history, line, None), Replay()
    names: dict[object, str] = {}
    served = whole_history(Server(server, project), upto=len(line.commits))
    for commit, seconds, change in zip(line.commits, line.committed, served, strict=True):
        reading.next(history.repository.commit(commit), moment_of(seconds))
        replay.follow(change)
        planned = {path: held.document for path, held in reading._planner.identities.state.items()}
        assert planned.keys() == replay.paths.keys()
        for path, document in planned.items():
            assert names.setdefault(document, replay.paths[path]) == replay.paths[path]
        assert len(set(names.values())) == len(names)

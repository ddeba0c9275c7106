"""Who wrote each line, kept with each version: as git blame says, and across restores and merges."""

from __future__ import annotations

import os
import subprocess
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.blame import Attribution, Run, Source, attribute, line_origins
from app.text.lines import Ignoring
from app.text.merge import merge
from tests.unit.text.wild import ODD_LINES, history


def attributed(versions):
    """Each version made from the one before."""
    runs, before = None, b""
    for name, text in versions:
        runs = attribute(text, version=name, sources=[Source(before, runs)] if runs is not None else [])
        before = text
    return runs


class Repository:
    """A git repository with one file, to ask for its opinion."""

    def __init__(self, directory):
        self.directory = directory
        self("init", "-q", "-b", "main")

    def __call__(self, *arguments):
        names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            **names,
        }
        run = subprocess.run(
            ["git", *arguments], cwd=self.directory, capture_output=True, check=True, env=environment
        )
        return run.stdout.decode()

    def commit(self, text):
        (self.directory / "file").write_bytes(text)
        self("add", "file")
        self("commit", "-q", "--allow-empty", "-m", "x")
        return self("rev-parse", "HEAD").strip()

    def blame(self):
        origins = []
        for line in self("blame", "--line-porcelain", "file").split("\n"):
            words = line.split(" ")
            if len(words) in (3, 4) and len(words[0]) == 40:
                origins.append((words[0], int(words[1])))
        return origins


def test_a_written_history_is_attributed_as_git_blame_does(tmp_path):
    repository = Repository(tmp_path)
    versions = [(repository.commit(text), text) for text in history()]
    assert list(line_origins(attributed(versions))) == repository.blame()


def test_a_history_of_indented_lines_is_attributed_as_git_blame_does(tmp_path):
    block = "def f_{0}():\n    if x:\n        return {0}\n\n    return None\n\n\n"
    steps = [
        "".join(block.format(number) for number in numbers).encode()
        for numbers in (
            [1, 5],
            [1, 3, 5],
            [1, 2, 3, 5],
            [1, 2, 3, 4, 5, 6],
            [2, 4, 6],
            [2, 2, 4, 6, 6],
            range(60),
            range(0, 60, 3),
        )
    ]
    repository = Repository(tmp_path)
    versions = [(repository.commit(text), text) for text in steps]
    assert list(line_origins(attributed(versions))) == repository.blame()


def test_a_merge_asks_the_head_first_and_then_the_other_as_git_does(tmp_path):
    repository = Repository(tmp_path)
    steps = history()
    base = repository.commit(steps[2])
    theirs_text = steps[2].replace(b"ten thousand", b"five thousand")
    theirs = repository.commit(theirs_text)
    repository("checkout", "-q", "-b", "side", base)
    yours_text = steps[2].replace(b"whole team?", b"whole team, and who not?")
    yours = repository.commit(yours_text)
    repository("checkout", "-q", "main")
    repository("merge", "-q", "side", "-m", "x")
    merged = repository("rev-parse", "HEAD").strip()
    text = merge(steps[2], theirs_text, yours_text).text
    of_base = attribute(steps[2], version=base)
    of_theirs = attribute(theirs_text, version=theirs, sources=[Source(steps[2], of_base)])
    of_yours = attribute(yours_text, version=yours, sources=[Source(steps[2], of_base)])
    runs = attribute(
        text, version=merged, sources=[Source(theirs_text, of_theirs), Source(yours_text, of_yours)]
    )
    assert list(line_origins(runs)) == repository.blame()
    assert {run.origin for run in runs} == {base, theirs, yours}


def test_a_restored_line_belongs_to_who_wrote_it_first():
    first, second = b"one\ntwo\nthree\n", b"one\nthree\n"
    written = attribute(first, version="v1")
    cut = attribute(second, version="v2", sources=[Source(first, written)])
    restored = attribute(first, version="v3", sources=[Source(first, written), Source(second, cut)])
    assert restored == written
    with_more = first + b"four\n"
    partly = attribute(with_more, version="v3", sources=[Source(first, written), Source(second, cut)])
    assert partly == (Run("v1", 1, 3), Run("v3", 4, 1))


def test_white_space_can_be_left_out_of_account():
    old = attribute(b"a b\nc\n", version="v1")
    runs = attribute(
        b"a  b\nd\n", version="v2", sources=[Source(b"a b\nc\n", old)], ignoring=Ignoring.ALL_SPACE
    )
    assert runs == (Run("v1", 1, 1), Run("v2", 2, 1))


def test_an_attribution_of_another_text_is_refused():
    with pytest.raises(ValueError, match="another number of lines"):
        attribute(b"a\n", version="v2", sources=[Source(b"a\nb\n", (Run("v1", 1, 1),))])


def test_a_range_of_lines_can_be_asked_for():
    runs = (Run("v1", 5, 3), Run("v2", 1, 2))
    assert list(line_origins(runs, first=2, last=4)) == [("v1", 6), ("v1", 7), ("v2", 1)]
    assert list(line_origins(runs, first=5)) == [("v2", 2)]
    assert list(line_origins(runs, first=9)) == []


def test_in_json_a_run_is_three_values():
    data = msgspec.json.encode((Run("v1", 1, 2),))
    assert data == b'[["v1",1,2]]'
    assert msgspec.json.decode(data, type=Attribution) == (Run("v1", 1, 2),)


documents = st.lists(
    st.lists(st.sampled_from(ODD_LINES[:8]), max_size=12).map(b"".join), min_size=1, max_size=5
)


@given(documents)
def test_every_line_has_one_origin_where_it_stands_so(texts):
    versions = [(str(number), text) for number, text in enumerate(texts)]
    runs = attributed(versions)
    origins = list(line_origins(runs))
    lines = texts[-1].splitlines(keepends=True) if b"\r" not in texts[-1] else None
    assert lines is not None
    assert len(origins) == len(lines)
    for line, (version, number) in zip(lines, origins, strict=True):
        assert texts[int(version)].split(b"\n")[number - 1] + b"\n" == line
    assert all((a.origin, a.line + a.lines) != (b.origin, b.line) for a, b in pairwise(runs))


@given(documents, documents)
def test_two_sources_claim_no_line_twice(one, other):
    ours, theirs = [(f"a{n}", t) for n, t in enumerate(one)], [(f"b{n}", t) for n, t in enumerate(other)]
    text = one[-1] + other[-1]
    runs = attribute(
        text, version="m", sources=[Source(one[-1], attributed(ours)), Source(other[-1], attributed(theirs))]
    )
    assert sum(run.lines for run in runs) == text.count(b"\n")
    first_only = attribute(text, version="m", sources=[Source(one[-1], attributed(ours))])
    for (origin, line), alone in zip(line_origins(runs), line_origins(first_only), strict=True):
        assert alone[0] == "m" or (origin, line) == alone

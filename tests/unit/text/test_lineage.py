"""Lines followed, version by version, to who wrote them: as attributing texts at once says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.blame import Run, Source, attribute
from app.text.lineage import follow, lines_in, runs_in, sources_in

TEXTS = st.lists(
    st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"c"]), max_size=12).map(b"".join), max_size=8
)


@given(TEXTS)
def test_following_what_came_from_where_gives_what_attributing_gives(texts):
    whole: tuple[Run, ...] = ()
    lines: list[int] = []
    before = b""
    for number, text in enumerate(texts, 1):
        whole = attribute(text, version=str(number), sources=[Source(before, whole)] if whole else [])
        source = [Source(before, (Run(str(number - 1), 1, len(lines)),))] if lines else []
        runs = attribute(text, version=str(number), sources=source)
        triples = [each for run in runs for each in (int(run.origin), run.line, run.lines)]
        assert sources_in(triples, number=number) <= {number - 1}
        lines = follow(triples, number=number, held={number - 1: lines})
        before = text
        assert [run[1:] for run in runs_in(lines)] == [(int(r.origin), r.line, r.lines) for r in whole]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 5)), max_size=8))
def test_runs_and_lines_are_two_forms_of_one_thing(runs):
    lines = lines_in([number for run in runs for number in run])
    found = runs_in(lines)
    assert lines_in([number for run in found for number in run[1:]]) == lines
    assert [run[0] for run in found] == [1 + sum(each[3] for each in found[:at]) for at in range(len(found))]


@pytest.mark.parametrize("triples", [(1, 2, 2), (1, 0, 1), (1, 3, 1)])
def test_lines_that_a_version_does_not_have_are_refused(triples):
    with pytest.raises(ValueError, match="Version 1 has 2 lines"):
        follow(triples, number=2, held={1: lines_in((1, 1, 2))})

"""Commits as the items of changes: what each says of documents, and that every tree comes out as Git has it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.git.making import File, link, module, script
from tests.git.reading import plan, read, told

if TYPE_CHECKING:
    from tests.git.making import Maker


def text(seed: int, lines: int = 40) -> bytes:
    """A text that is like no other seed's."""
    chance = random.Random(seed)
    words = ["".join(chance.choice("abcdefghijklmnop") for _ in range(7)) for _ in range(8 * lines)]
    return b"".join(" ".join(words[at : at + 8]).encode() + b"\n" for at in range(0, len(words), 8))


A, B, C = text(1), text(2), text(3)


def last(git: Maker, *states: dict[str, object]) -> list[str]:
    git.line(*states)
    return told(plan(read(git.path))[-1])


def test_an_ordinary_commit_says_what_it_did(git):
    before = {"a.md": A, "b/c.md": B, "gone.md": C}
    after = {"a.md": A + b"more\n", "b/c.md": B, "new.md": text(4)}
    assert last(git, before, after) == ["delete gone.md", "edit a.md", "add new.md"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": A}, {"b": A}, ["move a → b as it is"]),
        ({"a": A}, {"b": A + b"and more\n"}, ["move a → b"]),
        ({"a": A, "b": B}, {"a": B, "b": A}, ["move b → a as it is", "move a → b as it is"]),
        ({"a": A, "b": B}, {"a": B + b"x\n", "b": A + b"y\n"}, ["move b → a", "move a → b"]),
        (
            {"a": A, "b": B, "c": C},
            {"a": B, "b": C, "c": A},
            ["move b → a as it is", "move c → b as it is", "move a → c as it is"],
        ),
        ({"a": A, "b": B}, {"b": A}, ["delete a", "edit b"]),
        ({"a": A}, {"a": b"It is in b now.\n", "b": A + b"y\n"}, ["add a", "move a → b"]),
        ({"a": b"", "b": b""}, {"c": b"", "d": b""}, ["move a → c as it is", "move b → d as it is"]),
        ({"a": A}, {"a": script(A)}, ["edit a as 100755 as it is"]),
        ({"a": script(A)}, {"a": A}, ["edit a as 100644 as it is"]),
        ({"a": script(A)}, {"b": A}, ["move a → b as 100644"]),
        ({"a": A}, {"a": link("b")}, ["edit a as 120000"]),
        ({"a": link("b")}, {"a": A}, ["edit a as 100644"]),
        ({"a": A}, {"a/b": A}, ["move a → a/b as it is"]),
        ({"a/b": A, "a/c": B}, {"a": A}, ["delete a/c", "move a/b → a as it is"]),
        ({"m": module("1" * 40)}, {"m": module("2" * 40)}, ["edit m"]),
        ({"m/a": A}, {"m": module("2" * 40)}, ["delete m/a", "add m as 160000"]),
        ({"a": b"x\ny\n"}, {"a": b"x\r\ny\r\n"}, ["edit a"]),
    ],
)
def test_each_kind_of_change(git, before, after, expected):
    assert last(git, before, after) == expected


def test_equal_files_in_a_folder_that_moves_keep_their_names(git):
    before = {f"old/{name}": b"same\n" for name in "abc"}
    after = {f"new/{name}": b"same\n" for name in "abc"}
    assert last(git, before, after) == [f"move old/{name} → new/{name} as it is" for name in "abc"]


def test_what_was_deleted_and_comes_back_is_the_same_document_each_time(git):
    git.line({"a": A, "b": B}, {"b": B}, {"a": A, "b": B}, {"b": B}, {"a": C, "b": B})
    history = read(git.path)
    assert [told(each) for each in plan(history)][1:] == [["delete a"], ["add a"], ["delete a"], ["add a"]]


def test_empty_commits_are_changes_without_versions(git):
    git.line({"a": A}, {"a": A}, {"a": A})
    assert [len(each.items) for each in plan(read(git.path))] == [1, 0, 0]


def test_going_to_another_branch_takes_what_was_there_and_writes_only_what_is_new(git):
    base = git.commit({"a": A, "b": B})
    main = git.commit({"a": A + b"main\n", "b": B}, base)
    side = git.commit({"a": A, "b": B + b"side\n"}, base)
    merge = git.commit({"a": A + b"main\n", "b": B + b"side\n"}, main, side)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert list(plans) == [base, main, side, merge]
    assert plans[side] == [f"restore a from {base[:7]}", "edit b"]
    assert plans[merge] == [f"restore a from {main[:7]}"]


def test_a_merge_of_one_document_names_the_branch_that_it_takes_in(git):
    base = git.commit({"a": A})
    main = git.commit({"a": b"main\n" + A}, base)
    side = git.commit({"a": A + b"side\n"}, base)
    merge = git.commit({"a": b"main\n" + A + b"side\n"}, main, side)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert plans[side] == [f"edit a merging {base[:7]}"]
    assert plans[merge] == [f"edit a merging {main[:7]}"]


def test_a_rename_on_one_branch_and_an_edit_on_the_other_stay_one_document(git):
    base = git.commit({"a": A})
    main = git.commit({"renamed": A}, base)
    side = git.commit({"a": A + b"side\n"}, base)
    merge = git.commit({"renamed": A + b"side\n"}, main, side)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert plans[main] == ["move a → renamed as it is"]
    assert plans[side] == ["move renamed → a"]
    assert plans[merge] == ["move a → renamed as it is"]


def test_a_merge_takes_in_what_the_document_was_under_its_other_name(git):
    base = git.commit({"a": A})
    main = git.commit({"a": b"main\n" + A}, base)
    side = git.commit({"renamed": A}, base)
    merge = git.commit({"renamed": b"main\n" + A}, main, side)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert plans[merge] == [f"restore renamed from {main[:7]} at a"]


def test_a_file_that_a_branch_deleted_comes_back_with_the_other_branch(git):
    base = git.commit({"a": A, "b": B})
    main = git.commit({"b": B}, base)
    side = git.commit({"a": A, "b": B, "c": C}, base)
    merge = git.commit({"b": B, "c": C}, main, side)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert plans[side] == [f"restore a from {base[:7]}", "add c"]
    assert plans[merge] == ["delete a"]


def test_an_octopus_takes_from_each_of_its_arms(git):
    base = git.commit({"a": A, "b": B, "c": C})
    arms = [
        git.commit({"a": A + b"1\n", "b": B, "c": C}, base),
        git.commit({"a": A, "b": B + b"2\n", "c": C}, base),
        git.commit({"a": A, "b": B, "c": C + b"3\n"}, base),
    ]
    octopus = git.commit({"a": A + b"1\n", "b": B + b"2\n", "c": C + b"3\n"}, *arms)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert plans[octopus] == [f"restore a from {arms[0][:7]}", f"restore b from {arms[1][:7]}"]


def test_criss_cross_renames_on_two_branches_end_as_the_merge_has_them(git):
    base = git.commit({"a": A, "b": B})
    main = git.commit({"x": A, "b": B}, base)
    side = git.commit({"a": B, "y": A}, base)
    merge = git.commit({"x": B, "y": A}, main, side)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert plans[main] == ["move a → x as it is"]
    assert merge in plans


def test_two_histories_with_no_common_beginning_can_be_merged(git):
    one = git.commit({"a": A})
    other = git.commit({"b": B})
    git.commit({"a": A, "b": B}, one, other)
    plans = [told(each) for each in plan(read(git.path))]
    assert plans == [["add a"], ["delete a", "add b"], [f"restore a from {one[:7]}"]]


def test_a_second_beginning_has_files_of_its_own_and_the_merge_brings_the_first_ones_back(git):
    main = git.commit({"README": A, "LICENSE": B})
    docs = git.commit({"README": C, "LICENSE": B})
    moved = git.commit({"docs/README": C, "LICENSE": B}, docs)
    merge = git.commit({"README": A, "LICENSE": B, "docs/README": C}, main, moved)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert plans[docs] == ["delete LICENSE", "delete README", "add LICENSE as new", "add README as new"]
    assert plans[moved] == ["move README → docs/README as it is"]
    restored = [f"restore {path} from {main[:7]}" for path in ("LICENSE", "README")]
    assert plans[merge] == restored or plans[merge] == ["delete LICENSE", *restored]


def test_an_edit_at_a_switch_is_of_the_document_that_its_own_branch_has_there(git):
    main = git.commit({"a": A})
    docs = git.commit({"a": C})
    both = git.commit({"a": A, "docs": C}, main, docs)
    side = git.commit({"a": C + b"side\n"}, docs)
    git.commit({"a": A, "docs": C + b"side\n"}, both, side)
    plans = {each.commit.id: told(each) for each in plan(read(git.path))}
    assert plans[both] == ["move a → docs as it is", f"restore a from {main[:7]}"] or plans[both] == [
        f"restore a from {main[:7]}",
        "move a → docs as it is",
    ]
    assert plans[side] == ["delete a", "move docs → a"]


def test_first_parent_is_the_branch_alone(git):
    base = git.commit({"a": A})
    side = git.commit({"a": A, "s": B}, base)
    main = git.commit({"a": A + b"m\n"}, base)
    merge = git.commit({"a": A + b"m\n", "s": B}, main, side)
    plans = {each.commit.id: told(each) for each in plan(read(git.path, first_parent=True))}
    assert list(plans) == [base, main, merge]
    assert plans[merge] == ["add s"]


def test_copies_are_found_and_counted_and_stay_documents_of_their_own(git):
    git.line({"a": A, "b": B}, {"a": A, "b": B, "a2": A}, {"a": A + b"x\n", "b": B, "a2": A, "a3": A})
    plans = plan(read(git.path))
    assert [each.copies for each in plans] == [{}, {"a2": "a"}, {"a3": "a"}] or plans[2].copies == {
        "a3": "a2"
    }
    assert told(plans[1]) == ["add a2"]


def test_too_many_candidates_leave_only_equal_contents_as_renames(git, monkeypatch):
    monkeypatch.setattr("app.git.read.renames._MOST_PAIRS", 3)
    before = {"a": A, "b": B, "c": C}
    git.line(before, {"x/a": A, "x/b": B + b"b\n", "x/c": C + b"c\n"})
    planned = plan(read(git.path))[-1]
    assert told(planned) == ["delete b", "delete c", "move a → x/a as it is", "add x/b", "add x/c"]
    assert planned.renames_skipped


def test_early_modes_of_git_are_taken_for_what_they_mean(git):
    git.line({"a": File(A, b"100664"), "b": File(B, b"100775")})
    history = read(git.path)
    assert told(plan(history)[0]) == ["add a", "add b as 100755"]
    assert [note.path for note in history.trees.findings.rewritten] == ["a", "b"]

"""Changes as commits: the same for the same history, sound to Git, and the originals where they can be."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import VersoError
from app.git.write.copy import STATE, GitCopy
from app.git.write.names import _is_refused, _plain, git_name
from app.model import ActorKind, MirroredChange, Tag
from tests.unit.git_write.history import PROJECT, START, ZOE, History, add, delete, edit, move, restore


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "--git-dir", str(directory), *arguments],
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "surrogateescape")


def written(directory: Path, history: History, *, tags: tuple[Tag, ...] = (), by: int = 1000) -> list[str]:
    """The history as a copy, `by` changes at a time; the commits' ids."""
    with GitCopy(directory, project=PROJECT) as copy:
        changes = history.changes[copy.newest.sequence if copy.newest else 0 :]
        for start in range(0, len(changes), by):
            page = changes[start : start + by]
            for sha256 in copy.missing(page):
                copy.add_content(sha256, history.contents[sha256])
            copy.add_changes(page)
        copy.add_tags(tags)
        copy.finish()
        return [oid for _, oid, _ in copy.commits()]


def sound(directory: Path) -> None:
    assert git(directory, "fsck", "--strict", "--no-dangling") == ""


def tree(directory: Path, commit: str = "main") -> dict[str, str]:
    """Paths with their modes and contents."""
    listed = git(directory, "ls-tree", "-r", "-z", commit).split("\0")[:-1]
    found = {}
    for line in listed:
        about, path = line.split("\t")
        mode, kind, oid = about.split(" ")
        found[path] = f"{mode} " + (oid if kind == "commit" else git(directory, "cat-file", "blob", oid))
    return found


def header(directory: Path, commit: str) -> dict[str, Any]:
    head = git(directory, "cat-file", "commit", commit).partition("\n\n")[0]
    return dict(json.loads(next(line[6:] for line in head.split("\n") if line.startswith("verso "))))


def story() -> History:
    history = History()
    history.change(add("a.md", b"1\n"), add("docs/b.md", b"2\n"), add("docs/deep/c.md", b"3\n"))
    first = history.heads["a.md"]
    history.change(edit("a.md", b"1\n2\n"))
    history.change(move("docs/b.md", "notes/b.md"), move("docs/deep/c.md", "c.md", content=b"33\n"))
    history.change(delete("a.md"))
    history.change(restore("a.md", first, b"1\n"))
    history.change(move("a.md", "c.md"), move("docs/deep/c.md", "a.md"))
    history.change(add("run.sh", b"#!\n", mode="100755"), add("link", b"run.sh", mode="120000"))
    history.change(edit("run.sh", mode=None), add("module", b"1" * 40, mode="160000"))
    return history


def test_each_change_is_a_commit_with_its_tree(tmp_path: Path) -> None:
    commits = written(tmp_path / "x", story())
    trees = [tree(tmp_path / "x", commit) for commit in commits]
    assert trees == [
        {"a.md": "100644 1\n", "docs/b.md": "100644 2\n", "docs/deep/c.md": "100644 3\n"},
        {"a.md": "100644 1\n2\n", "docs/b.md": "100644 2\n", "docs/deep/c.md": "100644 3\n"},
        {"a.md": "100644 1\n2\n", "notes/b.md": "100644 2\n", "c.md": "100644 33\n"},
        {"notes/b.md": "100644 2\n", "c.md": "100644 33\n"},
        {"a.md": "100644 1\n", "notes/b.md": "100644 2\n", "c.md": "100644 33\n"},
        {"a.md": "100644 33\n", "notes/b.md": "100644 2\n", "c.md": "100644 1\n"},
        {"a.md": "100644 33\n", "notes/b.md": "100644 2\n", "c.md": "100644 1\n", "run.sh": "100755 #!\n", "link": "120000 run.sh"},
        {"a.md": "100644 33\n", "notes/b.md": "100644 2\n", "c.md": "100644 1\n", "run.sh": "100644 #!\n", "link": "120000 run.sh", "module": "160000 " + "1" * 40},
    ]  # fmt: skip
    assert git(tmp_path / "x", "rev-list", "--reverse", "main").split() == commits
    sound(tmp_path / "x")


def test_a_commit_says_who_when_why_and_what_git_cannot(tmp_path: Path) -> None:
    commits = written(tmp_path / "x", story())
    shown = git(tmp_path / "x", "log", "-1", "--format=%an|%ae|%at|%cn|%ct|%B", commits[2])
    seconds = int(START.timestamp()) + 120
    assert shown == f"Zoë Ahlgren|{ZOE.id}@verso.invalid|{seconds}|Zoë Ahlgren|{seconds}|Change 3\n\n"
    assert header(tmp_path / "x", commits[2])["versions"] == [
        {"path": "notes/b.md", "action": "move", "from": "docs/b.md"},
        {"path": "c.md", "action": "move", "from": "docs/deep/c.md"},
    ]
    assert header(tmp_path / "x", commits[4])["versions"] == [
        {"path": "a.md", "action": "restore", "restored_from": {"commit": commits[0], "path": "a.md"}}
    ]
    assert git(tmp_path / "x", "symbolic-ref", "HEAD").strip() == "refs/heads/main"


def test_the_same_history_gives_the_same_commits_however_it_was_cut(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", story())
    assert written(tmp_path / "cut", story(), by=1) == whole
    half = story()
    rest = half.changes[3:]
    del half.changes[3:]
    assert written(tmp_path / "continued", half) == whole[:3]
    half.changes += rest
    assert written(tmp_path / "continued", half) == whole


def test_names_and_times_that_git_cannot_say_are_in_the_header(tmp_path: Path) -> None:
    history = History()
    early = datetime(1950, 1, 1, 0, 0, 0, 7, tzinfo=UTC)
    history.change(
        add("a.weird", b"", media_type="text/x-weird"),
        author_name="<Zoë>\u0000".replace("\0", ""),
        authored_at=early,
        actor=ActorKind.agent,
        agent="Émile",
        message="no line end, \x01 and 𝄞",
    )
    [commit] = written(tmp_path / "x", history)
    told = header(tmp_path / "x", commit)
    assert told == {
        "change": 1,
        "hash": history.changes[0].hash,
        "author_name": "<Zoë>",
        "actor": "agent",
        "agent": "Émile",
        "authored_at": "1950-01-01T00:00:00.000007Z",
        "versions": [{"path": "a.weird", "media_type": "text/x-weird"}],
    }
    raw = git(tmp_path / "x", "cat-file", "commit", commit)
    assert raw.endswith("\n\nno line end, \x01 and 𝄞")
    sound(tmp_path / "x")


HOSTILE = [".git", ".GIT", ".git/config", "a/.Git", "git~1", ".git.", ".git ", ".git::$INDEX", ".g\u200cit", "x\\.git", "%2Egit", "%252Egit", "%25", ".gitignore", "a%2Eb", "git"]  # fmt: skip


def plain_name(name: str) -> str:
    """What `git_name` made the name of: that there is such a function means that no two names become one."""
    return unquote(name) if "%" in name and _is_refused(_plain(name)) else name


def test_paths_that_git_refuses_get_names_that_it_takes(tmp_path: Path) -> None:
    history = History()
    for number, path in enumerate(HOSTILE):
        history.change(add(f"{number}/{path}", path.encode()))
    written(tmp_path / "x", history)
    sound(tmp_path / "x")
    found = tree(tmp_path / "x")
    assert len(found) == len(HOSTILE)
    for path in found:
        number, _, rest = path.partition("/")
        assert "/".join(map(plain_name, rest.split("/"))) == HOSTILE[int(number)]
    assert "13/.gitignore" in found
    assert "14/a%2Eb" in found


@given(st.text(st.sampled_from("%.gitGIT~1 25E\\:\u200c\u00e9"), min_size=1, max_size=12))
def test_an_escaped_name_is_given_back_and_is_not_refused(name: str) -> None:
    assert plain_name(git_name(name)) == name
    assert not _is_refused(git_name(name))


def raw_commit(tree_id: str, *parents: str, message: bytes = b"m\n", more: bytes = b"") -> bytes:
    lines = [f"tree {tree_id}", *(f"parent {each}" for each in parents)]
    lines += ["author A <a@x> 1 +0100", "committer B <b@x> 2 -0230"]
    return "\n".join(lines).encode() + b"\n" + more + b"\n" + message


def id_of(raw: bytes) -> str:
    return hashlib.sha1(b"commit %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()


def test_an_imported_commit_keeps_its_id(tmp_path: Path) -> None:
    """Two roots, a merge, a signature, a NUL: all as they were, because trees and parents are."""
    probe = History()
    probe.change(add("a", b"1"))
    probe.change(add("b", b"2"))
    written(tmp_path / "probe", probe)
    one, two = (
        git(tmp_path / "probe", "rev-parse", f"{each}^{{tree}}").strip() for each in ("main~1", "main")
    )
    first = raw_commit(one, message=b"with \0 NUL", more=b"gpgsig -----BEGIN\n more\n -----END\n")
    other = raw_commit(one, message=b"another root")
    merge = raw_commit(two, id_of(first), id_of(other), more=b"encoding latin-1\n", message=b"\xe9")
    history = History()
    history.change(add("a", b"1"), raw=first, message="with  NUL")
    history.change(raw=other, message="another root")
    history.change(add("b", b"2"), raw=merge, message="é")
    assert written(tmp_path / "x", history) == [id_of(first), id_of(other), id_of(merge)]


def test_an_imported_commit_whose_tree_differs_is_rewritten_and_loses_its_signature(tmp_path: Path) -> None:
    first = raw_commit("1" * 40, more=b"gpgsig -----BEGIN\n more\n -----END\nverso-x kept\n")
    second = raw_commit("2" * 40, id_of(first), "3" * 40, message=b"two")
    history = History()
    history.change(add("a", b"1"), raw=first)
    history.change(raw=second)
    history.change(edit("a", b"native"))
    commits = written(tmp_path / "x", history)
    texts = [git(tmp_path / "x", "cat-file", "commit", commit) for commit in commits]
    assert "gpgsig" not in texts[0]
    assert "-----" not in texts[0]
    assert "verso-x kept" in texts[0]
    assert f"parent {commits[0]}\nauthor A <a@x> 1 +0100\n" in texts[1]
    assert f"parent {commits[1]}\n" in texts[2]
    sound(tmp_path / "x")


def tag(name: str, change: int, **more: Any) -> Tag:
    return Tag(
        project=PROJECT, name=name, change=change, created_at=START, created_by=ZOE, **{"message": "", **more}
    )


def test_tags_are_names_or_objects_or_what_they_were(tmp_path: Path) -> None:
    history = story()
    tags = (
        tag("light", 1),
        tag("noted", 2, message="Why\n"),
        tag("a", 1),
        tag("a/b", 1),
        tag("x.lock", 1),
        tag("too-new", 99),
    )
    commits = written(tmp_path / "x", history, tags=tags)
    assert written(tmp_path / "x", history, tags=tags) == commits
    listed = git(
        tmp_path / "x", "for-each-ref", "--format=%(refname) %(objecttype) %(*objectname)", "refs/tags"
    )
    assert set(listed.splitlines()) == {
        "refs/tags/light commit ",
        f"refs/tags/noted tag {commits[1]}",
        "refs/tags/a commit ",
        "refs/tags/a%2Fb commit ",
        "refs/tags/x%2Elock commit ",
    }
    sound(tmp_path / "x")


def test_a_tag_comes_after_one_that_has_its_name_as_a_folder(tmp_path: Path) -> None:
    history = story()
    written(tmp_path / "x", history, tags=(tag("a/b/c", 1),))
    written(tmp_path / "x", history, tags=(tag("a", 2), tag("a/b", 3), tag("a/b/c", 1)))
    listed = git(tmp_path / "x", "for-each-ref", "--format=%(refname)", "refs/tags")
    assert set(listed.splitlines()) == {"refs/tags/a%2F", "refs/tags/a%2Fb", "refs/tags/a/b/c"}
    sound(tmp_path / "x")


def test_a_submodule_that_names_no_commit_is_a_file(tmp_path: Path) -> None:
    history = History()
    history.change(add("a", b"z" * 40, mode="160000"), add("b", b"\xff" * 40, mode="160000"))
    written(tmp_path / "x", history)
    modes = git(tmp_path / "x", "ls-tree", "-r", "--format=%(objectmode) %(path)", "main")
    assert modes.splitlines() == ["100644 a", "100644 b"]
    sound(tmp_path / "x")


@pytest.mark.parametrize("harm", ["state", "repository"])
def test_a_copy_that_cannot_be_read_says_so(tmp_path: Path, harm: str) -> None:
    written(tmp_path / "x", story())
    if harm == "state":
        (tmp_path / "x" / "verso.sqlite").write_bytes(b"no database" * 1000)
    else:
        shutil.rmtree(tmp_path / "x" / "objects")
    with pytest.raises(VersoError) as refused:
        GitCopy(tmp_path / "x", project=PROJECT)
    assert refused.value.code == "export_damaged"
    assert "Make a new copy" in refused.value.sentence


def test_what_is_not_what_its_hash_says_is_refused(tmp_path: Path) -> None:
    history = story()
    with GitCopy(tmp_path / "x", project=PROJECT) as copy:
        with pytest.raises(VersoError) as refused:
            copy.add_content("0" * 64, b"other")
        assert refused.value.code == "content_altered"
        for sha256, content in history.contents.items():
            copy.add_content(sha256, content)
        forged = MirroredChange(**{name: getattr(history.changes[0], name) for name in MirroredChange.__struct_fields__ if name != "co_authors"} | {"message": "forged"})  # fmt: skip
        for changes, code in (([forged], "history_altered"), (history.changes[1:], "history_diverged")):
            with pytest.raises(VersoError) as refused:
                copy.add_changes(changes)
            assert refused.value.code == code
            assert ("verso verify" if code == "history_altered" else "new copy") in refused.value.sentence
        assert copy.newest is None


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(VersoError) as refused:
        GitCopy(tmp_path, project=PROJECT)
    assert refused.value.code == "other_export"
    written(tmp_path / "x", story())
    with pytest.raises(VersoError) as refused:
        GitCopy(tmp_path / "x", project="00000000-0000-0000-0000-000000000000")
    assert refused.value.code == "other_export"


@pytest.mark.parametrize(
    "damage",
    [
        "drop table commits; create table commits (sequence)",
        "delete from about; create trigger full before insert on about begin select raise(abort, 'full'); end",
    ],
    ids=["other tables", "nothing can be written"],
)
def test_what_can_not_be_opened_leaves_no_file_open(tmp_path: Path, damage: str) -> None:
    written(tmp_path / "x", story())
    damaging = sqlite3.connect(tmp_path / "x" / STATE)
    damaging.executescript(damage)
    damaging.close()
    with pytest.raises(sqlite3.DatabaseError) as refused:  # which holds on to all that was being made
        GitCopy(tmp_path / "x", project=PROJECT)
    held = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
    assert [each for each in held if each.startswith(str(tmp_path))] == [], refused


def test_many_objects_become_one_pack(tmp_path: Path) -> None:
    history = History()
    for number in range(700):
        history.change(add(f"{number % 7}/{number}", str(number).encode()))
    written(tmp_path / "x", history)
    counted = git(tmp_path / "x", "count-objects", "-v")
    assert "count: 0\n" in counted
    assert "packs: 1\n" in counted
    sound(tmp_path / "x")


PATHS = ["a", "b", "c/d", "c/e", "f/g/h", "f/i"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(PATHS), st.sampled_from(PATHS), st.binary(max_size=3)),
        min_size=1,
        max_size=12,
    )
)
def test_any_history_gives_the_trees_that_it_says(
    tmp_path_factory: Any, steps: list[tuple[str, str, bytes]]
) -> None:
    """Adds, edits, moves, deletes, swaps, as they come; compared with a dictionary of what is where."""
    history, where, expected = History(), {}, []
    for number, (path, target, content) in enumerate(steps):
        holder = {place: name for name, place in where.items()}
        if path not in holder:
            name = f"{number}"
            where[name] = path
            history.change({"document": name, "action": "add", "path": path, "content": content})
        elif path == target and not content:
            history.change(delete(holder[path]))
            del where[holder[path]]
        elif path == target:
            history.change(edit(holder[path], content))
        elif target in holder:
            history.change(move(holder[path], target), move(holder[target], path))
            where[holder[path]], where[holder[target]] = target, path
        else:
            history.change(move(holder[path], target, content=content))
            where[holder[path]] = target
        expected.append(
            {place: "100644 " + history.contents[history.heads[name].sha256 or ""].decode("utf-8", "surrogateescape") for name, place in where.items()}
        )  # fmt: skip
    directory = tmp_path_factory.mktemp("any") / "x"
    commits = written(directory, history)
    assert tree(directory, commits[-1]) == expected[-1]
    middle = len(commits) // 2
    assert tree(directory, commits[middle]) == expected[middle]

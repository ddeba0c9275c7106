"""Raw objects, names, private keys, authors and places: what is read before anything is planned."""

from __future__ import annotations

import hashlib
import subprocess

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygit2.enums import ObjectType

from app.errors import VersoError
from app.git.read.contents import Contents, blob_id, has_private_key
from app.git.read.names import distinct_names, name_of
from app.git.read.objects import Identity, parse_commit
from app.git.read.people import People
from app.git.read.proof import GrowingTree
from app.git.read.repository import open_repository
from app.git.read.trees import Leaf, Trees
from app.model import normal_path
from app.sources.filters import Filter

TREE = b"tree " + b"1" * 40


@given(
    st.binary(min_size=1).filter(
        lambda raw: b"/" not in raw and b"\0" not in raw and raw not in {b".", b".."}
    )
)
def test_any_name_that_git_can_have_becomes_one_that_verso_can_have(raw):
    name = name_of(raw)
    assert normal_path(name) == name or len(name.encode()) > 1024
    try:
        plain = raw.decode()
    except UnicodeDecodeError:
        return
    if plain.isprintable() and normal_path(plain) == plain:
        assert name == plain


@given(st.lists(st.binary(min_size=1, max_size=4), unique=True))
def test_no_two_names_of_a_folder_become_one(raws):
    names, lost = distinct_names(raws)
    assert len(set(names.values())) == len(names)
    assert {*names, *lost} == set(raws)


@given(st.binary())
def test_no_commit_object_is_so_broken_that_it_stops_the_reader(rest):
    commit = parse_commit("0" * 40, TREE + b"\n" + rest)
    assert commit.author.who.name
    assert len(commit.message.encode()) <= 65536
    assert "\0" not in commit.message
    assert commit.author.moment.tzinfo is not None


@pytest.mark.parametrize(
    ("line", "name", "email", "seconds"),
    [
        (b"A B <a@b> 12 +0100", "A B", "a@b", 12),
        (b"<a@b> 12 +0100", "a@b", "a@b", 12),
        (b"A <> 12 +0000", "A", "", 12),
        (b"A<a@b> -5 +0000", "A", "a@b", -5),
        (b"A <a@b>", "A", "a@b", 0),
        (b"A <a <b>> 7 +0000", "A", "a <b", 7),
        (b"no address at all", "no address at all", "", 0),
        (b"", "unknown", "", 0),
    ],
)
def test_authors_are_read_however_they_are_written(line, name, email, seconds):
    author = parse_commit("0" * 40, TREE + b"\nauthor " + line + b"\n\n").author
    assert (author.who.name, author.who.email, author.seconds) == (name, email, seconds)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 64 + b"\n", True),
        (b"x\r\n-----BEGIN OPENSSH PRIVATE KEY-----\r\n" + b"b3BlbnNz" * 8 + b"\r\n", True),
        (b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n" + b"A" * 64, True),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" + b"A" * 64, True),
        (b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 64, False),
        (b"Look for `-----BEGIN RSA PRIVATE KEY-----` in it.\n", False),
        (b"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n", False),
        (b"-----BEGIN PRIVATE KEY-----\n" * 50_000, False),
        (b"-----BEGIN PRIVATE KEY-----\r\n" + b"A: b\r\n" * 5_000 + b"!", False),
        (b"-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\r\n" + b"A" * 64, True),
    ],
)
def test_private_keys_are_known_and_texts_about_them_are_not(text, found):
    assert has_private_key(text) is found


@pytest.mark.parametrize(
    "raw",
    [
        b"9 f\0" + b"1" * 20,
        b" f\0" + b"1" * 20,
        b"100644 f\0" + b"1" * 19,
        b"100644 f",
        b"-1 f\0" + b"1" * 20,
    ],
)
def test_a_tree_that_is_none_is_told_with_what_to_do(tmp_path, raw):
    opened = pygit2.init_repository(str(tmp_path), bare=True)
    tree = opened.write(ObjectType.BLOB, raw).raw  # read back by its id, whatever it was written as
    with pytest.raises(VersoError, match="git fsck") as refused:
        list(Trees(opened, rules=Filter(), contents=Contents(opened)).differences(None, tree))
    assert refused.value.code == "git_object_missing"


def test_a_content_that_a_partial_clone_left_out_is_told_with_what_to_do(tmp_path):
    opened = pygit2.init_repository(str(tmp_path), bare=True)
    tree = opened.write(ObjectType.TREE, b"100644 f\0" + b"1" * 20).raw
    with pytest.raises(VersoError, match="--filter") as refused:
        list(Trees(opened, rules=Filter(), contents=Contents(opened)).differences(None, tree))
    assert refused.value.code == "git_object_missing"


def test_the_authors_file_knows_people_by_name_and_address_and_says_where_it_is_wrong():
    people = People(["", "# staff", "Anna B <ANNA@x> = anna", "<bert@x> = @bert", "Cleo = cleo"])
    asked = [("Anna B", "anna@x"), ("anna", "Anna@x"), ("B", "bert@x"), ("Cleo", "c@x"), ("Dora", "d@x")]
    accounts = [people.account(Identity(name=name, email=email)) for name, email in asked]
    assert accounts == ["anna", "anna", "bert", "cleo", None]
    with pytest.raises(VersoError, match="Line 2") as refused:
        People(["<a@x> = a", "b@x: b"])
    assert refused.value.code == "bad_authors"


def test_a_tree_that_grows_has_gits_own_ids(git):
    growing = GrowingTree()
    states = [
        {"a": b"1"},
        {"a/b": b"1", "a.b": b"2", "a0": b"3"},
        {"a": b"4", "x/y/z": b"5"},
        {"x/y": b"6"},
        {},
    ]
    before: dict[str, bytes] = {}
    for files in states:
        come = [(path, Leaf("100644", blob_id(data))) for path, data in files.items()]
        growing.apply(before, come)
        assert growing.id() == git.tree(files)
        before = files


def test_blob_ids_are_gits():
    assert blob_id(b"").hex() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"x") == hashlib.sha1(b"blob 1\0x").digest()


def test_a_url_a_bundle_and_a_folder_inside_a_repository_are_read(git, tmp_path):
    git.line({"a": b"1"}, {"a": b"2"})
    bundle = tmp_path / "history.bundle"
    subprocess.run(["git", "-C", git.path, "bundle", "create", "-q", bundle, "main"], check=True)
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", git.path, work], check=True)
    (work / "below").mkdir()
    tips = set()
    for number, source in enumerate([git.path.as_uri(), str(bundle), str(work / "below"), str(git.path)]):
        scratch = tmp_path / f"scratch-{number}"
        scratch.mkdir()
        tips.add(open_repository(source, branch=None, scratch=scratch).tip("main"))
    assert tips == {str(git.repository.head.target)}


@pytest.mark.parametrize(
    ("source", "code"),
    [("/nowhere/at/all", "git_not_found"), ("/proc", "git_not_found"), ("file:///nowhere", "git_unreadable")],
)
def test_what_is_no_repository_is_said_to_be_none(source, code, tmp_path):
    with pytest.raises(VersoError) as refused:
        open_repository(source, branch=None, scratch=tmp_path)
    assert refused.value.code == code


def test_a_branch_that_is_not_there_is_named_with_those_that_are(git, tmp_path):
    opened = open_repository(str(git.path), branch=None, scratch=tmp_path)
    with pytest.raises(VersoError) as refused:
        opened.tip(None)
    assert refused.value.code == "git_empty"
    git.line({"a": b"1"})
    with pytest.raises(VersoError, match="It has: main") as refused:
        opened.tip("develop")
    assert refused.value.code == "git_branch_not_found"

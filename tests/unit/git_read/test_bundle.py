"""Bundles become repositories with Git's own index; what is broken, lies or asks for too much is refused."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import VersoError
from app.git.read.bundle import unbundle
from app.git.read.indexing import NO_LIMITS, Limits
from app.git.read.objects import decode, parse_commit
from tests.git.making import Maker
from tests.git.test_planning import text
from tests.unit.git_read import packs
from tests.unit.git_read.packs import (
    BLOB,
    COMMIT,
    OFFSET_DELTA,
    REF_DELTA,
    Said,
    copying,
    delta,
    entry,
    object_id,
    pack,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20
LIMITS = Limits(objects=50_000, object_size=8 * MIB, total_size=64 * MIB)


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(path), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with deltas, two branches and tags; beside it a bundle of all."""
    maker = Maker(tmp_path_factory.mktemp("made") / "made.git")
    last: list[str] = []
    for n in range(40):
        files = {"long.md": text(1) * 20 + b"%d\n" % n, f"d/{n % 7}.md": text(n), "empty": b""}
        last = [maker.commit(files, *last)]
    maker.tag("v1", last[0], "One\n")
    maker.branch("other", maker.commit({"a": b"1"}))
    maker.branch("main", last[0])
    git(maker.path, "repack", "-adfq", "--depth=20", "--window=20")
    git(maker.path, "bundle", "create", "-q", str(maker.path.with_suffix(".bundle")), "--all")
    return maker.path


def read(tmp_path: Path, data: bytes, limits: Limits = NO_LIMITS, name: str = "out.git") -> Any:
    source = tmp_path / "sent.bundle"
    source.write_bytes(data)
    return unbundle(source, tmp_path / name, limits=limits)


def refused(tmp_path: Path, data: bytes, limits: Limits = LIMITS) -> tuple[str, str]:
    with pytest.raises(VersoError) as error:
        read(tmp_path, data, limits)
    return error.value.code, error.value.sentence


def test_a_bundle_becomes_the_repository_that_git_makes_of_it(made: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    source = made.with_suffix(".bundle")
    repository = unbundle(source, tmp_path / "out.git", watch=lambda *done: seen.append(done))
    packed = tmp_path / "out.git/objects/pack/pack-bundle.pack"
    git(tmp_path, "index-pack", "-o", str(tmp_path / "gits.idx"), str(packed))
    assert packed.with_suffix(".idx").read_bytes() == (tmp_path / "gits.idx").read_bytes()
    assert git(tmp_path / "out.git", "for-each-ref") == git(made, "for-each-ref")
    assert (str(repository.head.target), repository.head.shorthand) == (
        git(made, "rev-parse", "main"),
        "main",
    )
    assert git(tmp_path / "out.git", "fsck", "--strict") == ""
    assert seen[-1][0] == seen[-1][1] == len(seen)


def test_deltas_by_id_and_large_offsets_are_read(tmp_path: Path) -> None:
    base = bytes(range(256)) * 300
    target = base[500:70_000] + b"new" + base[:100]
    made = delta(len(base), len(target), copying(500, 69_500), b"\x03new", copying(0, 100))
    other = delta(len(base), 0x10000, copying(0, 0))  # a length of 0 says 64 KiB
    tree = b"100644 a\0" + object_id(BLOB, target) + b"100644 b\0" + object_id(BLOB, base[:0x10000])
    commit = packs.commit(object_id(packs.TREE, tree))
    first = [entry(Said(COMMIT, commit)), entry(Said(packs.TREE, tree))]
    by_id = entry(Said(REF_DELTA, made, base=object_id(BLOB, base)))
    whole = entry(Said(BLOB, base))
    by_place = entry(Said(OFFSET_DELTA, other, base=len(whole)))
    sent = packs.bundle(pack(*first, by_id, whole, by_place), main=object_id(COMMIT, commit))
    repository = read(tmp_path, sent)
    assert repository[object_id(BLOB, target).hex()].data == target
    assert repository[object_id(BLOB, base[:0x10000]).hex()].data == base[:0x10000]


def test_names_that_lead_elsewhere_are_not_written(made: Path, tmp_path: Path) -> None:
    head, _, packed = made.with_suffix(".bundle").read_bytes().partition(b"\n\n")
    oid = git(made, "rev-parse", "main").encode()
    names = (
        b"refs/heads/../../config",
        b"refs/heads/a..b",
        b"refs/heads/x.lock",
        b"refs/heads/\xff",
        b"refs/notes/x",
    )
    lines = b"\n".join(oid + b" " + name for name in names)
    repository = read(tmp_path, head + b"\n" + lines + b"\n\n" + packed)
    assert sorted(repository.references) == ["refs/heads/main", "refs/heads/other", "refs/tags/v1"]
    assert "url" not in (tmp_path / "out.git/config").read_text()


def test_a_bundle_without_a_head_has_one_branch_that_is_meant(made: Path, tmp_path: Path) -> None:
    for number, (names, meant) in enumerate(
        [(["other"], "other"), (["main", "other"], "main"), (["main", "other", "HEAD"], "main")]
    ):
        one = tmp_path / f"{number}.bundle"
        git(made, "bundle", "create", "-q", str(one), *names)
        assert unbundle(one, tmp_path / f"{number}.git").head.shorthand == meant


def whole(name: str) -> Callable[[Path], bytes]:
    def make(made: Path) -> bytes:
        data = made.with_suffix(".bundle").read_bytes()
        at = data.index(b"PACK")
        body = data[at:-20]
        return {
            "nothing": b"",
            "no bundle": b"PK\x03\x04" + bytes(100),
            "only a head": data[:at],
            "a pack of another version": data[: at + 7] + b"\x07" + data[at + 8 :],
            "half": data[: len(data) // 2],
            "a changed byte": data[:-5000] + bytes([data[-5000] ^ 1]) + data[-4999:],
            "something behind it": data[:at] + body + b"more" + hashlib.sha1(body + b"more").digest(),
            "too few objects": data[:at] + (fewer := body[:11] + bytes([body[11] + 1]) + body[12:]) + hashlib.sha1(fewer).digest(),
            "a damaged list": data[:at].replace(b"refs/heads/main", b"refs heads main", 1) + data[at:],
            "sha256": data.replace(b"# v2 git bundle\n", b"# v3 git bundle\n@object-format=sha256\n", 1),
            "a partial clone's": data.replace(b"# v2 git bundle\n", b"# v3 git bundle\n@filter=blob:none\n", 1),
            "of the future": data.replace(b"# v2 git bundle\n", b"# v3 git bundle\n@hooks=yes\n", 1),
            "a branch of nothing": data.replace(b"# v2 git bundle\n", b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/x\n", 1),
            "too many branches": b"# v2 git bundle\n" + b"".join(b"1" * 40 + b" refs/heads/%d\n" % n for n in range(50_001)),
        }[name]  # fmt: skip

    return make


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("nothing", "bundle_unreadable", "doesn't begin"),
        ("no bundle", "bundle_unreadable", "git bundle create"),
        ("only a head", "bundle_unreadable", "no pack"),
        ("a pack of another version", "bundle_unreadable", "no pack"),
        ("half", "bundle_unreadable", "not whole"),
        ("a changed byte", "bundle_unreadable", "checksum"),
        ("something behind it", "bundle_unreadable", "follows"),
        ("too few objects", "bundle_unreadable", "too early"),
        ("a damaged list", "bundle_unreadable", "list of branches"),
        ("sha256", "bundle_unreadable", "SHA-256"),
        ("a partial clone's", "bundle_incomplete", "partial"),
        ("of the future", "bundle_unreadable", "isn't known"),
        ("a branch of nothing", "bundle_incomplete", "lacks what its branches"),
        ("too many branches", "bundle_too_large", "50,000"),
    ],
)
def test_what_is_no_whole_bundle_is_refused_in_words(
    made: Path, tmp_path: Path, name: str, code: str, words: str
) -> None:
    found, sentence = refused(tmp_path, whole(name)(made))
    assert (found, words in sentence) == (code, True), sentence


def test_a_bundle_that_goes_on_from_elsewhere_is_incomplete(made: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.bundle"
    git(made, "bundle", "create", "-q", str(part), "main~5..main")
    data = part.read_bytes()
    assert refused(tmp_path, data)[0] == "bundle_incomplete"


BASE = b"abc" * 1000
A, B = object_id(BLOB, b"a"), object_id(BLOB, b"b")


def on_base(*orders: bytes, size: int, of: int = len(BASE)) -> bytes:
    return pack(
        entry(Said(BLOB, BASE)), entry(Said(REF_DELTA, delta(of, size, *orders), base=object_id(BLOB, BASE)))
    )


def doubling(levels: int) -> bytes:
    """Each object is the one before it, twice: 3 KB become 3 GB in a few bytes each."""
    entries, size, base = [entry(Said(BLOB, BASE))], len(BASE), len(entry(Said(BLOB, BASE)))
    for _ in range(levels):
        parts = [copying(at, min(0xFFFFFF, size - at)) for at in range(0, size, 0xFFFFFF)] * 2
        entries.append(entry(Said(OFFSET_DELTA, delta(size, size * 2, *parts), base=base)))
        size, base = size * 2, len(entries[-1])
    return pack(*entries)


def chain(length: int) -> bytes:
    entries, data = [entry(Said(BLOB, b"0"))], 1
    for n in range(length):
        added = b"\x01%d" % (n % 10)
        made = (
            delta(data, data + 1, copying(0, data), added)
            if data < 5
            else delta(data, 5, copying(0, 4), added)
        )
        entries.append(entry(Said(OFFSET_DELTA, made, base=len(entries[-1]))))
        data = min(data + 1, 5)
    return pack(*entries)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "says that it is small": (lambda: pack(entry(Said(BLOB, bytes(80 * MIB), size=10))), "bundle_unreadable"),
    "says that it is large": (lambda: pack(entry(Said(BLOB, b"x", size=1 << 40))), "bundle_too_large"),
    "says a size without end": (lambda: pack(b"\xb1" + b"\xff" * 40), "bundle_unreadable"),
    "is shorter than it says": (lambda: pack(entry(Said(BLOB, b"x", size=100))), "bundle_unreadable"),
    "is large": (lambda: pack(entry(Said(BLOB, bytes(9 * MIB)))), "bundle_too_large"),
    "is large in all": (lambda: pack(*[entry(Said(BLOB, bytes(7 * MIB) + b"%d" % n)) for n in range(10)]), "bundle_too_large"),
    "is of no kind": (lambda: pack(entry(Said(5, b"x"))), "bundle_unreadable"),
    "is not deflated": (lambda: pack(b"\x31" + b"nonsense"), "bundle_unreadable"),
    "has a billion objects": (lambda: pack(entry(Said(BLOB, b"x")), count=10**9), "bundle_too_large"),
    "is a delta that makes much": (lambda: on_base(size=1 << 40), "bundle_too_large"),
    "is a delta that makes more": (lambda: on_base(copying(0, 3000), copying(0, 3000), size=3000), "bundle_unreadable"),
    "is a delta that makes less": (lambda: on_base(copying(0, 10), size=3000), "bundle_unreadable"),
    "is a delta from beyond": (lambda: on_base(copying(2990, 20), size=20), "bundle_unreadable"),
    "is a delta of another size": (lambda: on_base(copying(0, 20), size=20, of=7), "bundle_unreadable"),
    "is a delta with a reserved order": (lambda: on_base(b"\0", size=20), "bundle_unreadable"),
    "is a delta that is cut": (lambda: on_base(b"\xff\x01", size=20), "bundle_unreadable"),
    "is a delta with cut bytes": (lambda: on_base(b"\x14abc", size=20), "bundle_unreadable"),
    "is an empty delta": (lambda: pack(entry(Said(BLOB, BASE)), entry(Said(REF_DELTA, b"", base=object_id(BLOB, BASE)))), "bundle_unreadable"),
    "is a delta of nothing": (lambda: pack(entry(Said(REF_DELTA, delta(1, 1, b"\x01x"), base=A))), "bundle_incomplete"),
    "is a delta of what comes later": (lambda: pack(entry(Said(OFFSET_DELTA, delta(1, 1, b"\x01x"), base=0))), "bundle_incomplete"),
    "is a delta of what is far ahead": (lambda: pack(entry(Said(OFFSET_DELTA, delta(1, 1, b"\x01x"), base=1 << 50))), "bundle_incomplete"),
    "goes in a circle": (lambda: pack(*(entry(Said(REF_DELTA, delta(1, 1, b"\x01x"), base=each)) for each in (A, B))), "bundle_incomplete"),
    "doubles": (lambda: doubling(20), "bundle_too_large"),
    "is a long chain": (lambda: chain(5000), "bundle_too_large"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pack_that_lies_or_asks_for_too_much_is_refused_soon(tmp_path: Path, name: str) -> None:
    make, code = HOSTILE[name]
    sent = packs.bundle(make(), main=A)
    before = time.process_time()
    assert refused(tmp_path, sent)[0] == code
    assert time.process_time() - before < 5


def test_a_chain_as_long_as_git_makes_them_is_read(tmp_path: Path) -> None:
    packed = chain(4000)
    assert list(read(tmp_path, packs.bundle(packed)).references) == []


def test_any_changed_byte_is_refused_or_does_no_harm(made: Path, tmp_path: Path) -> None:
    """With the checksum made right again, so that it is the reader itself that has to notice."""
    data = made.with_suffix(".bundle").read_bytes()
    at = data.index(b"PACK")
    chance = random.Random(20261122)
    seen = set()
    for number in range(120):
        body = bytearray(data[at:-20])
        body[chance.randrange(12, len(body))] = chance.randrange(256)
        sent = data[:at] + bytes(body) + hashlib.sha1(body).digest()
        try:
            read(tmp_path, sent, LIMITS, name=f"{number}.git")
        except VersoError as error:
            seen.add(error.code)
    assert seen <= {"bundle_unreadable", "bundle_incomplete", "bundle_too_large"}
    assert "bundle_unreadable" in seen


def test_hostile_commits_are_read_in_a_moment() -> None:
    before = time.process_time()
    for author in (
        b"<" * MIB,
        b"A <a@x>" + b" " * MIB + b"x",
        b"A <a@x> 1 +0000" + b" 1" * (MIB // 2),
        b"<>" * (MIB // 2),
    ):
        parse_commit("1" * 40, packs.commit(bytes(20), author=author))
    signed = packs.commit(bytes(20), author=b"A <a@x> 7 +0000\ngpgsig x\n" + b" y\n" * (MIB // 3) + b"more x")
    assert parse_commit("1" * 40, signed).author.seconds == 7
    for encoding in (b"punycode", b"IDNA", b"idna", b"zlib", b"no\0name"):
        decode(b"a-" * (MIB // 4), encoding)
    assert time.process_time() - before < 5


def test_zlib_data_that_goes_on_behind_its_end_is_not_taken_for_it(tmp_path: Path) -> None:
    blob = entry(Said(BLOB, b"x")) + zlib.compress(b"y")
    assert refused(tmp_path, packs.bundle(pack(blob), main=A))[0] == "bundle_unreadable"

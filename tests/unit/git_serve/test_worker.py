"""Packs for Git's clients, out of whatever the repository holds; Git itself is the judge."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from app.git.serve.pktline import FLUSH, lines_of, pkt
from app.git.serve.request import parse_request
from app.git.serve.worker import answer

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@x",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@x",
    "GIT_AUTHOR_DATE": "1600000000 +0000",
    "GIT_COMMITTER_DATE": "1600000000 +0000",
}


def git(directory: Path, *arguments: str, data: bytes = b"") -> bytes:
    done = subprocess.run(
        ["git", *arguments], cwd=directory, input=data, capture_output=True, check=False, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with edits of one long file, merges, two roots, a tag, a submodule."""
    root = tmp_path_factory.mktemp("history")
    git(root, "init", "-q", "-b", "main")
    chance = random.Random(7)
    lines = [f"{chance.random()}\n" for _ in range(3000)]
    for number in range(24):
        lines[chance.randrange(len(lines))] = f"{number}\n"
        (root / "long.md").write_text("".join(lines))
        (root / f"d{number % 5}").mkdir(exist_ok=True)
        (root / f"d{number % 5}" / f"{number}.md").write_text(f"{number}\n" * 100)
        git(root, "add", ".")
        git(root, "commit", "-qm", f"{number}")
        if number % 6 == 3:
            git(root, "branch", f"side{number}", "HEAD~2")
            git(root, "checkout", "-q", f"side{number}")
            (root / f"side{number}").write_text("side")
            git(root, "add", ".")
            git(root, "commit", "-qm", "side")
            git(root, "checkout", "-q", "main")
            git(root, "merge", "-q", "-m", "merge", f"side{number}")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(root, "commit", "-qm", "submodule")
    git(root, "tag", "-a", "-m", "noted", "noted", "HEAD~3")
    return root


FORMS = {
    "loose": [],
    "offset deltas": [["repack", "-adfq"]],
    "deltas by id": [["-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq"]],
    "whole": [["-c", "pack.window=0", "repack", "-adfq"]],
}


@pytest.fixture(scope="module", params=[*FORMS, "several packs"])
def repository(
    history: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """The same objects, kept in each way that there is."""
    root = tmp_path_factory.mktemp("form") / "x"
    shutil.copytree(history / ".git", root)
    if request.param == "several packs":
        middle = git(root, "rev-list", "--objects", "main~8").split(b"\n")
        git(root, "pack-objects", "-q", "objects/pack/pack", data=b"\n".join(line[:40] for line in middle))
        git(root, "prune-packed", "-q")
        rest = git(root, "rev-list", "--objects", "main~4", "^main~8").split(b"\n")
        git(root, "pack-objects", "-q", "objects/pack/pack", data=b"\n".join(line[:40] for line in rest))
        git(root, "prune-packed", "-q")
    for command in FORMS.get(request.param, []):
        git(root, *command)
    return root


def rev(repository: Path, name: str) -> str:
    return git(repository, "rev-parse", name).decode().strip()


def asked(repository: Path, *lines: str, done: bool = True) -> tuple[bytes, bytes]:
    """The answer to a request: what was said, and the pack."""
    data = b"".join(b"0000" if line == "" else pkt(f"{line}\n".encode()) for line in lines)
    out = bytearray()
    answer(repository, data + (pkt(b"done\n") if done else b""), out.extend)
    said, _, pack = bytes(out).partition(b"PACK")
    return said, b"PACK" + pack if pack else b""


def objects(repository: Path, *tips: str) -> set[bytes]:
    return {line[:40] for line in git(repository, "rev-list", "--objects", *tips).splitlines()}


def unpacked(directory: Path, pack: bytes, *, into: Path | None = None) -> Path:
    target = into or directory / "target"
    if into is None:
        git(directory, "init", "-q", "--bare", "target")
    git(target, "index-pack", "--stdin", "--fix-thin", "--strict", data=pack)
    return target


def test_a_clone_is_everything_and_sound(repository: Path, tmp_path: Path) -> None:
    head = rev(repository, "main")
    said, pack = asked(repository, f"want {head} multi_ack_detailed ofs-delta thin-pack", "")
    assert said == b"0008NAK\n"
    target = unpacked(tmp_path, pack)
    assert objects(target, head) == objects(repository, "main")
    git(target, "update-ref", "refs/heads/main", head)
    assert git(target, "fsck", "--strict", "--no-dangling") == b""


@pytest.mark.parametrize("capability", ["thin-pack", "", "include-tag"])
def test_an_increment_is_only_what_is_missing(repository: Path, tmp_path: Path, capability: str) -> None:
    old, head = rev(repository, "main~6"), rev(repository, "main")
    _, first = asked(repository, f"want {old}", "")
    target = unpacked(tmp_path, first)
    said, pack = asked(repository, f"want {head} multi_ack_detailed {capability}", "", f"have {old}")
    assert said == pkt(f"ACK {old} common\n".encode()) + pkt(f"ACK {old}\n".encode())
    tagged = capability == "include-tag"
    missing = objects(repository, "main") - objects(repository, old)
    assert int.from_bytes(pack[8:12], "big") == len(missing) + tagged
    unpacked(tmp_path, pack, into=target)
    assert objects(target, head) == objects(repository, "main")
    if tagged:
        assert git(target, "cat-file", "-t", rev(repository, "noted")) == b"tag\n"


def test_side_bands_carry_the_same_pack(repository: Path) -> None:
    head = rev(repository, "main")
    _, plain = asked(repository, f"want {head} multi_ack_detailed", "")
    out = bytearray()
    request = pkt(f"want {head} multi_ack_detailed side-band-64k\n".encode()) + b"0000" + pkt(b"done\n")
    answer(repository, request, out.extend)
    carried, told = b"", b""
    for line in lines_of(bytes(out)):
        if line is not None and line[:1] == b"\x01":
            carried += line[1:]
        elif line is not None and line[:1] == b"\x02":
            told += line[1:]
    # lines_of takes the line ends off, which a pack may have by chance.
    assert len(plain) - 3 <= len(carried) <= len(plain)
    assert b"objects" in told


def test_negotiation_goes_on_until_something_is_common(repository: Path) -> None:
    head, old = rev(repository, "main"), rev(repository, "main~3")
    wanted = f"want {head} multi_ack_detailed"
    said, pack = asked(repository, wanted, "", f"have {'0' * 40}", "", done=False)
    assert (said, pack) == (b"0008NAK\n", b"")
    said, pack = asked(repository, wanted, "", f"have {'0' * 40}", f"have {old}", "", done=False)
    assert said == pkt(f"ACK {old} common\n".encode()) + pkt(f"ACK {old} ready\n".encode()) + b"0008NAK\n"
    assert pack == b""
    said, _ = asked(repository, f"want {head}", "", f"have {old}")
    assert said == pkt(f"ACK {old}\n".encode())


@pytest.mark.parametrize("depth", [1, 2, 7, 1000])
def test_a_depth_ends_history_where_git_ends_it(repository: Path, depth: int, tmp_path: Path) -> None:
    head = rev(repository, "main")
    git(tmp_path, "clone", "-q", "--bare", "--depth", str(depth), f"file://{repository}", "git")
    ends = (
        (tmp_path / "git" / "shallow").read_text().split() if (tmp_path / "git" / "shallow").exists() else []
    )
    said, pack = asked(repository, f"want {head} multi_ack_detailed", f"deepen {depth}", "")
    assert said == b"".join(pkt(f"shallow {each}".encode()) for each in sorted(ends)) + b"0000" + b"0008NAK\n"
    git(tmp_path, "init", "-q", "--bare", "target")
    (tmp_path / "target" / "shallow").write_text("".join(f"{each}\n" for each in ends))
    target = unpacked(tmp_path, pack, into=tmp_path / "target")
    assert objects(target, head) == objects(tmp_path / "git", "HEAD")


def test_any_wants_and_haves_leave_nothing_missing(repository: Path) -> None:
    everything = git(repository, "rev-list", "--all").decode().split()
    chance = random.Random(11)
    for _ in range(12):
        wants, haves = chance.sample(everything, 2), chance.sample(everything, chance.randrange(3))
        lines = [f"want {wants[0]} multi_ack_detailed", f"want {wants[1]}", ""]
        _, pack = asked(repository, *lines, *(f"have {each}" for each in haves))
        count = int.from_bytes(pack[8:12], "big")
        least = (
            objects(repository, *wants, *(f"^{each}" for each in haves))
            if haves
            else objects(repository, *wants)
        )
        held = objects(repository, *haves) if haves else set()
        needed = objects(repository, *wants) - held
        assert len(needed) <= count <= len(objects(repository, *wants))
        assert count <= len(least) + 20


def test_what_is_not_there_is_refused(repository: Path) -> None:
    blob = rev(repository, "main:long.md")
    for wanted in ("1" * 40, blob):
        said, pack = asked(repository, f"want {wanted}", "")
        assert b"ERR not our ref" in said
        assert pack == b""
    for line in ("want x", "deepen -1", "have " + "1" * 40, "filter blob:none", "deepen-since 1"):
        said, _ = asked(repository, f"want {rev(repository, 'main')}", line)
        assert b"ERR " in said


def test_what_no_client_of_git_says_is_answered_all_the_same(repository: Path) -> None:
    head, blob = rev(repository, "main"), rev(repository, "main:long.md")
    said, pack = asked(
        repository, f"want {head}", "", f"have {blob}", f"have {rev(repository, 'main^{tree}')}"
    )
    assert (said, pack[:4]) == (b"0008NAK\n", b"PACK")
    said, pack = asked(repository, f"want {head} deepen-relative", f"shallow {blob}", "deepen 1", "")
    assert (said[-8:], pack[:4]) == (b"0008NAK\n", b"PACK")
    said, pack = asked(repository, f"want {head}", "deepen " + "9" * 5000, "")
    assert (said, pack[:4]) == (b"00000008NAK\n", b"PACK")


def test_what_is_said_a_thousand_times_is_heard_once() -> None:
    """80,000 wants of one tag, each looked for among 80,000 haves, took a worker for minutes."""
    wanted, had = "1" * 40, "2" * 40
    said = [pkt(f"want {wanted}\n".encode())] * 1000 + [FLUSH] + [pkt(f"have {had}\n".encode())] * 1000
    request = parse_request(b"".join(said))
    assert (request.wants, request.haves) == ([wanted], [had])

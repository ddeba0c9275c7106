"""A changelog's whole real history: 791 steps there and back, and who wrote each line of its last version."""

from __future__ import annotations

import lzma
import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import unidiff

from app.text.blame import Source, attribute, line_origins
from app.text.lines import split_lines
from app.text.patch import apply_patch, parse_patch
from app.text.unified import unified_diff

STREAM = Path(__file__).parents[3] / "fixtures" / "histories" / "postgrest-changelog.fast-export.xz"


@pytest.fixture(scope="module")
def stream() -> bytes:
    return lzma.decompress(STREAM.read_bytes())


@pytest.fixture(scope="module")
def versions(stream: bytes) -> list[bytes]:
    found: list[bytes] = []
    header, at = re.compile(rb"M 100644 inline CHANGELOG\.md\ndata (\d+)\n"), 0
    while (said := header.search(stream, at)) is not None:
        at = said.end() + int(said[1])
        found.append(stream[said.end() : at])
    assert len(found) == 792
    return found


@pytest.fixture(scope="module")
def patches(versions: list[bytes]) -> list[bytes]:
    """From each version to the next, each under a name of its own, so that one patch holds them all."""
    return [
        unified_diff(old, new, old_path=f"{n}.md", new_path=f"{n}.md")
        for n, (old, new) in enumerate(pairwise(versions))
    ]


def test_every_step_round_trips_by_our_own_hand(versions: list[bytes], patches: list[bytes]) -> None:
    for (old, new), patch in zip(pairwise(versions), patches, strict=True):
        (file,) = parse_patch(patch)
        assert apply_patch(old, file) == new


def test_unidiff_reads_in_every_step_what_went_and_came(versions: list[bytes], patches: list[bytes]) -> None:
    for (old, new), patch in zip(pairwise(versions), patches, strict=True):
        (file,) = unidiff.PatchSet.from_string(patch, encoding="utf-8", errors="surrogateescape")
        assert file.added - file.removed == len(split_lines(new)) - len(split_lines(old))
        before, after = old.split(b"\n"), new.split(b"\n")
        for hunk in file:
            assert [line.value[:-1].encode() for line in hunk.source_lines()] == before[
                hunk.source_start - 1 : hunk.source_start - 1 + hunk.source_length
            ]
            assert [line.value[:-1].encode() for line in hunk.target_lines()] == after[
                hunk.target_start - 1 : hunk.target_start - 1 + hunk.target_length
            ]


@pytest.mark.parametrize(
    "command",
    [
        ["git", "apply", "--whitespace=nowarn", "-"],
        ["patch", "-p1", "--binary", "--silent", "--fuzz=0", "--no-backup-if-mismatch", "--force"],
    ],
    ids=["git apply", "patch"],
)
def test_every_step_applies_with_others(
    command: list[str], versions: list[bytes], patches: list[bytes], tmp_path: Path
) -> None:
    """One process for all: the old version of each step is a file of its own."""
    for n, old in enumerate(versions[:-1]):
        (tmp_path / f"{n}.md").write_bytes(old)
    run = subprocess.run(
        command,
        cwd=tmp_path,
        input=b"".join(patches),
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )
    assert run.returncode == 0, run.stderr
    for n, new in enumerate(versions[1:]):
        assert (tmp_path / f"{n}.md").read_bytes() == new, n


def test_the_last_version_is_blamed_as_git_does_line_by_line(
    stream: bytes, versions: list[bytes], tmp_path: Path
) -> None:
    def git(*arguments: str, given: bytes | None = None) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        run = subprocess.run(
            ["git", *arguments],
            cwd=tmp_path,
            input=given,
            capture_output=True,
            check=True,
            env=environment,
        )
        return run.stdout.decode()

    git("init", "-q", "-b", "main")
    git("fast-import", "--quiet", given=stream)
    commits = git("rev-list", "--reverse", "main").split()
    runs, before = None, b""
    for commit, text in zip(commits, versions, strict=True):
        runs = attribute(text, version=commit, sources=[] if runs is None else [Source(before, runs)])
        before = text
    assert runs is not None
    blamed = re.findall(
        r"^([0-9a-f]{40}) (\d+) \d+(?: \d+)?$",
        git("blame", "--line-porcelain", "main", "--", "CHANGELOG.md"),
        re.MULTILINE,
    )
    assert list(line_origins(runs)) == [(commit, int(line)) for commit, line in blamed]

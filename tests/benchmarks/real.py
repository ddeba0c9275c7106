"""The real history of a changelog, unpacked where git can be asked about it too."""

from __future__ import annotations

import lzma
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.service import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

PACKED = REPOSITORY / "fixtures" / "histories" / "postgrest-changelog.fast-export.xz"
PATH = "CHANGELOG.md"


@dataclass(frozen=True)
class History:
    """A repository, and the contents of its one document, the oldest first, each unlike the one before."""

    repository: Path
    versions: list[bytes]

    def git(self, *arguments: str, given: bytes | None = None) -> bytes:
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, input=given).stdout


def changelog(directory: Path) -> History:
    """Unpack the fixture."""
    history = History(directory, [])
    directory.mkdir(parents=True)
    history.git("init", "--quiet", "--bare")
    history.git("fast-import", "--quiet", given=lzma.decompress(PACKED.read_bytes()))
    branch = history.git("for-each-ref", "--format=%(refname)", "refs/heads").split()[0].decode()
    history.git("symbolic-ref", "HEAD", branch)
    commits = history.git("log", "--first-parent", "--reverse", "--format=%H", "--", PATH).decode().split()
    asked = "".join(f"{commit}:{PATH}\n" for commit in commits).encode()
    answer = history.git("cat-file", "--batch", given=asked)
    at = 0
    while at < len(answer):
        head = answer.index(b"\n", at)
        size = int(answer[at:head].split()[-1])
        history.versions.append(answer[head + 1 : head + 1 + size])
        at = head + size + 2
    return history

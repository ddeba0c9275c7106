"""One request of `git fetch`, answered by a process of its own: it may take long, and it can be killed.

    python -m app.git.serve.worker DIRECTORY < request > answer

Exit codes: 0 answered, 3 the repository lacks an object that it should have.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pygit2

from app.git.serve.negotiation import acknowledgement, common_of, depths_of, shallow_answer, wanted_commits
from app.git.serve.packs import write_pack
from app.git.serve.pktline import FLUSH, MOST, BadRequestError, pkt
from app.git.serve.request import parse_request
from app.git.serve.selection import select_objects

if TYPE_CHECKING:
    from collections.abc import Callable

DAMAGED = 3
_BAND = b"\x01"
_PROGRESS = b"\x02"


def answer(directory: Path, data: bytes, write: Callable[[bytes], object]) -> None:
    """Write the answer to a request. Raises KeyError when the repository lacks an object."""
    try:
        repository: Any = pygit2.Repository(str(directory))
        request = parse_request(data)
        if not request.wants:
            return
        commits, tags = wanted_commits(repository, request.wants)
        depths = depths_of(repository, request, commits)
        write(shallow_answer(request, depths))
        if not request.asks:
            return
        common = common_of(repository, request)
        write(acknowledgement(request, common))
        if not request.done:
            return
        selection = select_objects(
            repository, request, commits=commits, tags=tags, common=common, depths=depths
        )
    except BadRequestError as error:
        write(pkt(f"ERR {error}".encode()))
        return
    if "thin-pack" not in request.capabilities:
        selection.known.clear()
    if "side-band-64k" in request.capabilities:
        band = _Band(write)
        if "no-progress" not in request.capabilities:
            write(pkt(_PROGRESS + f"Verso: {len(selection.missing):,} objects\n".encode()))
        write_pack(repository, directory / "objects", selection, band.write)
        band.flush()
        write(FLUSH)
    else:
        write_pack(repository, directory / "objects", selection, write)


class _Band:
    """Gathers what a pack is made of into lines of the first side band."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._held = bytearray()

    def write(self, data: bytes) -> None:
        self._held += data
        while len(self._held) >= MOST - 1:
            self._write(pkt(_BAND + bytes(self._held[: MOST - 1])))
            del self._held[: MOST - 1]

    def flush(self) -> None:
        if self._held:
            self._write(pkt(_BAND + bytes(self._held)))


def main() -> int:
    """Answer the request on standard input."""
    out = sys.stdout.buffer
    try:
        answer(Path(sys.argv[1]), sys.stdin.buffer.read(), out.write)
        out.flush()
    except (KeyError, pygit2.GitError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return DAMAGED
    except BrokenPipeError:
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

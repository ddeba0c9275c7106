"""Who judges a version while `verso bisect` looks for the first bad one: a command, or the person."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import rich_click as click

from app.client.looking.halving import Verdict
from app.errors import VersoError
from app.sources.names import kept_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from app.model import Version

    Judge = Callable[[Version, bytes, int], Verdict]

SKIP = 125
"""git bisect's exit code for what can't be told."""
BROKEN = 128
"""From here on a shell says that the command itself failed: that is no verdict."""
PLACE = "{}"


@contextmanager
def judging(command: Sequence[str]) -> Iterator[Judge]:
    """A judge that gets a version, its bytes, and how many may still have to be looked at.

    Each version is a file of the document's name in a directory that goes away at the end. Raises VersoError
    `bisect_stopped` when the command can't be run or ends by a signal, or the person has enough.
    """
    with tempfile.TemporaryDirectory(prefix="verso-bisect-") as directory:

        def judge(version: Version, content: bytes, left: int) -> Verdict:
            # Only the last part of the name, and in a directory of its own: nothing in it leads elsewhere.
            name = PurePosixPath(version.path).name
            file = Path(directory) / ("document" if kept_out(name) else name)
            file.write_bytes(content)
            try:
                return _run(command, file) if command else _ask(version, file, left)
            finally:
                file.unlink(missing_ok=True)

        yield judge


def _run(command: Sequence[str], file: Path) -> Verdict:
    named = [word.replace(PLACE, str(file)) for word in command]
    if named == list(command):
        named.append(str(file))
    try:
        # What it prints is for people: stdout is for the answer.
        ended = subprocess.run(named, check=False, stdout=2, stdin=subprocess.DEVNULL)  # noqa: S603 - the person's own command
    except OSError as error:
        raise VersoError("bisect_stopped", f"{named[0]} can't be run: {error.strerror}.") from None
    if ended.returncode < 0 or ended.returncode >= BROKEN:
        raise VersoError(
            "bisect_stopped", f"{named[0]} ended with {ended.returncode}, which is no verdict on a version."
        )
    if ended.returncode == SKIP:
        return Verdict.skip
    return Verdict.good if ended.returncode == 0 else Verdict.bad


def _ask(version: Version, file: Path, left: int) -> Verdict:
    change = version.change
    click.echo(f"#{change.sequence}, version {version.number} ({left} may be left): {file}", err=True)
    try:
        answer = click.prompt(
            "good, bad, skip or quit", type=click.Choice(["good", "bad", "skip", "quit"]), err=True
        )
    except click.Abort:
        answer = "quit"
    if answer == "quit":
        raise VersoError("bisect_stopped", "Stopped; nothing was changed.")
    return Verdict(answer)

"""Steps done to the folder's files, so that a kill leaves each file as it was or as it shall be.

1  The steps are written down (`Work.begin`), with what is to be remembered at the end.
2  New bytes go into a file in the hidden directory, reach the disk, and take their place by a rename.
3  What was written down is remembered and crossed out in one transaction.

After a kill all steps are done again: what is done already is seen by its hash. No step touches a file that
isn't what the plan saw; its document is *blocked* then, its base stays, and the next plan meets it anew.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from typing import TYPE_CHECKING

import msgspec

from app.client.scan import hash_file, link_target, stat_of
from app.client.work import Remove, Rename, Settle, Write
from app.errors import VersoError
from app.model.modes import EXECUTABLE, SYMLINK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.client.contents import Contents
    from app.client.work import Step, Work

_TOGETHER = 256
"""How many new files reach the disk at once: one wait for all of them."""
_FEW = 8


class Applied(msgspec.Struct, frozen=True):
    """What came of steps."""

    blocked: dict[str, str]
    """Documents whose files weren't touched, with why."""
    rescued: list[str]
    """Copies that were kept of what is in no history, from the folder's root."""


def apply_steps(root: Path, hidden: Path, *, work: Work, contents: Contents) -> Applied:
    """Do what was begun, from its start, and remember it. Nothing to do is fine."""
    steps = work.steps()
    if not steps:
        return Applied({}, [])
    hands = _Hands(root, hidden, contents)
    hands.do([step for step in steps if not isinstance(step, Settle)])
    settled = Settle([], [], [], [])
    for step in steps:
        if isinstance(step, Settle):
            for kept, asked in zip(_parts(settled), _parts(step), strict=True):
                kept.extend(each for each in asked if _document_of(each) not in hands.blocked)
    work.finish(settled)
    hands.tidy()
    return Applied(hands.blocked, hands.rescued)


def _parts(settle: Settle) -> tuple[list[object], ...]:
    return settle.drop, settle.bases, settle.clear, settle.conflicts  # type: ignore[return-value]


def _document_of(part: object) -> str:
    return part if isinstance(part, str) else str(getattr(part, "document", ""))


class _Hands:
    def __init__(self, root: Path, hidden: Path, contents: Contents) -> None:
        self.blocked: dict[str, str] = {}
        self.rescued: list[str] = []
        self._root = root
        self._hidden = hidden
        self._contents = contents
        self._workshop = hidden / "new"
        self._workshop.mkdir(exist_ok=True)
        self._count = 0

    def do(self, steps: Sequence[Step]) -> None:
        """All steps in their order; writes in groups, because waiting for the disk is what takes long."""
        group: list[tuple[Write, Path]] = []
        for step in steps:
            if isinstance(step, Write):
                made = self._guarded(step)
                if made is not None:
                    group.append((step, made))
            elif isinstance(step, Remove):
                self._remove(step)
            elif isinstance(step, Rename):
                self._rename(step)
            if len(group) == _TOGETHER:
                self._place_all(group)
                group = []
        self._place_all(group)

    def tidy(self) -> None:
        """Remove what a killed run left in the workshop."""
        for left in self._workshop.iterdir():
            left.unlink(missing_ok=True)

    # One step --------------------------------------------------------------------------------------

    def _guarded(self, step: Write) -> Path | None:
        """The new file in the workshop; None when nothing is to be done, or may be."""
        try:
            there = self._found(step.path)
            target = self._target(step.path)
            if there == step.sha256 and target.is_symlink() == (step.mode == SYMLINK):
                self._set_mode(step)
                return None
            if there not in {None, step.expected, step.sha256}:
                self._block(step, f"{step.path} was edited meanwhile")
                return None
            return self._make(step)
        except OSError as error:
            self._block(step, f"{step.path} can't be written: {error.strerror}")
            return None

    def _place_all(self, group: Sequence[tuple[Write, Path]]) -> None:
        _to_disk([made for _, made in group])
        for step, made in group:
            try:
                self._place(step, made)
            except OSError as error:
                self._block(step, f"{step.path} can't be written: {error.strerror}")

    def _place(self, step: Write, made: Path) -> None:
        target = self._target(step.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(target):
            if not _put_new(made, target):
                self._block(step, f"{step.path} came into being meanwhile")
            return
        before = stat_of(os.lstat(target))
        found = hash_file(target)
        if found not in {step.expected, step.sha256}:
            self._block(step, f"{step.path} was edited meanwhile")
            return
        held = self._hold(target)
        if stat.S_ISREG(before[4]) and not made.is_symlink():
            made.chmod((stat.S_IMODE(before[4]) & ~0o111) | (_executable_bits(made)))
        if step.rescue:
            self._rescue(held or target, step.path)
        if held is None and stat_of(os.lstat(target))[:2] != before[:2]:
            self._block(step, f"{step.path} was edited meanwhile")
            return
        made.replace(target)
        if held is not None:
            # An editor that writes in place may have written after the look: its bytes are in `held`.
            if hash_file(held) != found:
                self._rescue(held, step.path)
            held.unlink()

    def _remove(self, step: Remove) -> None:
        try:
            there = self._found(step.path)
            if there is None:
                return
            if there != step.expected:
                self._block(step, f"{step.path} was edited meanwhile")
                return
            target = self._target(step.path)
            target.unlink()
            for folder in target.parents:
                if folder == self._root:
                    break
                folder.rmdir()
        except OSError:
            # A folder that isn't empty stays; a file that can't be removed is met again.
            if os.path.lexists(self._root / step.path):
                self._block(step, f"{step.path} can't be removed")

    def _rename(self, step: Rename) -> None:
        try:
            source = self._found(step.source)
            there = self._found(step.path)
            if there == step.sha256 and source in {None, step.sha256}:
                # Done before, but for the old name, if a kill came between the two.
                self._target(step.source).unlink(missing_ok=True)
                return
            if source is None or there not in {None, step.expected}:
                self._block(step, f"{step.source} can't go to {step.path}")
                return
            target = self._target(step.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if there is not None:
                self._target(step.source).replace(target)
            elif not _put_new(self._target(step.source), target):
                self._block(step, f"{step.path} came into being meanwhile")
        except OSError as error:
            self._block(step, f"{step.source} can't go to {step.path}: {error.strerror}")

    # Looking and keeping ---------------------------------------------------------------------------

    def _target(self, path: str) -> Path:
        """Where a document's file is; never reached through a link. Raises OSError."""
        place = self._root
        for segment in path.split("/")[:-1]:
            place /= segment
            if place.is_symlink():
                raise OSError(None, f"{place.relative_to(self._root)} is a symbolic link")
        return place / path.rpartition("/")[2]

    def _found(self, path: str) -> str | None:
        """What is at a path: its SHA-256, or None. Raises OSError for what isn't a file."""
        target = self._target(path)
        try:
            return hash_file(target)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except IsADirectoryError:
            raise OSError(None, "a folder is there") from None

    def _make(self, step: Write) -> Path:
        self._count += 1
        made = self._workshop / f"{os.getpid()}-{self._count}"
        with self._contents.open(step.sha256) as pieces:
            if step.mode == SYMLINK:
                made.symlink_to(b"".join(pieces).decode())
                return made
            with made.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
        _set_executable(made, wanted=step.mode == EXECUTABLE)
        return made

    def _set_mode(self, step: Write) -> None:
        target = self._target(step.path)
        if step.mode != SYMLINK and not target.is_symlink():
            _set_executable(target, wanted=step.mode == EXECUTABLE)

    def _hold(self, target: Path) -> Path | None:
        """A second name for a file, while another one takes its place; None where there are no hard links."""
        self._count += 1
        held = self._workshop / f"{os.getpid()}-{self._count}.held"
        try:
            os.link(target, held, follow_symlinks=False)
        except (OSError, NotImplementedError):
            return None
        return held

    def _rescue(self, file: Path, path: str) -> None:
        self.rescued.append(keep_copy(self._root, self._hidden, path, file=file))

    def _block(self, step: Write | Remove | Rename, why: str) -> None:
        self.blocked[step.document] = why


def keep_copy(root: Path, hidden: Path, path: str, *, file: Path | None = None) -> str:
    """Keep a copy of what is in no history; its name, from the folder's root."""
    source = root / path if file is None else file
    folder = hidden / "rescued"
    folder.mkdir(exist_ok=True)
    number, moment, name = 0, time.strftime("%Y%m%d-%H%M%S"), path.replace("/", "__")[-120:]
    while os.path.lexists(kept := folder / f"{moment}-{number}-{name}"):
        number += 1
    if source.is_symlink():
        kept.write_bytes(link_target(source))
    else:
        shutil.copyfile(source, kept)
    return kept.relative_to(root).as_posix()


def _put_new(made: Path, target: Path) -> bool:
    """Give a file its place, if nothing is there; False when something is."""
    if os.name == "nt":
        try:
            made.rename(target)  # refuses to overwrite there
        except FileExistsError:
            return False
        return True
    try:
        os.link(made, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError:
        # No hard links here. Between the look and the rename lies a moment that can't be helped.
        if os.path.lexists(target):
            return False
        made.replace(target)
        return True
    made.unlink()
    return True


def _executable_bits(file: Path) -> int:
    return file.stat().st_mode & 0o111


def _set_executable(file: Path, *, wanted: bool) -> None:
    if os.name != "posix":
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    # Who may read it may run it, as with Git.
    new = mode | (mode & 0o444) >> 2 if wanted else mode & ~0o111
    if new != mode:
        file.chmod(new)


def _to_disk(files: Sequence[Path]) -> None:
    """Wait until new files are on the disk: a rename must not be there before the bytes are."""
    if len(files) > _FEW and hasattr(os, "sync"):
        os.sync()
        return
    for file in files:
        if not file.is_symlink():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())


def begin_steps(work: Work, *, steps: Sequence[Step], settle: Settle) -> None:
    """Write a plan down; `apply_steps` does it. Raises VersoError `folder_busy` if one is under way."""
    if work.steps():
        raise VersoError(
            "folder_busy", "A pull that was interrupted has to be finished first. Run `verso pull`."
        )
    work.begin([*steps, settle])

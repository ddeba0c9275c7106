"""How the server's history and the folder's edits meet: a plan of what to write, and what has to wait. Pure.

For each document there are three: the base that its file was made from, the file, and the head. What only one
side changed is taken; what both changed is merged by lines; what can't be merged stays as it is here, and
theirs is put beside it. No step of a plan writes over anything that is in no history, except a clean merge,
which holds it, and even then a copy is kept.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from app.client.names import beside
from app.client.work import Base, Conflict, Remove, Rename, Settle, Step, Write
from app.model.modes import ORDINARY, SYMLINK
from app.sources.names import kept_out, stays_inside
from app.text.errors import BinaryMergeError
from app.text.merge import Labels, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.client.edits import Edits
    from app.client.names import Folding
    from app.client.scan import Local
    from app.model import VersionState

MOST_MERGED = 16 * 1024 * 1024
"""The most bytes of a text that is merged by lines; larger ones are put side by side."""


class Plan(msgspec.Struct, frozen=True):
    """What a pull is going to do."""

    steps: list[Step]
    settle: Settle
    merged: dict[str, bytes]
    """Contents that came out of merges and are nowhere yet, by their SHA-256."""
    written: list[str]
    """Paths that get what is new."""
    removed: list[str]
    notes: dict[str, str]
    """Paths of which something is to be told, with what."""
    kept_out: dict[str, str]
    """Documents that can't be files here, with why."""


class Meeting:
    """Plans one pull. `read` gives a content's bytes by its SHA-256.

    Without `links` a symbolic link becomes an ordinary file that holds its target, as Git has it there.
    """

    def __init__(
        self,
        *,
        bases: Mapping[str, Base],
        files: Mapping[str, Local],
        edits: Edits,
        conflicts: Mapping[str, Conflict],
        heads: Mapping[str, VersionState],
        folding: Folding,
        read: Callable[[str], bytes],
        read_file: Callable[[Local], bytes],
        links: bool,
    ) -> None:
        self._bases = {base.document: base for base in bases.values()}
        self._files = files
        self._now = {base.document: path for path, base in edits.moved.items()}
        self._conflicts = {each.document: each for each in conflicts.values()}
        self._heads = heads
        self._folding = folding
        self._read = read
        self._read_file = read_file
        self._links = links
        self._writes: list[Write] = []
        self._renames: list[Rename] = []
        self._removes: list[Remove] = []
        self._settle = Settle([], [], [], [])
        self._merged: dict[str, bytes] = {}
        self._written: list[str] = []
        self._notes: dict[str, str] = {}
        self._kept_out: dict[str, str] = {}
        self._leaving: set[str] = set()
        self._beside = set(files) | {head.path for head in heads.values() if head.sha256 is not None}

    def plan(self) -> Plan:
        """Meet every document."""
        live = {document: head for document, head in self._heads.items() if head.sha256 is not None}
        wanted = self._possible(live)
        # A path that a file leaves in this very pull is free for another one: if all of it is in history.
        self._leaving = {
            local.path
            for document, base in self._bases.items()
            if ((head := wanted.get(document)) is None or head.path != base.path)
            and (document not in live or head is not None)
            and (local := self._local(base)) is not None
            and _same(local, base)
        }
        for document in {**self._bases, **wanted}:
            base, head = self._bases.get(document), wanted.get(document)
            if document in live and head is None:
                continue  # kept out: what is here of it stays as it is
            if head is None:
                if base is not None:
                    self._gone(base)
            elif base is None:
                self._new(head)
            else:
                self._both(base, head)
        targets = {write.path for write in self._writes} | {rename.path for rename in self._renames}
        removes = [each for each in self._removes if each.path not in targets]
        return Plan(
            steps=[*removes, *self._renames, *self._writes],
            settle=self._settle,
            merged=self._merged,
            written=sorted(self._written),
            removed=sorted(each.path for each in removes),
            notes=self._notes,
            kept_out=self._kept_out,
        )

    # The cases -------------------------------------------------------------------------------------

    def _gone(self, base: Base) -> None:
        """Deleted there."""
        local = self._local(base)
        if local is None:
            self._settle.drop.append(base.document)
            self._clear(base.document)
        elif _same(local, base):
            self._leave(base.document, local)
            self._settle.drop.append(base.document)
            self._clear(base.document)
        else:
            self._conflict(
                Conflict(
                    path=local.path,
                    document=base.document,
                    version=None,
                    beside=None,
                    beside_sha256=None,
                    reason="was deleted by someone else, and edited here",
                )
            )

    def _new(self, head: VersionState) -> None:
        """Not here yet."""
        there = self._files.get(head.path)
        if there is not None and _is(there, head):
            self._settled(head)
        elif self._free(head):
            self._write(head)
        else:
            self._side_by_side(head, head.path, "was added by someone else, and is another file here")

    def _both(self, base: Base, head: VersionState) -> None:
        """Here and there."""
        local = self._local(base)
        changed = (head.sha256, head_mode(head)) != (base.sha256, base.mode)
        if local is None:
            self._without_file(base, head, changed=changed)
            return
        path = local.path if head.path == base.path else head.path
        if path != local.path and not self._free(head):
            self._side_by_side(head, path, "was moved there by someone else, and is another file here")
        elif _same(local, base) and (changed or path != local.path):
            self._write(head, path=path)
            if path != local.path:
                self._leave(base.document, local)
        elif _is(local, head) or not changed:
            if path != local.path:
                self._rename(base.document, local, path)
            if base.version != head.hash:
                self._settled(head)
        elif not self._waits(head):
            self._merge(base, local, head, path)

    def _without_file(self, base: Base, head: VersionState, *, changed: bool) -> None:
        """Here it was deleted."""
        if not changed:
            if base.version != head.hash:
                self._settled(head)
        elif self._free(head):
            self._notes[head.path] = "was deleted here, and edited by someone else: it is back"
            self._write(head)
        else:
            self._side_by_side(head, head.path, "was edited by someone else, and is another file here")

    def _merge(self, base: Base, local: Local, head: VersionState, path: str) -> None:
        mode = local.mode if head_mode(head) == base.mode else head_mode(head)
        sha256: str | None
        if local.sha256 == base.sha256:
            sha256 = head.sha256
        elif head.sha256 == base.sha256:
            sha256 = local.sha256
        else:
            sha256 = self._text(base, local, head, mode)
        if sha256 is None:
            self._side_by_side(head, local.path, "was changed by both sides in the same place")
            return
        if path != local.path:
            # Yours goes where the document is now, and is merged there: so nothing is in two places.
            self._rename(base.document, local, path)
        if (sha256, mode) != (local.sha256, local.mode):
            rescue = local.sha256 not in {sha256, base.sha256}
            self._writes.append(Write(base.document, path, sha256, mode, local.sha256, rescue=rescue))
            self._written.append(path)
        self._notes[path] = "was changed by both sides, and merged"
        self._settled(head)

    def _text(self, base: Base, local: Local, head: VersionState, mode: str) -> str | None:
        """The SHA-256 of the merged text; None when it can't be merged."""
        modes = {mode, local.mode, base.mode, head_mode(head)}
        if SYMLINK in modes or max(local.size, head.size or 0) > MOST_MERGED:
            return None
        yours = self._read_file(local)
        try:
            merged = merge(self._read(base.sha256), self._read(head.sha256 or ""), yours, labels=Labels())
        except BinaryMergeError:
            return None
        if not merged.clean:
            return None
        sha256 = hashlib.sha256(merged.text).hexdigest()
        self._merged[sha256] = merged.text
        return sha256

    # Steps -----------------------------------------------------------------------------------------

    def _write(self, head: VersionState, *, path: str | None = None) -> None:
        """Their content, where nothing is or what history holds."""
        path = path or head.path
        expected = self._expected(path)
        self._writes.append(Write(head.document, path, head.sha256 or "", self._plain_mode(head), expected))
        self._written.append(path)
        self._settled(head)

    def _settled(self, head: VersionState) -> None:
        self._settle.bases.append(self._base(head))
        self._clear(head.document)

    def _rename(self, document: str, local: Local, path: str) -> None:
        self._renames.append(Rename(document, local.path, path, local.sha256, self._expected(path)))
        self._written.append(path)

    def _leave(self, document: str, local: Local) -> None:
        self._removes.append(Remove(document, local.path, local.sha256))

    def _expected(self, path: str) -> str | None:
        there = self._files.get(path)
        return None if there is None else there.sha256

    def _waits(self, head: VersionState) -> bool:
        """Whether the person has been asked about this very version."""
        waiting = self._conflicts.get(head.document)
        return waiting is not None and waiting.version == head.hash

    def _side_by_side(self, head: VersionState, path: str, reason: str) -> None:
        """Yours stays; theirs is put beside it."""
        waiting = self._conflicts.get(head.document)
        if waiting is not None and waiting.version == head.hash and waiting.path == path:
            return
        if waiting is not None and waiting.beside is not None and waiting.path == path:
            name, expected = waiting.beside, waiting.beside_sha256
        else:
            number = 1
            while (name := beside(path, number)) in self._beside:
                number += 1
            expected = None
        self._beside.add(name)
        self._writes.append(Write(head.document, name, head.sha256 or "", ORDINARY, expected))
        self._conflict(
            Conflict(
                path=path,
                document=head.document,
                version=head.hash,
                beside=name,
                beside_sha256=head.sha256,
                reason=reason,
            )
        )

    def _conflict(self, conflict: Conflict) -> None:
        waiting = self._conflicts.get(conflict.document)
        if waiting is not None and waiting.path != conflict.path:
            self._clear(conflict.document)
        self._settle.conflicts.append(conflict)

    def _clear(self, document: str) -> None:
        """A conflict that is none any more; what was put beside goes, unless somebody has edited it."""
        waiting = self._conflicts.get(document)
        if waiting is None:
            return
        self._settle.clear.append(waiting.path)
        if waiting.beside is not None and waiting.beside_sha256 is not None:
            self._removes.append(Remove(document, waiting.beside, waiting.beside_sha256))

    # Looking ---------------------------------------------------------------------------------------

    def _possible(self, live: Mapping[str, VersionState]) -> dict[str, VersionState]:
        """Those that can be files here; of two names that are one here, the one that is here already."""
        possible: dict[str, VersionState] = {}
        folded: dict[str, str] = {}
        known = sorted(live.values(), key=lambda head: (head.document not in self._bases, head.path.encode()))
        for head in known:
            why = kept_out(head.path, mode=head_mode(head))
            key = self._folding.fold(head.path)
            if why is None and key in folded:
                why = f"has a name that is the same as {folded[key]} on this file system"
            if why is not None:
                self._kept_out[head.path] = why
                continue
            folded[key] = head.path
            possible[head.document] = head
        return possible

    def _local(self, base: Base) -> Local | None:
        return self._files.get(self._now.get(base.document, base.path))

    def _free(self, head: VersionState) -> bool:
        """Whether a document may come to its path: nothing is there, or what goes, or the very same."""
        there = self._files.get(head.path)
        return there is None or there.path in self._leaving or _is(there, head)

    def _base(self, head: VersionState) -> Base:
        mode = head_mode(head)
        return Base(
            path=head.path,
            document=head.document,
            version=head.hash,
            sha256=head.sha256 or "",
            mode=mode,
            plain=mode == SYMLINK and self._plain_mode(head) != SYMLINK,
        )

    def _plain_mode(self, head: VersionState) -> str:
        """The mode to write a document with: a link that leads out of the folder becomes an ordinary file."""
        mode = head_mode(head)
        if mode != SYMLINK:
            return mode
        try:
            target = self._read(head.sha256 or "").decode()
        except UnicodeDecodeError:
            return ORDINARY
        return SYMLINK if self._links and stays_inside(head.path, target) else ORDINARY


def head_mode(head: VersionState) -> str:
    """A version's mode, as Git writes it."""
    return head.mode or ORDINARY


def _same(local: Local, base: Base) -> bool:
    return (local.sha256, local.mode) == (base.sha256, base.mode)


def _is(local: Local, head: VersionState) -> bool:
    return (local.sha256, local.mode) == (head.sha256, head_mode(head))

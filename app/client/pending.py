"""A push whose answer isn't known yet: written down before it is sent, so that a kill never writes twice.

The same edits are sent again under the same key, and the server answers as it did. If the files have changed
by then, the accepted change is recognised in the history that comes: it wrote what was written down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.client.work import Base, Settle
from app.model import Action, VersionState
from app.model.modes import ORDINARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.client.folder import Folder

_NOTE = "pushing"


class Piece(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document's part of a push."""

    path: str
    document: str | None = None
    base: str | None = None
    sha256: str | None = None
    """New content; None keeps it, or deletes."""
    size: int = 0
    mode: str | None = None
    delete: bool = False
    restore: int | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A push that was sent, or was about to be."""

    key: str
    message: str
    newest: int
    """The newest change that was here then."""
    pieces: list[Piece]


def pending_of(folder: Folder) -> Pending | None:
    """The push whose answer isn't known, or None."""
    found: Pending | None = folder.work.note(_NOTE, Pending)
    return found


def write_down(folder: Folder, pending: Pending) -> None:
    """Remember a push before it is sent."""
    folder.work.set_note(_NOTE, pending)


def forget(folder: Folder) -> None:
    """The push was refused: nothing of it was written."""
    folder.work.set_note(_NOTE, None)


def settle_versions(folder: Folder, versions: Iterable[VersionState]) -> None:
    """The server has these: they are what the files were made from now."""
    known = {base.document: base for base in folder.work.bases().values()}
    settle = Settle([], [], [], [])
    for version in versions:
        if version.sha256 is None:
            settle.drop.append(version.document)
        else:
            settle.bases.append(base_of(version, known))
    # What was told of moves and restores is history now.
    moves = folder.work.moves()
    bases = {base.path for base in settle.bases}
    stay = {source: target for source, target in moves.items() if target not in bases}
    folder.work.settle(settle, **{_NOTE: None})
    if stay != moves:
        folder.work.set_moves(stay)


def base_of(version: VersionState, known: Mapping[str, Base]) -> Base:
    """A version as a base; a link that is an ordinary file here stays one."""
    before = known.get(version.document)
    return Base(
        path=version.path,
        document=version.document,
        version=version.hash,
        sha256=version.sha256 or "",
        mode=version.mode or ORDINARY,
        plain=before is not None and before.plain and version.mode == before.mode,
    )


def recognise(folder: Folder) -> bool:
    """See whether the mirror's history holds the pending push; if so, settle it."""
    pending = pending_of(folder)
    if pending is None:
        return False
    for change in folder.mirror.changes(after=pending.newest, oldest_first=True):
        if change.message == pending.message and _is_it(change.versions, pending.pieces):
            settle_versions(folder, change.versions)
            return True
    return False


def _is_it(versions: Iterable[VersionState], pieces: list[Piece]) -> bool:
    wrote = {version.path: version for version in versions}
    asked = {piece.path: piece for piece in pieces}
    # What was as asked already isn't part of the change.
    return (
        bool(wrote)
        and wrote.keys() <= asked.keys()
        and all(_wrote(version, asked[path]) for path, version in wrote.items())
    )


def _wrote(version: VersionState, piece: Piece) -> bool:
    if piece.base is not None and version.parent != piece.base:
        return False
    if piece.delete:
        return version.action is Action.delete
    return piece.sha256 is None or version.sha256 == piece.sha256

"""What differs: pairs of what a document was and is, between two points, in a change, or up to the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.errors import VersoError
from app.model import Action
from app.model.modes import ORDINARY
from app.text.unified import unified_diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.client.folder import Folder
    from app.client.looking.source import History
    from app.client.scan import Local
    from app.model import VersionState

ERASED = "its bytes were erased"


@dataclass(frozen=True)
class Side:
    """One side of a difference: a version, or a file of the folder."""

    path: str
    sha256: str
    mode: str | None = None
    version: VersionState | None = None
    file: Local | None = None


@dataclass(frozen=True)
class Pair:
    """What a document was and is; None where it wasn't or isn't there."""

    older: Side | None
    newer: Side | None

    @property
    def path(self) -> str:
        """Where the document is, or was."""
        side = self.newer or self.older
        assert side is not None  # noqa: S101 - a pair has a side
        return side.path


def between(history: History, older: int, newer: int, *, prefix: str = "") -> list[Pair]:
    """What differs between two changes; a document that moved is one pair."""
    before, after = _by_document(history, older), _by_document(history, newer)
    return _pairs(before, after, prefix=prefix)


def of_change(history: History, sequence: int) -> list[Pair]:
    """What a change did: each version beside the one before it."""
    pairs = []
    for version in history.mirror.change(sequence).versions:
        parent = None if version.parent is None else history.mirror.version(version.parent)
        pairs.append(Pair(_side(parent), _side(version)))
    return pairs


def up_to_files(history: History, folder: Folder, at: int | None, *, prefix: str = "") -> list[Pair]:
    """What differs between a change and the folder's files; without a change, what a push would send."""
    looked = folder.look()
    documents = {path: base.document for path, base in looked.bases.items()}
    documents |= {path: base.document for path, base in looked.edits.moved.items()}
    after = {
        documents.get(path, f"new:{path}"): Side(path, file.sha256, _mode(file.mode), file=file)
        for path, file in looked.files.items()
    }
    if at is not None:
        return _pairs(_by_document(history, at), after, prefix=prefix)
    versions = (history.mirror.version(base.version) for base in looked.bases.values())
    before = {each.document: side for each in versions if (side := _side(each)) is not None}
    return _pairs(before, after, prefix=prefix)


@dataclass(frozen=True)
class Reader:
    """Reads both sides of pairs, what is missing of them fetched at once."""

    history: History
    folder: Folder | None = None

    def read(self, pairs: list[Pair]) -> Iterator[tuple[Pair, bytes | None, bytes | None]]:
        """Each pair with its bytes; None in place of bytes that were erased."""
        self.history.need(
            side.version for pair in pairs for side in (pair.older, pair.newer) if side is not None
        )
        for pair in pairs:
            yield pair, self._bytes(pair.older), self._bytes(pair.newer)

    def _bytes(self, side: Side | None) -> bytes | None:
        if side is None:
            return b""
        if side.file is not None:
            if self.folder is None:
                raise VersoError("no_working_folder", "Files of a folder are compared inside of it only.")
            return self.folder.read_local(side.file)
        return None if self.history.is_erased(side.version) else self.history.bytes_of(side.version)


def patch_of(pair: Pair, old: bytes | None, new: bytes | None, *, context: int = 3) -> bytes:
    """A pair as a patch that `git apply` takes; of erased bytes a line that says so."""
    before = pair.older.path if pair.older else None
    after = pair.newer.path if pair.newer else None
    if old is None or new is None:
        return f"{pair.path}: {ERASED}\n".encode()
    return unified_diff(old, new, old_path=before, new_path=after, context=context)


def _by_document(history: History, at: int) -> dict[str, Side]:
    found = {}
    for version in history.mirror.tree(at).values():
        side = _side(version)
        if side is not None:
            found[version.document] = side
    return found


def _side(version: VersionState | None) -> Side | None:
    if version is None or version.action is Action.delete or version.sha256 is None:
        return None
    return Side(version.path, version.sha256, version.mode, version=version)


def _pairs(before: Mapping[str, Side], after: Mapping[str, Side], *, prefix: str) -> list[Pair]:
    pairs = [Pair(before.get(each), after.get(each)) for each in before.keys() | after.keys()]
    different = [pair for pair in pairs if _differs(pair) and _concerns(pair, prefix)]
    return sorted(different, key=lambda pair: pair.path.encode())


def _differs(pair: Pair) -> bool:
    older, newer = pair.older, pair.newer
    if older is None or newer is None:
        return True
    return (older.path, older.sha256, older.mode) != (newer.path, newer.sha256, newer.mode)


def _concerns(pair: Pair, prefix: str) -> bool:
    sides = [side.path for side in (pair.older, pair.newer) if side is not None]
    return not prefix or any(path == prefix or path.startswith(f"{prefix}/") for path in sides)


def _mode(mode: str) -> str | None:
    return None if mode == ORDINARY else mode

"""Repositories made object by object, so that they can hold what `git` itself would hesitate to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pygit2
from pygit2.enums import ObjectType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START = 1_600_000_000
ANNA = b"Anna <anna@example.com>"


class File(NamedTuple):
    """What a path has, with its mode; a submodule's data is its commit's id in 20 bytes."""

    data: bytes
    mode: bytes = b"100644"


def link(target: str) -> File:
    return File(target.encode(), b"120000")


def script(data: bytes) -> File:
    return File(data, b"100755")


def module(commit: str) -> File:
    return File(bytes.fromhex(commit), b"160000")


class Maker:
    """A bare repository whose main branch is the commit that was made last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repository: Any = pygit2.init_repository(str(path), bare=True, initial_head="main")
        self._seconds = START

    def commit(
        self,
        files: Mapping[Any, Any],
        *parents: str,
        message: bytes = b"a commit\n",
        author: bytes = ANNA,
        committer: bytes | None = None,
        at: int | None = None,
        authored: int | None = None,
        encoding: bytes | None = None,
        tree: bytes | None = None,
    ) -> str:
        """A commit with exactly these files (paths as str or bytes; contents as bytes or File); its id."""
        self._seconds += 60
        when = self._seconds if at is None else at
        lines = [b"tree " + (tree or self.tree(files)).hex().encode()]
        lines += [b"parent " + parent.encode() for parent in parents]
        lines.append(b"author %s %d +0100" % (author, when if authored is None else authored))
        lines.append(b"committer %s %d -0300" % (committer or author, when))
        if encoding is not None:
            lines.append(b"encoding " + encoding)
        made = self._write(ObjectType.COMMIT, b"\n".join(lines) + b"\n\n" + message)
        self.branch("main", made.hex())
        return made.hex()

    def line(self, *states: Mapping[Any, Any]) -> list[str]:
        """Commits one after the other; their ids."""
        made: list[str] = []
        for files in states:
            made.append(self.commit(files, *made[-1:]))
        return made

    def branch(self, name: str, commit: str) -> None:
        self.repository.references.create(f"refs/heads/{name}", pygit2.Oid(hex=commit), force=True)

    def tag(self, name: str, target: str, message: str | None = None) -> None:
        """A lightweight tag, or with a message an annotated one."""
        oid = target
        if message is not None:
            raw = f"object {target}\ntype commit\ntag {name}\ntagger Anna <anna@example.com> {START} +0000\n\n{message}"
            oid = self._write(ObjectType.TAG, raw.encode()).hex()
        self.repository.references.create(f"refs/tags/{name}", pygit2.Oid(hex=oid), force=True)

    def tree(self, files: Mapping[Any, Any]) -> bytes:
        """A tree of files; its id in 20 bytes."""
        below: dict[bytes, dict[bytes, Any]] = {}
        entries: list[tuple[bytes, bytes, bytes, bytes]] = []
        for path, given in files.items():
            raw = path.encode() if isinstance(path, str) else path
            folder, slash, rest = raw.partition(b"/")
            if slash:
                below.setdefault(folder, {})[rest] = given
                continue
            file = given if isinstance(given, File) else File(given)
            oid = file.data if file.mode == b"160000" else self._write(ObjectType.BLOB, file.data)
            entries.append((raw, file.mode, raw, oid))
        for folder, files_below in below.items():
            entries.append((folder + b"/", b"40000", folder, self.tree(files_below)))
        body = b"".join(mode + b" " + name + b"\0" + oid for _, mode, name, oid in sorted(entries))
        return self._write(ObjectType.TREE, body)

    def _write(self, kind: ObjectType, data: bytes) -> bytes:
        return bytes.fromhex(str(self.repository.write(kind, data)))

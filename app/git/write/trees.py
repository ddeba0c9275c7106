"""The tree before, and what changed in it, make the tree after. Only the folders on the way are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pygit2.enums import ObjectType

from app.git.read.objects import parse_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = b"40000"


class Entry(NamedTuple):
    """What a path holds: Git's mode (100644, …) and the object's id in 20 bytes."""

    mode: bytes
    oid: bytes


def edited_tree(repository: Any, tree: bytes | None, edits: Mapping[str, Entry | None]) -> bytes:
    """The id (20 bytes) of a tree in which each edited path holds its entry, or nothing when that is None.

    `tree` is the id of the tree before, or None for an empty one. Folders without content vanish, as in Git;
    a project without documents has the empty tree.
    """
    nested: dict[bytes, Any] = {}
    for path, entry in edits.items():
        *folders, name = path.encode().split(b"/")
        at: Any = nested
        for folder in folders:
            held = at.get(folder)
            if isinstance(held, Entry):
                break  # a folder that gives way to a document: what was in it goes with it
            if held is None:
                held = at[folder] = {}
            at = held
        else:
            # A document that gives way to a folder goes when the folder gets its content.
            if entry is not None or not at.get(name):
                at[name] = entry
    return _edited(repository, tree, nested) or _written(repository, {})


def _edited(repository: Any, tree: bytes | None, edits: dict[bytes, Any]) -> bytes | None:
    entries: dict[bytes, Entry] = {}
    if tree is not None:
        entries = {name: Entry(mode, oid) for mode, name, oid in parse_tree(repository.read(tree.hex())[1])}
    for name, edit in edits.items():
        if isinstance(edit, dict):
            held = entries.get(name)
            below = held.oid if held is not None and held.mode == _FOLDER else None
            oid = _edited(repository, below, edit)
            edit = None if oid is None else Entry(_FOLDER, oid)  # noqa: PLW2901
            if edit is None and held is not None and held.mode != _FOLDER:
                continue
        if edit is None:
            entries.pop(name, None)
        else:
            entries[name] = edit
    return _written(repository, entries) if entries else None


def _written(repository: Any, entries: dict[bytes, Entry]) -> bytes:
    # Git's order: bytes of the names, folders as if they ended in a slash.
    ordered = sorted(entries.items(), key=lambda item: item[0] + b"/" * (item[1].mode == _FOLDER))
    data = b"".join(entry.mode + b" " + name + b"\0" + entry.oid for name, entry in ordered)
    oid: bytes = repository.write(ObjectType.TREE, data).raw
    return oid

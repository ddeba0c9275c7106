"""Trees as an import takes them: names as paths, what is left out left out, compared with one another.

What an import takes of a tree is a pure function of that tree, the filter and the contents: not of how one
got there. So a second run, a proof and another machine see the same.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pygit2

from app.errors import VersoError
from app.git.read.names import distinct_names, shown
from app.git.read.objects import object_missing, parse_tree
from app.model import LeftOut, normal_path
from app.model.modes import EXECUTABLE, ORDINARY, SUBMODULE, SYMLINK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.git.read.contents import Contents

TREE = "40000"
_MOST_CACHED = 400_000
"""Entries of trees that are kept taken apart: some 100 MB at most, a few MB for most repositories."""
_MOST_FOLDERS = 50_000
"""Folders that one commit changes; a change takes a fifth of that in documents."""
_MOST_LISTED = 20_000
"""Paths that are listed one by one in a report; the others are counted."""


class Rules(Protocol):
    """Which paths are taken (`app.sources.filters.Filter`)."""

    def verdict(self, path: str, *, is_dir: bool = False) -> str | None:
        """Why a path is left out, or None; a folder only when everything below it is left out."""


class Leaf(NamedTuple):
    """What a path has: a blob, a symbolic link's target, or a submodule's commit."""

    mode: str
    oid: bytes


class PathChange(NamedTuple):
    """A path that two trees have differently; None where one doesn't have it."""

    path: str
    old: Leaf | None
    new: Leaf | None


class Findings:
    """What was left out and what was renamed, each path once, in the order in which it was met."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self.left_out: list[LeftOut] = []
        self.rewritten: list[LeftOut] = []
        self.counts: dict[str, int] = {}
        """How many paths for each reason, also those that are not listed any more."""

    def leave_out(self, path: str, reason: str) -> None:
        """Note a path that isn't taken."""
        self._note(self.left_out, path, reason)

    def rewrite(self, path: str, reason: str) -> None:
        """Note a path that is taken otherwise than Git has it."""
        self._note(self.rewritten, path, reason)

    def _note(self, notes: list[LeftOut], path: str, reason: str) -> None:
        if (path, reason) not in self._seen:
            self.counts[reason] = self.counts.get(reason, 0) + 1
            if len(self._seen) < _MOST_LISTED:
                self._seen.add((path, reason))
                notes.append(LeftOut(path=path, reason=reason))


class Trees:
    """A repository's trees through a filter. Not for two threads."""

    def __init__(self, repository: Any, *, rules: Rules, contents: Contents) -> None:
        self._repository = repository
        self._rules = rules
        self._contents = contents
        self.findings = Findings()
        self._listings: OrderedDict[bytes, dict[str, Leaf]] = OrderedDict()
        self._cached = 0
        self._walked = 0
        self._verdicts: dict[str, str | None] = {}
        self._ids: OrderedDict[tuple[bytes, str], bytes | None] = OrderedDict()

    def differences(self, old: bytes | None, new: bytes | None, prefix: str = "") -> Iterator[PathChange]:
        """The paths that two trees (by id; None is an empty one) have differently, in order of names.

        Raises VersoError `commit_too_large`: a few trees that hold one another can be any number of folders.
        """
        self._walked = self._walked + 1 if prefix else 0
        if self._walked > _MOST_FOLDERS:
            raise VersoError(
                "commit_too_large",
                f"A commit changes more than {_MOST_FOLDERS:,} folders at once, and can't be one change.",
            )
        before = self._listing(old, prefix) if old else {}
        after = self._listing(new, prefix) if new else {}
        for name in sorted({name for name, _ in before.items() ^ after.items()}):
            path = prefix + name
            was, now = before.get(name), after.get(name)
            old_tree = was.oid if was and was.mode == TREE else None
            new_tree = now.oid if now and now.mode == TREE else None
            if (old_tree or new_tree) and self._takes(path, is_dir=True):
                yield from self.differences(old_tree, new_tree, path + "/")
            was = was if was and not old_tree and self._takes_leaf(path, was) else None
            now = now if now and not new_tree and self._takes_leaf(path, now) else None
            if was != now:
                yield PathChange(path, was, now)

    def leaf(self, tree: bytes, path: str) -> Leaf | None:
        """What a path has in a tree, as an import takes it."""
        *folders, name = path.split("/")
        prefix = ""
        at: bytes = tree
        for folder in folders:
            entry = self._listing(at, prefix).get(folder)
            if entry is None or entry.mode != TREE:
                return None
            prefix += folder + "/"
            at = entry.oid
        found = self._listing(at, prefix).get(name)
        return found if found and found.mode != TREE and self._takes_leaf(path, found) else None

    def tree_id(self, tree: bytes, prefix: str = "") -> bytes | None:
        """The id that Git gives to what an import takes of a tree; None when it takes nothing of it.

        It is the tree's own id when everything is taken as it is.
        """
        key = (tree, prefix)
        if key in self._ids:
            return self._ids[key]
        entries: list[tuple[str, Leaf]] = []
        for name, entry in self._listing(tree, prefix).items():
            path = prefix + name
            if entry.mode != TREE:
                if self._takes_leaf(path, entry):
                    entries.append((name, entry))
            elif self._takes(path, is_dir=True):
                below = self.tree_id(entry.oid, path + "/")
                if below is not None:
                    entries.append((name, Leaf(TREE, below)))
        found = id_of_tree(entries) if entries or not prefix else None
        self._ids[key] = found
        if len(self._ids) > _MOST_CACHED // 10:
            self._ids.popitem(last=False)
        return found

    def _listing(self, tree: bytes, prefix: str) -> dict[str, Leaf]:
        held = self._listings.get(tree)
        if held is not None:
            self._listings.move_to_end(tree)
            return held
        raws = self._entries(tree)
        names, lost = distinct_names(list(raws))
        for name in lost:
            self.findings.leave_out(
                prefix + shown(name), "another path has the same name in Unicode's form C"
            )
        listing: dict[str, Leaf] = {}
        for name, text in names.items():
            mode, oid = raws[name]
            if text.encode() != name:
                reason = "its name in Git is " + shown(name) + (" (not UTF-8)" if _broken(name) else "")
                self.findings.rewrite(prefix + text, reason)
            known = _mode(int(mode, 8))
            if known.encode() != mode:
                self.findings.rewrite(prefix + text, f"its mode in Git is {mode.decode('ascii', 'replace')}")
            listing[text] = Leaf(known, oid)
        self._listings[tree] = listing
        self._cached += len(listing) + 1
        while self._cached > _MOST_CACHED and len(self._listings) > 1:
            self._cached -= len(self._listings.popitem(last=False)[1]) + 1
        return listing

    def _entries(self, tree: bytes) -> dict[bytes, tuple[bytes, bytes]]:
        """A tree's modes and ids by raw names. Raises VersoError `git_object_missing`."""
        try:
            _, raw = self._repository.odb.read(tree.hex())
            entries = parse_tree(raw)
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise object_missing("tree", tree) from error
        return {name: (mode, oid) for mode, name, oid in entries}

    def _takes(self, path: str, *, is_dir: bool) -> bool:
        key = path + "/" if is_dir else path
        if key in self._verdicts:
            return self._verdicts[key] is None
        reason = self._rules.verdict(path, is_dir=is_dir)
        if reason is None and not is_dir:
            reason = _path_fault(path)
        if reason is not None:
            self.findings.leave_out(key, reason)
        if len(self._verdicts) >= _MOST_CACHED:
            self._verdicts.clear()
        self._verdicts[key] = reason
        return reason is None

    def _takes_leaf(self, path: str, leaf: Leaf) -> bool:
        if not self._takes(path, is_dir=False):
            return False
        reason = self._contents.verdict(leaf.mode, leaf.oid)
        if reason is not None:
            self.findings.leave_out(path, reason)
        return reason is None


def id_of_tree(entries: list[tuple[str, Leaf]]) -> bytes:
    """The id (20 bytes) of a Git tree with these entries, in whatever order they come."""
    rows = sorted(
        (name.encode() + (b"/" if leaf.mode == TREE else b""), name, leaf) for name, leaf in entries
    )
    body = b"".join(b"%s %s\0%s" % (leaf.mode.encode(), name.encode(), leaf.oid) for _, name, leaf in rows)
    return hashlib.sha1(b"tree %d\0%s" % (len(body), body), usedforsecurity=False).digest()


def _mode(written: int) -> str:
    """One of the modes that Git writes today; early versions wrote 100664, and some tools 040000."""
    special = {0o04: TREE, 0o12: SYMLINK, 0o16: SUBMODULE}.get(written >> 12)
    if special is not None:
        return special
    return EXECUTABLE if written & 0o100 else ORDINARY


def _broken(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return True
    return False


def _path_fault(path: str) -> str | None:
    try:
        normal_path(path)
    except VersoError as error:
        return error.sentence
    return None

"""The proof of an import: the history is read back, and must give Git's own tree at every commit.

From the server come paths, modes and SHA-256 of contents. `hashes` looks up each content in Git and compares
its SHA-256, computed here from Git's bytes; `full` fetches each content and computes Git's blob ids from what
came. Either way each change's tree id is computed anew and compared with its commit's, as filtered.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec

from app.git.read.contents import blob_id
from app.git.read.proof import GrowingTree
from app.git.read.trees import Leaf
from app.model import change_canonical, hash_of, version_canonical
from app.model.modes import ORDINARY, SUBMODULE
from app.sources.git.past import Replay, whole_history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.git.read.history import History
    from app.git.read.objects import Commit
    from app.model import Change, VersionState
    from app.progress import Progress
    from app.sources.git.target import Fetch, Target

Kind = Literal["none", "hashes", "full"]
_MOST_CONTENTS = 500
_MOST_BYTES = 32 * 1024 * 1024
_MOST_DIFFERENCES = 100
_SUBMODULE_SIZE = 40


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that isn't as Git has it."""

    change: int
    commit: str | None
    path: str | None = None
    what: str


class Proof(msgspec.Struct, kw_only=True):
    """What was compared, and what came of it."""

    kind: Kind
    commits: int = 0
    """Commits whose tree was computed from what the server says."""
    identical: int = 0
    """Of these, those whose tree has Git's own id: nothing at all was left out."""
    filtered: int = 0
    """Those that equal Git's tree without what was left out."""
    contents: int = 0
    """Contents that were fetched and hashed again (`full`), or compared by their SHA-256."""
    differences: list[Difference] = []


def prove(target: Target, history: History, *, upto: int, fetch: Fetch | None, progress: Progress) -> Proof:
    """Compare the imported changes 1 to `upto` with Git: `full` with `fetch`, else `hashes`.

    Raises VersoError only when that can't be done.
    """
    return _Proving(target, history, fetch, progress).run(upto)


class _Proving:
    def __init__(self, target: Target, history: History, fetch: Fetch | None, progress: Progress) -> None:
        self._target = target
        self._contents = fetch
        self._history = history
        self._progress = progress
        self._tree = GrowingTree()
        self._replay = Replay()
        self._fetched: dict[str, tuple[bytes, bytes]] = {}
        """By SHA-256: the blob's id, and a submodule's commit id if it could be one."""
        self._compared: set[str] = set()
        self._previous: str | None = None
        self.proof = Proof(kind="hashes" if fetch is None else "full")

    def run(self, upto: int) -> Proof:
        for changes in self._groups(upto):
            if self._contents is not None:
                self._fetch(self._contents, changes)
            for change in changes:
                self._prove(change)
                self._progress(change.sequence, upto, "commits")
        self.proof.contents = len(self._fetched or self._compared)
        return self.proof

    def _groups(self, upto: int) -> Iterator[list[Change]]:
        """Changes whose contents can be fetched at once."""
        group: list[Change] = []
        count = size = 0
        for change in whole_history(self._target, upto=upto):
            group.append(change)
            count += len(change.versions)
            size += sum(version.size or 0 for version in change.versions)
            if count >= _MOST_CONTENTS // 2 or size >= _MOST_BYTES:
                yield group
                group, count, size = [], 0, 0
        if group:
            yield group

    def _fetch(self, fetch: Fetch, changes: list[Change]) -> None:
        wanted = {each.sha256: None for change in changes for each in change.versions if each.sha256}
        lacking = [sha256 for sha256 in wanted if sha256 not in self._fetched]
        for start in range(0, len(lacking), _MOST_CONTENTS):
            with fetch(lacking[start : start + _MOST_CONTENTS]) as members:
                for name, _, pieces in members:
                    data = b"".join(pieces)
                    if hashlib.sha256(data).hexdigest() == name:
                        module = data if len(data) == _SUBMODULE_SIZE else b""
                        self._fetched[name] = (blob_id(data), module)

    def _prove(self, change: Change) -> None:
        if change.origin is None:
            self._differs(change, "this change comes from no Git commit")
            return
        commit = self._history.repository.commit(change.origin.id)
        self._check_chain(change)
        if hashlib.sha256(commit.raw).hexdigest() != change.origin.sha256:
            self._differs(change, "the commit object that is kept is another one")
        if (change.author_name, change.authored_at) != (commit.author.who.name, commit.author.moment):
            self._differs(change, "its author or date isn't the commit's")
        left = self._replay.follow(change)
        come = [
            (version.path, self._leaf(change, commit, version))
            for version in change.versions
            if version.sha256
        ]
        self._tree.apply(left, come)
        expected = self._history.trees.tree_id(commit.tree)
        self.proof.commits += 1
        if self._tree.id() != expected:
            self._differs(change, "the tree has another id than Git's")
        elif expected == commit.tree:
            self.proof.identical += 1
        else:
            self.proof.filtered += 1

    def _leaf(self, change: Change, commit: Commit, version: VersionState) -> Leaf:
        """A version as an entry of a tree, its id made of what the server says."""
        mode = version.mode or ORDINARY
        sha256 = version.sha256 or ""
        if self._contents is not None:
            fetched = self._fetched.get(sha256)
            if fetched is None:
                self._differs(change, "the server doesn't give this content, or not as it was", version.path)
                return Leaf(mode, bytes(20))
            oid, module = fetched
            return Leaf(mode, bytes.fromhex(module.decode("ascii")) if mode == SUBMODULE and module else oid)
        in_git = self._history.trees.leaf(commit.tree, version.path)
        if in_git is None:
            self._differs(change, "Git has nothing at this path", version.path)
            return Leaf(mode, bytes(20))
        known = self._history.contents.look(in_git.mode, in_git.oid)
        self._compared.add(sha256)
        if (known.sha256.hex(), known.size) != (sha256, version.size):
            self._differs(change, "the content isn't Git's", version.path)
            return Leaf(mode, bytes(20))
        return Leaf(mode, in_git.oid)

    def _check_chain(self, change: Change) -> None:
        hashes = [hash_of(version_canonical(version)) for version in change.versions]
        whole = hash_of(change_canonical(change, hashes))
        if hashes != [version.hash for version in change.versions] or whole != change.hash:
            self._differs(change, "its hash isn't that of its content")
        if change.previous != self._previous:
            self._differs(change, "it doesn't follow the change before it")
        self._previous = change.hash

    def _differs(self, change: Change, what: str, path: str | None = None) -> None:
        if len(self.proof.differences) < _MOST_DIFFERENCES:
            commit = change.origin.id if change.origin else None
            self.proof.differences.append(
                Difference(change=change.sequence, commit=commit, path=path, what=what)
            )

"""One commit as the items of one change, on top of whatever came before it in the line.

Where the commit ahead in the line is the first parent, the items are what the commit did: adds, edits,
moves, deletes. Elsewhere (the line goes from one branch to another, or into a merge) most of what differs is
no work of this commit's author; each path that a parent has just so is *taken* from there, so that blame goes
on naming who wrote it. Only what no parent has is written as this commit's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from app.git.read.assigning import assign
from app.git.read.identities import Held, Identities
from app.git.read.renames import Renames, find_renames, known_renames
from app.git.read.trees import ORDINARY, Leaf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from app.git.read.identities import Document, State
    from app.git.read.notes import Notes, VersionNote
    from app.git.read.objects import Commit
    from app.git.read.trees import PathChange, Trees

Action = Literal["add", "edit", "move", "delete", "restore"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One document's part of a commit."""

    path: str
    action: Action
    """What the ledger will call the version."""
    source: str | None = None
    """Where the document was, when it moves."""
    content: Leaf | None = None
    """What is written; None keeps what the document has."""
    mode: str | None = None
    """The mode, where it isn't what the ledger would take by itself."""
    take: str | None = None
    """A commit after which the path had what it has now."""
    merge: str | None = None
    """A commit after which the path had something that went into what it has now."""
    of: str | None = None
    """Where the document was after the commit that is taken from or merged, if that was another path."""
    media_type: str | None = None
    """The media type, where it isn't what the path's name suggests."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The items of one commit, and what was found on the way."""

    items: list[Item]
    copies: dict[str, str]
    renames_skipped: bool
    """Whether so many paths changed that only equal contents were taken for moves."""


class Planner:
    """Plans commits in the order of the line; each call goes on from the one before. Not for two threads."""

    def __init__(self, repository: Any, trees: Trees, identities: Identities | None = None) -> None:
        self._repository = repository
        self._trees = trees
        self.identities = identities or Identities()

    def plan(
        self, commit: Commit, *, ahead: Commit | None, parents: Mapping[str, State], names: Mapping[str, str]
    ) -> Plan:
        """The items that turn the tree of the commit `ahead` in the line into this commit's.

        `parents`: the states after those parents that are in the line, in the commit's order; `names`: under
        which commit the ledger knows each of them.
        """
        changes = list(self._trees.differences(ahead.tree if ahead else None, commit.tree))
        ordinary = list(parents) == ([ahead.id] if ahead else [])
        states = [] if ordinary else list(parents.values())
        renames, wanted = (
            self._own_work(commit, ahead, changes) if ordinary else self._gathered(commit, changes, states)
        )
        takeable = {each.path for each in changes if any(_has_now(state, each) for state in states)}
        given = assign(self.identities, changes, wanted, takeable=takeable)
        maker = _Items(self.identities, changes, given)
        for parent, state in {} if ordinary else parents.items():
            if parent in names:
                maker.offer(names[parent], state)
        items = maker.items()
        self._carry_out(changes, given)
        return Plan(items=items, copies=renames.copies, renames_skipped=renames.too_many)

    def _own_work(
        self, commit: Commit, ahead: Commit | None, changes: Sequence[PathChange]
    ) -> tuple[Renames, dict[str, Document]]:
        """Which document each changed path wants to be, in a commit on top of its first parent."""
        state = self.identities.state
        if commit.notes is not None:
            renames = known_renames(commit.notes.moves, changes)
        else:
            renames = find_renames(self._repository, (ahead.tree if ahead else None, commit.tree), changes)
        wanted = {each.path: state[each.path].document for each in changes if each.new and each.path in state}
        for source in renames.moves.values():
            wanted.pop(source, None)
        for target, source in renames.moves.items():
            wanted[target] = state[source].document
        return self._with_plain_copies(renames, changes), wanted

    def _with_plain_copies(self, renames: Renames, changes: Sequence[PathChange]) -> Renames:
        """Copies of files that this commit doesn't touch are found by their content's id."""
        fresh = [each for each in changes if each.new and not each.old and each.path not in renames.moves]
        fresh = [each for each in fresh if each.path not in renames.copies]
        if not fresh or not self.identities.state:
            return renames
        holders = {held.leaf.oid: path for path, held in self.identities.state.items()}
        copies = {each.path: holders[each.new.oid] for each in fresh if each.new and each.new.oid in holders}
        return msgspec.structs.replace(renames, copies=renames.copies | copies)

    def _gathered(
        self, commit: Commit, changes: Sequence[PathChange], parents: Sequence[State]
    ) -> tuple[Renames, dict[str, Document]]:
        """Which document each changed path wants to be, where the line isn't the commit's own."""
        wanted: dict[str, Document] = {}
        orphans = False
        for each in changes:
            if each.new is None:
                continue
            held = [state[each.path] for state in parents if each.path in state]
            same = [state[each.path] for state in parents if _has_now(state, each)]
            if held:
                wanted[each.path] = (same or held)[0].document
            else:
                orphans = True
        first = self._first_parent_tree(commit)
        if not orphans or not parents or first is None:
            return Renames(moves={}, copies={}), wanted
        renames = find_renames(
            self._repository, (first, commit.tree), list(self._trees.differences(first, commit.tree))
        )
        for target, source in renames.moves.items():
            if source in parents[0]:
                wanted.setdefault(target, parents[0][source].document)
        return renames, wanted

    def _first_parent_tree(self, commit: Commit) -> bytes | None:
        return bytes.fromhex(str(self._repository[commit.parents[0]].tree_id)) if commit.parents else None

    def _carry_out(self, changes: Sequence[PathChange], given: Mapping[str, Document]) -> None:
        old = [each.path for each in changes if each.old]
        placed = set(given.values())
        deleted = [path for path in old if self.identities.state[path].document not in placed]
        come = {each.path: Held(given[each.path], each.new) for each in changes if each.new}
        self.identities.write(old, come, deleted)


def _has_now(state: State, change: PathChange) -> bool:
    """Whether a path had in a state just what it has now."""
    return change.path in state and state[change.path].leaf == change.new


class _Items:
    """Turns assigned documents into items."""

    def __init__(
        self, identities: Identities, changes: Sequence[PathChange], given: Mapping[str, Document]
    ) -> None:
        self._identities = identities
        self._changes = changes
        self._given = given
        self._offers: list[tuple[str, State, dict[Document, str]]] = []

    def offer(self, commit: str, state: State) -> None:
        """A commit of the line from whose state something may be taken."""
        self._offers.append((commit, state, {}))

    def items(self) -> list[Item]:
        """Deletes first, then the paths in their order."""
        state = self._identities.state
        placed = set(self._given.values())
        return [
            Item(path=each.path, action="delete")
            for each in self._changes
            if each.old and state[each.path].document not in placed
        ] + [self._written(each.path, each.new) for each in self._changes if each.new]

    def _written(self, path: str, leaf: Leaf) -> Item:
        document = self._given[path]
        place = self._identities.place(document)
        source = place if place not in {None, path} else None
        head = self._identities.state[place].leaf if place is not None else None
        action: Action = "add" if head is None else "edit" if source is None else "move"
        if head is not None and head.oid == leaf.oid and (head.mode == leaf.mode or source is None):
            mode = leaf.mode if head.mode != leaf.mode else None
            return Item(path=path, action=action, source=source, mode=mode)
        had = self._had(path, document)
        for name, of, their in had:
            if their == leaf:
                return Item(path=path, action="restore", source=source, take=name, of=of)
        merged, of = next(((name, of) for name, of, their in had if their != head), (None, None))
        mode = leaf.mode if leaf.mode != (head.mode if head else ORDINARY) else None
        return Item(path=path, action=action, source=source, content=leaf, mode=mode, merge=merged, of=of)

    def _had(self, path: str, document: Document) -> list[tuple[str, str | None, Leaf]]:
        """What a document was after the commits on offer, and where, if it was at another path."""
        found: list[tuple[str, str | None, Leaf]] = []
        for name, state, places in self._offers:
            here = state.get(path)
            if here is not None and here.document == document:
                found.append((name, None, here.leaf))
                continue
            if not places:
                places.update((held.document, where) for where, held in state.items())
            if document in places:
                found.append((name, places[document], state[places[document]].leaf))
        return found


def with_notes(items: Sequence[Item], notes: Notes, had: Callable[[str, str], Leaf | None]) -> list[Item]:
    """Items with what a commit of Verso's own says of its versions: restores, merges, media types.

    `had` gives what a path had after an earlier commit: what isn't so isn't taken from there.
    """
    by_path = notes.by_path
    return [_noted(item, by_path[item.path], had) if item.path in by_path else item for item in items]


def _noted(item: Item, note: VersionNote, had: Callable[[str, str], Leaf | None]) -> Item:
    restored, merged = note.restored_from, note.merged_from
    if item.content is None:
        return item
    if restored and had(restored.commit, restored.path) == item.content:
        of = restored.path if restored.path != item.path else None
        return Item(path=item.path, action="restore", source=item.source, take=restored.commit, of=of)
    if merged and had(merged.commit, merged.path) is not None:
        of = merged.path if merged.path != item.path else None
        item = msgspec.structs.replace(item, merge=merged.commit, of=of)
    return msgspec.structs.replace(item, media_type=note.media_type)

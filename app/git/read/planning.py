"""One commit as the items of one change, on top of whatever came before it in the line.

Where the commit ahead in the line is the first parent, the items are what the commit did: adds, edits,
moves, deletes. Elsewhere (the line goes from one branch to another, or into a merge) most of what differs is
no work of this commit's author; each path that a parent has just so is *taken* from there, so that blame goes
on naming who wrote it. Only what no parent has is written as this commit's own.

Which document a path is follows from the commit's own history, never from what happens to be ahead in the
line: it is the one that the first parent had there (or where the commit moved it from), else the one of
another parent. A file of a beginning of its own is a new document, also where the line has another one at
that path: that one is deleted, and comes back with its branch.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from app.errors import VersoError
from app.git.read.assigning import assign
from app.git.read.identities import Held, Identities
from app.git.read.renames import Renames, find_renames, known_renames
from app.git.read.trees import Leaf, PathChange
from app.model.modes import ORDINARY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from app.git.read.identities import Document, State
    from app.git.read.notes import Notes, VersionNote
    from app.git.read.objects import Commit
    from app.git.read.trees import Trees

_MOST_CHANGED = 30_000
"""Paths that differ from one commit of the line to the next. A change takes 10,000, a move is two of them."""
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
    onto: str | None = None
    """A commit after which the path was the document that is written, where the ledger would take another."""
    fresh: bool = False
    """Whether it is a new document, where the ledger would take one that is or was at the path."""
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
        self,
        commit: Commit,
        *,
        ahead: Commit | None,
        parents: Mapping[str, State],
        names: Mapping[str, str],
        is_cut: bool = False,
    ) -> Plan:
        """The items that turn the tree of the commit `ahead` in the line into this commit's.

        `parents`: the states after those parents that are in the line, in the commit's order; `names`: under
        which commit the ledger knows each of them. `is_cut`: what was before this commit isn't known.
        """
        found = self._trees.differences(ahead.tree if ahead else None, commit.tree)
        changes = list(islice(found, _MOST_CHANGED + 1))
        if len(changes) > _MOST_CHANGED:
            raise VersoError(
                "commit_too_large",
                f"Commit {commit.id} changes more than {_MOST_CHANGED:,} paths, and can't be one change. "
                "Leave some of them out.",
                commit=commit.id,
            )
        ordinary = list(parents) == ([ahead.id] if ahead else [])
        parents = {each: state for each, state in parents.items() if state}
        if ordinary:
            renames, wanted = self._own_work(commit, ahead, changes)
            wishes = list(wanted.items())
        else:
            changes = self._with_other_documents(changes, next(iter(parents.values()), {}))
            renames, wishes = self._gathered(commit, changes, parents)
        given = assign(
            self.identities,
            changes,
            wishes,
            is_known=lambda document: is_cut or self._had(commit, document),
        )
        state = self.identities.state
        changes = [
            each for each in changes if each.old != each.new or given[each.path] != state[each.path].document
        ]
        maker = _Items(self.identities, changes, given)
        for parent, held in {} if ordinary else parents.items():
            if parent in names:
                maker.offer(names[parent], held)
        items = maker.items()
        self._carry_out(commit, changes, given)
        return Plan(items=items, copies=renames.copies, renames_skipped=renames.too_many)

    def _had(self, commit: Commit, document: Document) -> bool:
        """Whether a commit's own history had a document."""
        birth = self.identities.birth(document)
        return birth is not None and bool(self._repository.descendant_of(commit.id, birth[0]))

    def _with_other_documents(self, changes: Sequence[PathChange], first: State) -> list[PathChange]:
        """Changes, and the paths that have the same but weren't the same document after a first parent."""
        found = {each.path: each for each in changes}
        for path, held in self.identities.state.items():
            known = first.get(path)
            # Most are the very same object, and comparing whole states must cost next to nothing.
            if known is not held and path not in found and (known is None or known.document != held.document):
                found[path] = PathChange(path, held.leaf, held.leaf)
        return [found[path] for path in sorted(found)] if len(found) > len(changes) else list(changes)

    def _own_work(
        self, commit: Commit, ahead: Commit | None, changes: Sequence[PathChange]
    ) -> tuple[Renames, dict[str, Document]]:
        """Which document each changed path wants to be, in a commit on top of its first parent."""
        state = self.identities.state
        renames = self._renames(commit, ahead.tree if ahead else None, changes)
        wanted = {each.path: state[each.path].document for each in changes if each.new and each.path in state}
        for source in renames.moves.values():
            wanted.pop(source, None)
        for target, source in renames.moves.items():
            wanted[target] = state[source].document
        return self._with_plain_copies(renames, changes), wanted

    def _renames(self, commit: Commit, old: bytes | None, changes: Sequence[PathChange]) -> Renames:
        if commit.notes is not None:
            return known_renames(commit.notes.moves, changes)
        return find_renames(self._repository, (old, commit.tree), changes)

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
        self, commit: Commit, changes: Sequence[PathChange], parents: Mapping[str, State]
    ) -> tuple[Renames, list[tuple[str, Document]]]:
        """Which documents paths want to be, where the line isn't the commit's own: the first wish first."""
        come = {each.path: each.new for each in changes if each.new}
        states = list(parents.values())
        orphans = {path for path in come if not any(path in state for state in states)}
        renames = Renames(moves={}, copies={})
        wishes: list[tuple[str, Document]] = []
        for parent, state in parents.items():
            # What a merge has of another parent isn't what became of this one's files.
            targets = orphans if len(states) > 1 else come.keys()
            found = self._since(commit, parent) if targets else renames
            moves = {to: source for to, source in found.moves.items() if to in targets and source in state}
            wishes += [(to, state[source].document) for to, source in moves.items()]
            if state is states[0]:
                renames = msgspec.structs.replace(found, copies={}) if len(states) > 1 else found
                wishes += _stays(come, states, left=set(moves.values()))
            orphans = orphans - moves.keys()
        return renames, wishes

    def _since(self, commit: Commit, parent: str) -> Renames:
        old = bytes.fromhex(str(self._repository[parent].tree_id))
        return self._renames(commit, old, list(self._trees.differences(old, commit.tree)))

    def _carry_out(
        self, commit: Commit, changes: Sequence[PathChange], given: Mapping[str, Document]
    ) -> None:
        old = [each.path for each in changes if each.old]
        come = {each.path: Held(given[each.path], each.new) for each in changes if each.new}
        placed = {held.document for held in come.values()}
        deleted = [path for path in old if self.identities.state[path].document not in placed]
        self.identities.write(commit.id, old, come, deleted=deleted)


def _stays(
    come: Mapping[str, Leaf], states: Sequence[State], *, left: Collection[str]
) -> list[tuple[str, Document]]:
    """What paths were in the parents: as Git, those with the very same first, and then the first parent's.

    `left`: paths that the commit moved its first parent's documents away from.
    """
    same: list[tuple[str, Document]] = []
    held: list[tuple[str, Document]] = []
    for number, state in enumerate(states):
        for path in come:
            if path in state and (number or path not in left):
                (same if state[path].leaf == come[path] else held).append((path, state[path].document))
    return same + held


class _Items:
    """Turns assigned documents into items."""

    def __init__(
        self, identities: Identities, changes: Sequence[PathChange], given: Mapping[str, Document]
    ) -> None:
        self._identities = identities
        self._changes = changes
        self._given = given
        self._offers: list[tuple[str, State, dict[Document, str]]] = []
        self._elsewhere: set[Document] = set()
        """Documents that go or come to another path than theirs: nothing that is left there is theirs."""

    def offer(self, commit: str, state: State) -> None:
        """A commit of the line from whose state something may be taken."""
        self._offers.append((commit, state, {}))

    def items(self) -> list[Item]:
        """Deletes first, then the paths in their order."""
        state = self._identities.state
        placed = {self._given[each.path] for each in self._changes if each.new}
        self._elsewhere = {document for path, document in self._given.items() if self._moves(path, document)}
        return [
            Item(path=each.path, action="delete")
            for each in self._changes
            if each.old and state[each.path].document not in placed
        ] + [self._written(each.path, each.new) for each in self._changes if each.new]

    def _moves(self, path: str, document: Document) -> bool:
        was = self._identities.place(document) or self._identities.last_path(document)
        return was not in {None, path}

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
        item = Item(path=path, action=action, source=source, content=leaf, mode=mode, merge=merged, of=of)
        return item if head is not None or self._by_itself(path) == document else self._named(item, document)

    def _by_itself(self, path: str) -> Document | None:
        """The document that the ledger takes for content at a path, unless it is told another."""
        here = self._identities.state.get(path)
        if here is not None and here.document not in self._elsewhere:
            return here.document
        return next((each for each in self._identities.buried(path) if each not in self._elsewhere), None)

    def _named(self, item: Item, document: Document) -> Item:
        """An item that says which document is meant."""
        birth = self._identities.birth(document)
        if birth is None:
            return msgspec.structs.replace(item, fresh=self._by_itself(item.path) is not None)
        if item.merge is not None:
            return msgspec.structs.replace(item, onto=item.merge)
        of = birth[1] if birth[1] != item.path else None
        return msgspec.structs.replace(item, onto=birth[0], of=of)

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
    if item.fresh or item.onto:
        return msgspec.structs.replace(item, media_type=note.media_type)
    if restored and had(restored.commit, restored.path) == item.content:
        of = restored.path if restored.path != item.path else None
        return Item(path=item.path, action="restore", source=item.source, take=restored.commit, of=of)
    if merged and had(merged.commit, merged.path) is not None:
        of = merged.path if merged.path != item.path else None
        item = msgspec.structs.replace(item, merge=merged.commit, of=of)
    return msgspec.structs.replace(item, media_type=note.media_type)

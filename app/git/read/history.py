"""A Git history as planned changes, commit by commit, going on from what is imported already."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.git.read.contents import Contents
from app.git.read.identities import Held, Identities
from app.git.read.objects import Commit, moment_of
from app.git.read.order import ancestors, line_of, steady_times
from app.git.read.planning import Item, Planner, with_notes
from app.git.read.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from app.git.read.identities import Document, State
    from app.git.read.people import People
    from app.git.read.repository import Repository
    from app.git.read.trees import Leaf, Rules


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What to read of a history."""

    branch: str | None = None
    first_parent: bool = False
    """Only the branch itself: what came in by a merge is the merge's work."""
    skip_empty: bool = False
    """Leave out commits that change nothing of what is taken."""
    keep_keys: bool = False
    """Take contents that hold private keys, too."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What a project holds of the history already."""

    documents: dict[str, dict[str, str]]
    """For the commits that are needed, and the newest: which document each path had after it."""
    deleted: list[tuple[str, str]]
    """Path and document of each one that is deleted, in the order in which they were."""
    births: dict[str, tuple[str, str]]
    """The commit that made each document, and the path at which it did."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The commits that are still to come, and what must be known of earlier ones to plan them."""

    commits: list[str]
    committed: list[int]
    """When each was committed, in seconds, so that no change is before the one ahead."""
    needed: dict[str, str]
    """Parents of these that are behind, each with the imported commit after which all was as after it."""
    ahead: str | None
    """The imported commit that the first of these follows in the line."""
    imported: frozenset[str] = frozenset()


class PlannedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A commit as the change that it will be."""

    commit: Commit
    committed_at: datetime
    items: list[Item]
    copies: dict[str, str]
    renames_skipped: bool
    account: str | None
    """Whose account its author is, by the authors file."""


class History:
    """A repository's history through a filter. Not for two threads."""

    def __init__(
        self, repository: Repository, *, rules: Rules, people: People, choices: Choices | None = None
    ) -> None:
        self.repository = repository
        self.people = people
        self.choices = choices or Choices()
        self.contents = Contents(repository.opened, keep_keys=self.choices.keep_keys)
        self.trees = Trees(repository.opened, rules=rules, contents=self.contents)
        self.tip = repository.tip(self.choices.branch)

    def line(self, done: Sequence[str] = (), *, now: int | None = None) -> Line:
        """The commits that are not imported yet, in their order; `done` are the imported ones in theirs."""
        known = ancestors([self.tip], self.repository.parents)
        lost = [each for each in done if each not in known]
        if lost:
            raise VersoError(
                "import_rewritten",
                f"{len(lost)} of the project's commits (the first is {lost[0]}) are not in this branch: its "
                "history was rewritten, or it is another one. Import it into a project of its own.",
                commits=lost[:10],
            )
        imported = set(done)
        first_parent = self.choices.first_parent
        # Of the whole line, so that a run that was interrupted goes on with the times that it would have had.
        whole = line_of(self.tip, self.repository.parents, first_parent=first_parent)
        skipped: dict[str, str | None] = {}
        held = imported
        if self.choices.skip_empty and done:
            skipped = self._skipped(whole, done)
            held = ancestors(done, self.repository.parents) | skipped.keys()
        rest = line_of(self.tip, self.repository.parents, done=held, first_parent=first_parent)
        seconds = [self.repository.commit(each).committer.seconds for each in whole]
        steady = dict(
            zip(whole, steady_times(seconds, latest=int(time.time()) if now is None else now), strict=True)
        )
        coming = set(rest)
        behind = {parent for each in rest for parent in self.followed(each) if parent not in coming}
        named = {parent: skipped.get(parent) or self._known_as(parent, imported) for parent in behind}
        return Line(
            commits=rest,
            committed=[steady[each] for each in rest],
            needed={parent: name for parent, name in named.items() if name is not None},
            ahead=done[-1] if done else None,
            imported=frozenset(done),
        )

    def plans(self, line: Line, past: Past | None = None) -> Iterator[PlannedChange]:
        """The planned changes of a line, in order. Give it `past` when there are `needed` commits."""
        reading = _Reading(self, line, past)
        for commit_id, seconds in zip(line.commits, line.committed, strict=True):
            planned = reading.next(self.repository.commit(commit_id), moment_of(seconds))
            if planned is not None:
                yield planned

    def followed(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit that the line follows."""
        parents = self.repository.parents(commit)
        return parents[:1] if self.choices.first_parent else parents

    def _skipped(self, whole: Sequence[str], done: Sequence[str]) -> dict[str, str | None]:
        """What a run up to the last of `done` left out as empty, with the imported commit ahead of it.

        Behind another commit it would not be empty: it would take the line back to where it was.
        """
        imported = set(done)
        found: dict[str, str | None] = {}
        ahead: str | None = None
        follows = True  # whether everything up to here is imported or was empty
        for each in whole[: whole.index(done[-1])]:
            if each in imported:
                ahead, follows = each, True
            elif follows and self._is_as_after(each, ahead):
                found[each] = ahead
            else:
                follows = False
        return found

    def _is_as_after(self, commit: str, ahead: str | None) -> bool:
        if ahead is not None:
            return self._tree_id(commit) == self._tree_id(ahead)
        return not any(self.trees.differences(None, self.repository.commit(commit).tree))

    def _known_as(self, commit: str, imported: Collection[str]) -> str | None:
        """The imported commit after which all was as after this one; None when that was nothing."""
        at: str | None = commit
        while at is not None and at not in imported:
            tree = self._tree_id(at)
            at = next((each for each in self.followed(at) if self._tree_id(each) == tree), None)
        return at

    def _tree_id(self, commit: str) -> bytes | None:
        return self.trees.tree_id(self.repository.commit(commit).tree)


class _Reading:
    """The states along the line, each kept as long as a commit to come needs it."""

    def __init__(self, history: History, line: Line, past: Past | None) -> None:
        self._history = history
        self._last_use: dict[str, int] = {}
        for position, each in enumerate(line.commits):
            for parent in history.followed(each):
                self._last_use[parent] = position
        self._position = -1
        self._states: dict[str, State] = {}
        self._names: dict[str, str] = {}
        identities = Identities()
        self._ahead: Commit | None = None
        if past is not None and line.ahead is not None:
            known = {name: self._known(name, documents) for name, documents in past.documents.items()}
            self._states = {parent: known[name] for parent, name in line.needed.items()}
            self._names = {**line.needed, line.ahead: line.ahead}
            self._ahead = history.repository.commit(line.ahead)
            identities = Identities.at(known[line.ahead], past.deleted, past.births)
        self._there = set(line.imported)
        self._planner = Planner(history.repository.opened, history.trees, identities)

    def next(self, commit: Commit, committed_at: datetime) -> PlannedChange | None:
        """Plan the next commit; None when it is skipped."""
        self._position += 1
        history, ahead = self._history, self._ahead
        followed = history.followed(commit.id)
        here = {ahead.id: self._planner.identities.state} if ahead else {}
        states = self._states | here
        parents = {each: states[each] for each in followed if each in states}
        plan = self._planner.plan(
            commit,
            ahead=ahead,
            parents=parents,
            names=self._names,
            # A shallow clone doesn't say what was before: what is at a path is taken for what was there.
            is_cut=bool(commit.parents) and not followed,
        )
        if commit.notes is not None:
            noted = with_notes(plan.items, commit.notes, self._had)
            plan = msgspec.structs.replace(plan, items=noted)
        skipped = history.choices.skip_empty and not plan.items
        if not skipped:
            self._there.add(commit.id)
            self._names[commit.id] = commit.id
        elif ahead is not None and ahead.id in self._names:
            self._names[commit.id] = self._names[ahead.id]
        self._ahead = commit
        self._keep(commit.id, followed)
        if skipped:
            return None
        return PlannedChange(
            commit=commit,
            committed_at=committed_at,
            items=plan.items,
            copies=plan.copies,
            renames_skipped=plan.renames_skipped,
            account=history.people.account(commit.author.who),
        )

    def _had(self, commit: str, path: str) -> Leaf | None:
        """What a path had after an earlier commit of the line."""
        if commit not in self._there:
            return None
        return self._history.trees.leaf(self._history.repository.commit(commit).tree, path)

    def _keep(self, commit: str, followed: tuple[str, ...]) -> None:
        """Copy a state only when a commit further on needs it: in a straight line that is never."""
        for each in followed:
            if self._last_use[each] <= self._position:
                self._states.pop(each, None)
                self._names.pop(each, None)
        if self._last_use.get(commit, -1) > self._position + 1:
            self._states[commit] = dict(self._planner.identities.state)

    def _known(self, commit: str, documents: Mapping[str, Document]) -> State:
        """What an imported commit's tree has, with the documents that the project says these paths were."""
        tree = self._history.repository.commit(commit).tree
        leaves = {each.path: each.new for each in self._history.trees.differences(None, tree) if each.new}
        if leaves.keys() != documents.keys():
            raise VersoError(
                "import_filters_changed",
                f"After commit {commit} the project has other paths than these choices give. Import with the "
                "same --include, --exclude and other choices as before, or into another project.",
                paths=sorted(leaves.keys() ^ documents.keys())[:10],
            )
        return {path: Held(documents[path], leaf) for path, leaf in leaves.items()}

"""A bare repository that is brought up to date change by change, and can be continued at any time."""

from __future__ import annotations

import hashlib
import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pygit2
from pygit2.enums import ObjectType

from app.errors import VersoError
from app.git.write.commits import imported_commit, native_commit, parents_of
from app.git.write.names import git_path, tag_ref
from app.git.write.packing import pack_loose
from app.git.write.state import State, Written
from app.git.write.tags import written_tag
from app.git.write.trees import Entry, edited_tree
from app.model import Action, change_canonical, erased_note, hash_of, version_canonical
from app.model.modes import ORDINARY, SUBMODULE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.model import MirroredChange, Tag, VersionState

BRANCH = "refs/heads/main"
STATE = "verso.sqlite"
_NEXT = " Nothing of it was taken. Ask who runs the server; `verso verify --project` there says more."
_COMMIT_ID = re.compile(rb"[0-9a-f]{40}")


class GitCopy:
    """One project's history as a bare Git repository in `directory`. A context manager; not for two threads.

    The directory is made when it isn't there. Raises VersoError `other_export` when it is something else, or
    of another project, and `export_damaged` when it can't be read or its newest commit is gone. One writer at
    a time: whoever shares the directory brings a lock.
    """

    def __init__(self, directory: Path, *, project: str) -> None:
        if directory.exists() and any(directory.iterdir()) and not (directory / STATE).is_file():
            raise VersoError(
                "other_export",
                f"{directory} holds something that is no export of Verso. Choose an empty directory, or one "
                "that `verso export git` made.",
            )
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        # The state first: a directory with a state is one that a killed run can go on with.
        self._state = State(directory / STATE, project=project)
        with ExitStack() as opened:
            opened.callback(self._state.close)
            try:
                if not (directory / "HEAD").exists():
                    pygit2.init_repository(str(directory), bare=True, initial_head="main")
                self._repository: Any = pygit2.Repository(str(directory))
            except pygit2.GitError as error:
                raise VersoError(
                    "export_damaged",
                    f"The repository in {directory} can't be read: {error}. Make a new copy.",
                ) from error
            opened.callback(self._repository.free)
            newest = self._state.newest()
            if newest is not None and newest.id.hex() not in self._repository:
                raise VersoError(
                    "export_damaged", f"{directory} lacks commits that were written there. Make a new copy."
                )
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its files; what wasn't finished is gone on with another time."""
        self._state.rollback()
        self._state.close()
        self._repository.free()

    @property
    def newest(self) -> Written | None:
        """The newest change that it has, or None."""
        return self._state.newest()

    def follow_erasures(self, count: int) -> None:
        """Be of a project of which so many contents were erased.

        Raises VersoError `git_damaged` when it was made before the last of them, and so holds too much.
        """
        if self._state.newest() is None:
            self._state.note_erasures(count)
        elif self._state.erasures() != count:
            raise VersoError("git_damaged", "Contents were erased since this copy was made. Fetch again.")

    def counts(self) -> dict[str, int]:
        """How many changes, contents, erased contents and tags it has."""
        return self._state.counts()

    def commits(self) -> list[tuple[int, str, str | None]]:
        """Every change with its commit's id, and the id of the commit that it was imported as."""
        return [(sequence, oid.hex(), origin) for sequence, oid, origin in self._state.commits()]

    def missing(self, changes: Iterable[MirroredChange]) -> dict[str, int]:
        """The contents that these changes need and that it doesn't have: SHA-256 and size, in order."""
        needed = {
            version.sha256: version.size or 0
            for change in changes
            for version in change.versions
            if version.sha256 is not None
        }
        return {sha256: size for sha256, size in needed.items() if self._state.blob_of(sha256) is None}

    def add_content(self, sha256: str, content: bytes | Path) -> None:
        """Take in a content; large ones come as files. Raises VersoError `content_altered`."""
        if isinstance(content, Path):
            with content.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise VersoError("content_altered", "These are not the bytes of that content.", sha256=sha256)
        if isinstance(content, Path):
            with content.open("rb") as file:
                oid = self._repository.create_blob_fromiobase(file)
        else:
            oid = self._repository.write(ObjectType.BLOB, content)
        self._state.begin()  # kept together with the changes that need it
        self._state.add_blob(sha256, oid.raw, erased=False)

    def add_erased(self, sha256: str) -> None:
        """Put a note in the place of a content whose bytes were erased."""
        oid = self._repository.write(ObjectType.BLOB, erased_note(sha256))
        self._state.add_blob(sha256, oid.raw, erased=True)

    def add_changes(self, changes: Sequence[MirroredChange]) -> None:
        """Write the commits of changes that follow the newest one, whose contents were all taken in.

        All or none of them. Raises VersoError `history_altered` when a change isn't what its hash says, and
        `history_diverged` when it doesn't follow.
        """
        self._state.begin()
        try:
            for change in changes:
                self._add_change(change)
        except BaseException:
            self._state.rollback()
            raise
        self._state.commit()

    def add_tags(self, tags: Iterable[Tag]) -> None:
        """Write the tags that it doesn't have yet; those of changes that it hasn't are left out."""
        known = self._state.tags()
        taken = {ref for ref, _ in known.values()}
        for tag in tags:
            commit = self._state.commit_of(tag.change)
            if tag.name in known or commit is None:
                continue
            ref = tag_ref(tag.name, taken)
            taken.add(ref)
            self._state.add_tag(tag.name, ref, written_tag(self._repository, tag, commit=commit, ref=ref))

    def finish(self) -> None:
        """Let the branch and the tags name what they must, and pack what lies about loose."""
        newest = self._state.newest()
        if newest is not None:
            self._point(BRANCH, newest.id)
        for ref, oid in self._state.tags().values():
            self._point(ref, oid)
        pack_loose(self._repository, self.directory / "objects")

    def _point(self, ref: str, oid: bytes) -> None:
        held = self._repository.references.get(ref)
        if held is None or held.raw_target != pygit2.Oid(raw=oid):
            self._repository.references.create(ref, pygit2.Oid(raw=oid), force=True)

    def _add_change(self, change: MirroredChange) -> None:
        newest = self._state.newest()
        check_change(change)
        if (change.sequence, change.previous) != (
            (1, None) if newest is None else (newest.sequence + 1, newest.hash)
        ):
            raise VersoError(
                "history_diverged",
                f"Change #{change.sequence} doesn't follow what this copy has. Make a new copy.",
                sequence=change.sequence,
            )
        edits, moved_from = self._edits(change)
        tree = edited_tree(self._repository, None if newest is None else newest.tree, edits)
        previous = None if newest is None else newest.id
        if change.origin_raw is not None:
            parents = self._parents(change.origin_raw, previous)
            raw = imported_commit(change.origin_raw, tree=tree, parents=parents)
        else:
            raw = native_commit(
                change,
                tree=tree,
                parent=previous,
                moved_from=moved_from,
                reference_of=self._state.reference_of,
            )
        oid: bytes = self._repository.write(ObjectType.COMMIT, raw).raw
        origin = None if change.origin is None else change.origin.id
        self._state.add_commit(Written(change.sequence, oid, tree, change.hash), origin=origin)
        self._state.add_versions((each.hash, change.sequence, each.path) for each in change.versions)

    def _edits(self, change: MirroredChange) -> tuple[dict[str, Entry | None], dict[str, str]]:
        """What the change did to paths, and where moved documents were before (by version)."""
        left: dict[str, Entry | None] = {}
        taken: dict[str, Entry | None] = {}
        moved_from: dict[str, str] = {}
        for version in change.versions:
            before = self._state.path_of(version.document)
            if before is not None:
                left[git_path(before)] = None
                if before != version.path:
                    moved_from[version.hash] = before
            if version.action == Action.delete:
                self._state.place(version.document, None)
            else:
                self._state.place(version.document, version.path)
                taken[git_path(version.path)] = self._entry(version)
        # Two documents may change places: what was left is taken again after all of it was left.
        return left | taken, moved_from

    def _entry(self, version: VersionState) -> Entry:
        oid = self._state.blob_of(version.sha256 or "")
        if oid is None:
            raise VersoError(
                "content_missing", "A content was not brought before its change.", sha256=version.sha256
            )
        if version.mode == SUBMODULE:
            named = self._repository.read(oid.hex())[1].strip()
            if _COMMIT_ID.fullmatch(named):
                return Entry(SUBMODULE.encode(), bytes.fromhex(named.decode("ascii")))
            return Entry(ORDINARY.encode(), oid)
        return Entry((version.mode or ORDINARY).encode(), oid)

    def _parents(self, raw: bytes, previous: bytes | None) -> list[bytes]:
        """The commits of an imported commit's parents; those that weren't imported are left out.

        When none was, it follows the change before it, unless it is the first of a history.
        """
        named = parents_of(raw)
        found = [self._state.commit_of_origin(each) for each in named]
        parents = list(dict.fromkeys(each for each in found if each is not None))
        return parents or ([previous] if named and previous is not None else [])


def check_change(change: MirroredChange) -> None:
    """Compute a change's hashes again. Raises VersoError `history_altered`."""
    sound = all(hash_of(version_canonical(version)) == version.hash for version in change.versions)
    hashes = [version.hash for version in change.versions]
    if not sound or hash_of(change_canonical(change, hashes)) != change.hash:
        raise VersoError(
            "history_altered",
            f"Change #{change.sequence} is not what its hash says.{_NEXT}",
            sequence=change.sequence,
        )
    if change.origin is not None and (
        change.origin_raw is None or hashlib.sha256(change.origin_raw).hexdigest() != change.origin.sha256
    ):
        raise VersoError(
            "history_altered",
            f"The Git commit of change #{change.sequence} is not what its hash says.{_NEXT}",
            sequence=change.sequence,
        )

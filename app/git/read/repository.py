"""Where a history is: a path or a URL, a branch, its tags."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pygit2

from app.errors import VersoError
from app.git.read.bundle import unbundle
from app.git.read.objects import MAX_COMMIT_BYTES, Commit, decode, parse_commit, parse_tag

if TYPE_CHECKING:
    from collections.abc import Sequence

_URL = re.compile(r"(?:https?|ssh|git|file)://|[\w.-]+@[\w.-]+:", re.ASCII)
_TAGS = "refs/tags/"
_DEEPEST_TAG = 10
"""A tag of a tag of a tag: there is no reason for ten."""


class TagFound(msgspec.Struct, frozen=True, kw_only=True):
    """A tag of the repository."""

    name: str
    commit: str | None
    """The commit that it names in the end; None when it names a file or a folder."""
    message: str = ""
    raw: bytes | None = None
    """The annotated tag's object; None for a lightweight tag."""


class Repository:
    """A Git repository, opened for reading. Not for two threads."""

    def __init__(self, opened: Any, *, shown: str) -> None:
        self.opened = opened
        self.shown = shown

    @property
    def is_shallow(self) -> bool:
        """Whether the history's beginning is missing."""
        return bool(self.opened.is_shallow)

    def commit(self, object_id: str) -> Commit:
        """A commit. Raises VersoError `git_object_missing`, `commit_too_large`."""
        try:
            _, raw = self.opened.odb.read(object_id)
            if len(raw) <= MAX_COMMIT_BYTES:
                return parse_commit(object_id, bytes(raw))
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise VersoError(
                "git_object_missing",
                f"{self.shown} lacks a commit that its history needs, or it is damaged: {object_id}. "
                "`git fsck` says more.",
                object=object_id,
            ) from error
        raise VersoError(
            "commit_too_large",
            f"The commit object {object_id} itself has {len(raw):,} bytes; at most 1 MiB is kept.",
            commit=object_id,
        )

    def parents(self, object_id: str) -> tuple[str, ...]:
        """A commit's parents, as far as the repository has them: a shallow clone ends somewhere."""
        parents = self.commit(object_id).parents
        return tuple(each for each in parents if each in self.opened.odb) if self.is_shallow else parents

    def tip(self, branch: str | None) -> str:
        """The commit at the end of a branch, or of the one that is checked out.

        Raises VersoError `git_branch_not_found`, `git_empty`, `git_unreadable`.
        """
        if branch is None and self.opened.head_is_unborn:
            raise VersoError("git_empty", f"{self.shown} has no commits on its main branch. Name a --branch.")
        names = ["HEAD"] if branch is None else [branch, f"refs/remotes/origin/{branch}"]
        for name in names:
            try:
                found = self.opened.revparse_single(name)
                return str(found.peel(pygit2.Commit).id)
            except (KeyError, ValueError, pygit2.GitError):
                self._check_absent(name)
        known = ", ".join(sorted(self.opened.branches)[:10])
        raise VersoError(
            "git_branch_not_found", f"{self.shown} has no branch {branch}. It has: {known or 'none'}."
        )

    def _check_absent(self, name: str) -> None:
        """Raise VersoError `git_unreadable` when there is such a branch: then what it names is at fault."""
        try:
            found = self.opened.lookup_reference_dwim(name).resolve()
        except (KeyError, ValueError, pygit2.GitError):
            return
        raise VersoError(
            "git_unreadable",
            f"{found.shorthand} of {self.shown} names {found.target}, which is missing or no commit that can "
            "be read. `git fsck` says more.",
            object=str(found.target),
        )

    def tags(self) -> list[TagFound]:
        """All tags by their names."""
        names = [each for each in self.opened.raw_listall_references() if each.startswith(_TAGS.encode())]
        return [self._tag(decode(name)[len(_TAGS) :], name) for name in sorted(names)]

    def _tag(self, shown: str, reference: bytes) -> TagFound:
        try:
            at = str(self.opened.lookup_reference(reference.decode()).resolve().target)
            first: Any = None
            for _ in range(_DEEPEST_TAG):
                found = self.opened[at]
                if not isinstance(found, pygit2.Tag):
                    break
                parsed = parse_tag(bytes(found.read_raw()))
                first, at = first or parsed, parsed.target
            commit = at if isinstance(self.opened[at], pygit2.Commit) else None
        except (KeyError, ValueError, UnicodeDecodeError, pygit2.GitError):
            return TagFound(name=shown, commit=None)
        return TagFound(
            name=shown,
            commit=commit,
            message=first.message if first else "",
            raw=first.raw if first else None,
        )


def open_repository(source: str, *, branch: str | None, scratch: Path) -> Repository:
    """The repository at a path, or a bare copy of it in `scratch` when it is a URL or a bundle file.

    libgit2 clones first; what it can't (a protocol, a credential helper) the `git` program does, if there is
    one.
    Raises VersoError `git_not_found`, `git_unreadable`; of a file as `unbundle` does.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return Repository(_opened(path, source), shown=source)
    where = scratch / "clone.git"
    if path.is_file():
        return Repository(unbundle(path, where), shown=source)
    if not _URL.match(source):
        raise VersoError(
            "git_not_found", f"{source} is neither a folder with a Git repository nor a URL of one."
        )
    if not _cloned(source, where, branch):
        shutil.rmtree(where, ignore_errors=True)
        _clone_with_git(source, where)
    return Repository(_opened(where, source), shown=source)


def _opened(path: Path, source: str) -> Any:
    try:
        found = pygit2.discover_repository(str(path))
        if found is None:
            raise VersoError("git_not_found", f"{source} is no Git repository, and in none.")
        return pygit2.Repository(found)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise VersoError("git_unreadable", f"The repository {source} can't be read: {error}") from error


def _cloned(url: str, where: Path, branch: str | None) -> bool:
    try:
        pygit2.clone_repository(url, str(where), bare=True, checkout_branch=branch)
    except (KeyError, ValueError, pygit2.GitError):
        return False
    return True


def _clone_with_git(source: str, where: Path) -> None:
    program = shutil.which("git")
    if program is None:
        raise VersoError(
            "git_unreadable",
            f"{source} can't be cloned without the `git` program. Clone it elsewhere and give the path.",
        )
    command: Sequence[str] = (program, "clone", "--bare", "--quiet", "--", source, str(where))
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - no shell, and -- before the URL
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip()
        raise VersoError("git_unreadable", f"{source} can't be cloned: {why}")

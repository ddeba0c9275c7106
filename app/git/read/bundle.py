"""Bundle files (gitformat-bundle) made into bare repositories, without Git and without trust in them.

What a bundle may bring is objects and names for them: no configuration, no hooks, nothing that is run.
"""

from __future__ import annotations

import re
import shutil
from typing import IO, TYPE_CHECKING, Any

import msgspec
import pygit2

from app.errors import VersoError
from app.git.read.deltas import BadPackError, too_large
from app.git.read.indexing import NO_LIMITS, index_pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.git.read.indexing import Limits

_FIRST_LINES = frozenset({b"# v2 git bundle\n", b"# v3 git bundle\n"})
_MOST_HEAD = 8 * 1024 * 1024
_LONGEST_LINE = 8192
_MOST_REFS = 50_000
_REF = re.compile(rb"([0-9a-f]{40}) (HEAD|refs/[^\x00-\x20\x7f]+)\n\Z")
_HEADS = "refs/heads/"
_TAKEN = (_HEADS, "refs/tags/", "refs/remotes/origin/")


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says at its beginning."""

    refs: dict[str, str]
    """Branches, tags and HEAD, each with the id of the object that it names."""
    pack_at: int
    """Where the pack begins in the file."""


def unbundle(
    source: Path,
    where: Path,
    *,
    limits: Limits = NO_LIMITS,
    watch: Callable[[int, int], object] = lambda *_: None,
) -> Any:
    """Make a bare repository of a bundle's history; `watch` hears how many objects of how many are read.

    Raises VersoError `bundle_unreadable`, `bundle_incomplete`, `bundle_too_large`.
    """
    repository = pygit2.init_repository(str(where), bare=True)
    pack = where / "objects" / "pack" / "pack-bundle.pack"
    try:
        with source.open("rb") as file:
            bundle = read_head(file)
            file.seek(bundle.pack_at)
            with pack.open("wb") as taken:
                shutil.copyfileobj(file, taken, 1 << 20)
        index_pack(pack, limits=limits, watch=watch)
    except BadPackError as error:
        raise _unreadable(str(error)) from None
    except KeyError:
        raise incomplete("it is made for somebody who has a part of the history already") from None
    _write_refs(where, bundle.refs)
    repository.free()
    repository = pygit2.Repository(str(where))
    if not all(each in repository.odb for each in bundle.refs.values()):  # the repository would parse them
        raise incomplete("it lacks what its branches and tags name")
    _choose_head(repository, bundle.refs)
    return repository


def read_head(file: IO[bytes]) -> Bundle:
    """The beginning of a bundle, up to its pack. Raises VersoError as `unbundle` does."""
    if file.readline(_LONGEST_LINE) not in _FIRST_LINES:
        raise _unreadable("it doesn't begin as a bundle does; `git bundle create FILE --all` makes one")
    refs: dict[str, str] = {}
    while (line := file.readline(_LONGEST_LINE)) != b"\n":
        if line.startswith(b"@"):
            _check_capability(line)
            continue
        if line.startswith(b"-"):
            raise incomplete("it goes on from commits that it doesn't have")
        found = _REF.match(line)
        if found is None:
            raise _unreadable("its list of branches and tags is damaged")
        if len(refs) >= _MOST_REFS or file.tell() > _MOST_HEAD:
            raise too_large(f"it has more than {_MOST_REFS:,} branches and tags")
        try:
            refs[found[2].decode()] = found[1].decode("ascii")
        except UnicodeDecodeError:
            continue  # a name that is not UTF-8 can't be a tag here, nor be chosen
    return Bundle(refs=refs, pack_at=file.tell())


def _check_capability(line: bytes) -> None:
    name, _, value = line[1:].strip().partition(b"=")
    if name == b"object-format" and value == b"sha1":
        return
    if name == b"object-format":
        raise _unreadable("its repository uses SHA-256 for its ids, and only those with SHA-1 are read here")
    if name == b"filter":
        raise incomplete("it is made of a partial clone, which lacks contents")
    raise _unreadable("it asks for something that isn't known here")


def _write_refs(where: Path, refs: dict[str, str]) -> None:
    """As `git pack-refs` does: one file, however many there are."""
    taken = sorted(
        (name.encode(), oid)
        for name, oid in refs.items()
        if name.startswith(_TAKEN) and pygit2.reference_is_valid_name(name)
    )
    lines = [b"# pack-refs with: sorted \n", *(oid.encode() + b" " + name + b"\n" for name, oid in taken)]
    (where / "packed-refs").write_bytes(b"".join(lines))


def _choose_head(repository: Any, refs: dict[str, str]) -> None:
    """Which branch is meant when none is named: HEAD's, else main, master, or the first one."""
    names = sorted(each.removeprefix(_HEADS) for each in refs if each.startswith(_HEADS))
    usual = [each for each in ("main", "master") if each in names]
    at = refs.get("HEAD")
    same = [each for each in [*usual, *names] if refs[_HEADS + each] == at]
    if at is not None and not same:
        try:
            repository.set_head(pygit2.Oid(hex=at))
        except (ValueError, pygit2.GitError):
            raise _unreadable(f"its HEAD, {at}, is no commit that can be read") from None
    elif chosen := same[:1] or usual[:1] or names[:1]:
        repository.set_head(_HEADS + chosen[0])


def _unreadable(why: str) -> VersoError:
    return VersoError("bundle_unreadable", f"This is no bundle of Git that can be read: {why}.")


def incomplete(why: str) -> VersoError:
    """The refusal of a bundle that lacks something; `why` is the sentence's middle."""
    return VersoError(
        "bundle_incomplete",
        f"This bundle has not the whole history: {why}. Make one of a whole clone, with "
        "`git bundle create FILE --all`.",
    )

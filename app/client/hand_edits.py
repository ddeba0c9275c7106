"""What a person does to the folder with a command: moves, removals, old versions brought back, decisions.

None of these speaks to a server. They change files and say what a later push shall make of them.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from app.client.applying import begin_steps
from app.client.pending import base_of
from app.client.push import RESTORES, Restore
from app.client.scan import hash_file
from app.client.work import Base, Conflict, Remove, Rename, Settle, Write
from app.errors import VersoError
from app.model import normal_path
from app.model.modes import ORDINARY
from app.sources.names import kept_out

if TYPE_CHECKING:
    from pathlib import Path

    from app.client.folder import Folder, Looked
    from app.client.scan import Local
    from app.client.work import Step


def document_path(folder: Folder, given: str, *, from_folder: Path) -> str:
    """The document's path of a file name that was typed in some folder. Raises VersoError `bad_path`."""
    # Not resolved: a symbolic link is a document of its own. Path can't tidy `..` without following links.
    full = os.path.normpath(from_folder / given)
    try:
        inside = type(folder.root)(full).relative_to(folder.root)
    except ValueError:
        raise VersoError("bad_path", f"{given} is outside of the working folder {folder.root}.") from None
    return "" if inside.as_posix() == "." else normal_path(inside.as_posix())


def known_path(folder: Folder, given: str, *, from_folder: Path) -> str:
    """The document's path of a file or folder that is here, or was: a slip is not "nothing to push".

    Raises VersoError `bad_path`, `document_not_found`.
    """
    path = document_path(folder, given, from_folder=from_folder)
    there = os.path.lexists(folder.root / path)
    if not there and not any(_within(base, path) for base in folder.work.bases()):
        raise VersoError("document_not_found", f"There is no {given} here.", path=path)
    return path


def move(folder: Folder, source: str, target: str) -> dict[str, str]:
    """Move a file or a folder; the documents moved, from where to where.

    Raises VersoError `document_not_found`, `path_taken`.
    """
    looked = folder.look()
    found = {path: local for path, local in looked.files.items() if _within(path, source)}
    if not found:
        raise VersoError("document_not_found", f"There is no {source} here.", path=source)
    if (folder.root / target).is_dir():
        target = f"{target}/{source.rpartition('/')[2]}" if target else source.rpartition("/")[2]
    went = {path: target + path[len(source) :] for path in found}
    for path in went.values():
        if (why := kept_out(path)) is not None:
            raise VersoError("bad_path", f"{path} {why}.", path=path)
        if path in looked.files:
            raise VersoError("path_taken", f"There is a file at {path} already.", path=path)
    steps: list[Step] = [
        Rename(document=path, source=found[path].real, path=into, sha256=found[path].sha256, expected=None)
        for path, into in went.items()
    ]
    _do(folder, steps, Settle())
    placed = {base.path: path for path, base in looked.edits.moved.items()}
    origins = {path: base.path for path, base in {**looked.edits.edited, **looked.edits.moved}.items()}
    for path, into in went.items():
        if path in looked.bases or path in origins:
            placed[origins.get(path, path)] = into
    folder.work.set_moves({origin: path for origin, path in placed.items() if origin != path})
    return went


def remove(folder: Folder, path: str, *, force: bool = False) -> list[str]:
    """Delete a file, or all files below a folder. What isn't pushed goes only by force, and is rescued.

    Raises VersoError `document_not_found`, `unsaved`.
    """
    looked = folder.look()
    found = [local for name, local in looked.files.items() if _within(name, path)]
    if not found:
        raise VersoError("document_not_found", f"There is no {path} here.", path=path)
    unsaved = [local.path for local in found if _unsaved(looked, local)]
    if unsaved and not force:
        raise _unsaved_work(unsaved)
    for local in found:
        if local.path in unsaved:
            rescue(folder, local.path)
    _do(folder, [Remove(local.path, local.real, local.sha256) for local in found], Settle())
    return [local.path for local in found]


def restore(folder: Folder, path: str, *, number: int | None, at: str | None, force: bool = False) -> int:
    """Write an old version's content over a file, or bring a deleted one back; the version's number.

    Without `number` and `at` the file gets the content that its base has. A push makes it a restore.
    Raises VersoError `version_not_found`, `unsaved`, `content_absent`.
    """
    looked = folder.look()
    local, base = looked.files.get(path), looked.edits.moved.get(path) or looked.bases.get(path)
    moment = None if at is None else folder.mirror.resolve(at)
    document = base.document if base is not None else folder.mirror.document_at(path)
    known = folder.mirror.document_versions(document)
    wanted = [
        version
        for version in known
        if version.sha256 is not None
        and (number is None or version.number == number)
        and (moment is None or version.change.sequence <= moment)
        and (number is not None or moment is not None or base is None or version.hash == base.version)
    ]
    if not wanted:
        raise VersoError(
            "version_not_found",
            f"{path} has no such version in the history here. `verso log {path}` lists them.",
            path=path,
        )
    version = wanted[0]
    if local is not None and _unsaved(looked, local) and local.sha256 != version.sha256 and not force:
        raise _unsaved_work([path])
    folder.mirror.content(version.sha256 or "")
    write = Write(
        document=document,
        path=path if local is None else local.real,
        sha256=version.sha256 or "",
        mode=version.mode or ORDINARY,
        expected=None if local is None else local.sha256,
        rescue=local is not None and _unsaved(looked, local),
    )
    _do(folder, [write], Settle())
    restores = folder.work.note(RESTORES, dict[str, Restore]) or {}
    if base is None or version.hash != base.version:
        restores[path] = Restore(document, version.number, version.sha256 or "")
        folder.work.set_note(RESTORES, restores)
    return version.number


def resolve(folder: Folder, path: str, *, theirs: bool = False) -> Conflict:
    """Say that a file is what it shall be: its own content, or `theirs`. A push writes it on top of theirs.

    Raises VersoError `no_conflict`.
    """
    looked = folder.look()
    conflict = looked.conflicts.get(path) or next(
        (each for each in looked.conflicts.values() if each.beside == path), None
    )
    if conflict is None:
        raise VersoError("no_conflict", f"{path} doesn't wait for a decision.", path=path)
    local = looked.files.get(conflict.path)
    steps: list[Step] = _beside_goes(folder, conflict)
    if conflict.version is None:
        if theirs and local is not None:
            rescue(folder, local.path)
            steps.append(Remove(conflict.document, local.real, local.sha256))
        settle = Settle(drop=[conflict.document], clear=[conflict.path])
    else:
        head = folder.mirror.version(conflict.version)
        base = base_of(head, {each.document: each for each in looked.bases.values()})
        settle = Settle(bases=[base], clear=[conflict.path])
        if local is None or theirs:
            expected = None if local is None else local.sha256
            steps.append(
                Write(
                    base.document, conflict.path, base.sha256, base.mode, expected, rescue=local is not None
                )
            )
        if conflict.path != base.path:
            steps += _home(looked, conflict, base, local)
    _do(folder, steps, settle)
    return conflict


def rescue(folder: Folder, path: str) -> str:
    """Keep a copy of a file in the hidden directory; its name from the folder's root."""
    from app.client.applying import keep_copy  # noqa: PLC0415

    return keep_copy(folder.root, folder.place.hidden, path)


def _home(looked: Looked, conflict: Conflict, base: Base, local: Local | None) -> list[Step]:
    """A decided file goes where its document is now, if nothing else is there."""
    if base.path in looked.files:
        return []
    sha256 = base.sha256 if local is None else local.sha256
    return [Rename(base.document, conflict.path, base.path, sha256, None)]


def _beside_goes(folder: Folder, conflict: Conflict) -> list[Step]:
    """Theirs beside yours has done its service; if somebody worked in it, a copy is kept."""
    if conflict.beside is None or conflict.beside_sha256 is None:
        return []
    file = folder.root / conflict.beside
    if not file.exists():
        return []
    found = hash_file(file)
    if found != conflict.beside_sha256:
        rescue(folder, conflict.beside)
    return [Remove(conflict.document, conflict.beside, found)]


def _do(folder: Folder, steps: list[Step], settle: Settle) -> None:
    folder.finish_steps()
    begin_steps(folder.work, steps=steps, settle=settle)
    blocked = folder.finish_steps().blocked
    if blocked:
        raise VersoError("edited_meanwhile", f"{'; '.join(sorted(blocked.values()))}. Try it again.")


def _unsaved(looked: Looked, local: Local) -> bool:
    base = looked.edits.moved.get(local.path) or looked.bases.get(local.path)
    return base is None or base.sha256 != local.sha256


def _unsaved_work(paths: list[str]) -> VersoError:
    return VersoError(
        "unsaved",
        f"{', '.join(paths[:5])}: not pushed yet. Push first, or use --force; then a copy is kept.",
        paths=paths,
    )


def _within(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")

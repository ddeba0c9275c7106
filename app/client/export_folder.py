"""A project's files at a point, as a folder that is nothing but files; continued when it is exported again.

What an earlier run wrote is listed in `.verso-export.json`, so a later one writes only what differs and
removes what is gone. A file that somebody changed meanwhile is never overwritten: then nothing at all is
done. What can't be a file on this machine, or would reach beyond the folder, is left out and reported.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from app.client.bulk import MOST_CONTENTS, asked_contents
from app.client.history import home_of
from app.client.names import probe_folding
from app.errors import VersoError
from app.model import LeftOut, Project, TreeEntry
from app.model.modes import EXECUTABLE, ORDINARY, SYMLINK
from app.progress import no_progress
from app.sources.names import kept_out, stays_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.client.api import Api
    from app.progress import Progress

LISTING = ".verso-export.json"
_PAGE = 200


class Held(msgspec.Struct, frozen=True):
    """What an export wrote to a path."""

    sha256: str
    mode: str


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote."""

    project: str
    change: int
    files: dict[str, Held]
    unsettled: list[tuple[str, Held]] = []
    """What the run that wrote this may have removed or written since: it is the export's if it is there."""
    form: int = 1


class ExportedFolder(msgspec.Struct, frozen=True, kw_only=True):
    """What the folder holds now."""

    directory: str
    project: str
    change: int
    """The state after which change it is."""
    files: int
    written: int
    removed: int
    left_out: list[LeftOut]


def export_folder(
    api: Api, project: str, directory: Path, *, at: str | None = None, progress: Progress = no_progress
) -> ExportedFolder:
    """Make the folder hold what the project (id or slug) holds at a point; its newest change unless said.

    Raises VersoError: the server's refusals; `other_export` when the folder holds anything else;
    `export_edited` with the paths when files were changed that would have to be overwritten or removed.
    """
    home = api.get(home_of(project), kind=Project).id
    before = _listing(directory, home)
    change, entries = _tree(api, home, at)
    directory.mkdir(parents=True, exist_ok=True)
    wanted, left_out = _writable(directory, entries)
    gone = [path for path in before.files if path not in wanted]
    differing = {path: held for path, held in wanted.items() if before.files.get(path) != held}
    removing = [*gone, *(path for path in differing if path in before.files)]
    _check_untouched(directory, before, removing, [path for path in differing if path not in before.files])
    # From here on the folder holds only what the listing says, whenever it ends.
    kept = {path: held for path, held in before.files.items() if wanted.get(path) == held}
    unsettled = [*((path, before.files[path]) for path in removing), *differing.items()]
    _keep(directory, Listing(project=home, change=change, files=kept, unsettled=unsettled))
    for path in removing:
        _remove(directory, path)
    erased = _write_all(api, home, directory, differing, progress)
    for path in erased:
        del wanted[path]
        left_out.append(LeftOut(path, "was erased"))
    _keep(directory, Listing(project=home, change=change, files=wanted))
    return ExportedFolder(
        directory=str(directory),
        project=home,
        change=change,
        files=len(wanted),
        written=len(differing) - len(erased),
        removed=len(gone),
        left_out=sorted(left_out, key=lambda each: each.path),
    )


def _listing(directory: Path, project: str) -> Listing:
    empty = Listing(project=project, change=0, files={})
    if not directory.exists() or not any(directory.iterdir()):
        return empty
    try:
        found = msgspec.json.decode((directory / LISTING).read_bytes(), type=Listing)
    except (OSError, msgspec.DecodeError):
        found = None
    if found is None or found.project != project or found.form != 1:
        raise VersoError(
            "other_export",
            f"{directory} holds something else than an export of this project. Choose an empty folder.",
        )
    there = {
        path: held
        for path, held in found.unsettled
        if os.path.lexists(directory / path) and _is_as_exported(directory / path, held)
    }
    return msgspec.structs.replace(found, files=found.files | there, unsettled=[])


def _keep(directory: Path, listing: Listing) -> None:
    written = directory / f"{LISTING}.new"
    written.write_bytes(msgspec.json.encode(listing))
    written.replace(directory / LISTING)


def _tree(api: Api, home: str, at: str | None) -> tuple[int, list[TreeEntry]]:
    entries: list[TreeEntry] = []
    cursor: str | None = None
    point = at
    while True:
        page = api.get(f"{home_of(home)}/tree", at=point, cursor=cursor, limit=_PAGE)
        entries += msgspec.convert(page["items"], list[TreeEntry])
        # Every page is of the change that the first one was of, whatever is written meanwhile.
        point, cursor = str(page["sequence"]), page["next"]
        if cursor is None:
            return page["sequence"], entries


def _writable(directory: Path, entries: list[TreeEntry]) -> tuple[dict[str, Held], list[LeftOut]]:
    """What becomes a file, and what doesn't: each name once for this file system, in the order of paths."""
    folding = probe_folding(directory)
    wanted: dict[str, Held] = {}
    left_out: list[LeftOut] = []
    taken = {folding.fold(f"{LISTING}{ending}") for ending in ("", ".new", ".arriving")}
    for entry in entries:
        mode = entry.mode or ORDINARY
        reason = kept_out(entry.path, mode=mode)
        if reason is None and folding.fold(entry.path) in taken:
            reason = "has a name that this system takes for that of another file"
        if reason is not None:
            left_out.append(LeftOut(entry.path, reason))
            continue
        taken.add(folding.fold(entry.path))
        wanted[entry.path] = Held(entry.sha256, mode)
    return wanted, left_out


def _check_untouched(directory: Path, before: Listing, removing: list[str], new: list[str]) -> None:
    """See to it that nobody's work is in the way. Raises VersoError `export_edited`."""
    ours = set(removing)
    edited = [path for path in removing if not _is_as_exported(directory / path, before.files[path])]
    edited += [path for path in [*removing, *new] if _in_the_way(directory, path, ours)]
    if edited:
        more = f", and {len(set(edited)) - 1} more" if len(set(edited)) > 1 else ""
        raise VersoError(
            "export_edited",
            f"{edited[0]} was changed in this folder after it was exported{more}. Nothing was done. Move it "
            "away, or export into an empty folder.",
            paths=sorted(set(edited)),
        )


def _is_as_exported(place: Path, held: Held) -> bool:
    """Whether a file is what was exported, or was deleted."""
    if place.is_symlink():
        return hashlib.sha256(_target(place)).hexdigest() == held.sha256
    return not os.path.lexists(place) or (place.is_file() and _sha256(place) == held.sha256)


def _in_the_way(directory: Path, path: str, ours: set[str]) -> bool:
    """Whether anything stands at a path, or as a file or link above it, that isn't about to be removed."""
    segments = path.split("/")
    for count in range(1, len(segments)):
        above = "/".join(segments[:count])
        place = directory / above
        if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
            return above not in ours
    place = directory / path
    if place.is_dir() and not place.is_symlink():
        below = (file.relative_to(directory).as_posix() for file in _files(place))
        return any(each not in ours for each in below)
    return os.path.lexists(place) and path not in ours


def _files(folder: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder):
        for name in files:
            yield Path(at, name)
        for name in folders:
            if Path(at, name).is_symlink():
                yield Path(at, name)


def _remove(directory: Path, path: str) -> None:
    """Remove a file, and the folders that are empty then."""
    place = directory / path
    place.unlink(missing_ok=True)
    for parent in place.parents:
        if parent == directory:
            return
        try:
            parent.rmdir()
        except OSError:
            return


def _write_all(
    api: Api, home: str, directory: Path, files: Mapping[str, Held], progress: Progress
) -> list[str]:
    """Write files from contents as they stream in; the paths whose contents were erased."""
    paths: dict[str, list[str]] = {}
    for path, held in files.items():
        paths.setdefault(held.sha256, []).append(path)
    done = 0
    contents = list(paths)
    for start in range(0, len(contents), MOST_CONTENTS):
        batch = contents[start : start + MOST_CONTENTS]
        with asked_contents(api, home_of(home), batch) as members:
            for sha256, _, pieces in members:
                targets = paths.pop(sha256, [])
                _write(directory, targets, sha256, pieces, files)
                done += len(targets)
                progress(done, len(files), "files")
    return [path for left in paths.values() for path in left]


def _write(
    directory: Path, paths: list[str], sha256: str, pieces: Iterator[bytes], files: Mapping[str, Held]
) -> None:
    """Write one content to its paths; only bytes that hash to their name get a name here."""
    arriving, whole = directory / f"{LISTING}.arriving", directory / f"{LISTING}.new"
    digest = hashlib.sha256()
    with arriving.open("wb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    try:
        if digest.hexdigest() != sha256:
            raise VersoError("content_altered", "The server sent other bytes than it said.", sha256=sha256)
        for path in paths:
            place = directory / path
            place.parent.mkdir(parents=True, exist_ok=True)
            mode = files[path].mode
            if mode == SYMLINK and _link(place, path, arriving.read_bytes()):
                continue
            shutil.copyfile(arriving, whole)
            if mode == EXECUTABLE:
                whole.chmod(whole.stat().st_mode | 0o111)
            whole.replace(place)
    finally:
        arriving.unlink()
        whole.unlink(missing_ok=True)


def _link(place: Path, path: str, target: bytes) -> bool:
    """Make a symbolic link; False where it must be a file that holds its target, as Git does then."""
    try:
        text = target.decode()
        if not stays_inside(path, text):
            return False
        place.symlink_to(text)
    except (UnicodeDecodeError, OSError):
        return False
    return True


def _target(place: Path) -> bytes:
    return os.fsencode(place.readlink())


def _sha256(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

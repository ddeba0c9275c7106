"""What has no history becomes one: a folder or an archive, compared with the project, sent as changes.

1  The tree of the project is read, and every file of the source hashed.
2  What differs becomes items: new files, edits, modes; with `delete` also what the source lacks, and what
   only went elsewhere as a move.
3  The items go out in as few changes as the limits allow, each atomic. Most imports are one change.

Nothing is remembered between runs: a second one compares again, finds what the first one wrote, and sends
what is left.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from app.client.history import home_of
from app.client.multipart import Multipart, Part
from app.errors import VersoError
from app.model import LeftOut, TreeEntry, normal_path
from app.model.modes import ORDINARY
from app.progress import Progress, no_progress
from app.sources.listing import MIB, File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.client.api import Api
    from app.sources.listing import Source

MOST_ITEMS = 10_000
"""Items of one change, as the API takes them unless its operator set less."""
MOST_BYTES = 1024 * MIB
"""Bytes of one change: a connection that breaks has not all of it to send again."""


class Wrote(msgspec.Struct, frozen=True):
    """A change that an import wrote."""

    sequence: int
    hash: str
    versions: int


class Moved(msgspec.Struct, frozen=True):
    """A document that is elsewhere in the source."""

    before: str
    after: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or would do."""

    project: str
    dry_run: bool
    added: list[str]
    edited: list[str]
    moved: list[Moved]
    deleted: list[str]
    unchanged: int
    bytes: int
    """Of the contents that are sent."""
    needed_changes: int
    """How many changes it takes: more than 1, and so no longer one atomic step, where one is too large."""
    changes: list[Wrote]
    left_out: list[LeftOut]


class Plan(msgspec.Struct, kw_only=True):
    """What differs between a source and a project."""

    files: list[tuple[File, str | None]] = []
    """Contents to send, each with the version that it is based on, or None."""
    moves: list[tuple[str, TreeEntry, File]] = []
    deletes: list[TreeEntry] = []
    blocked: list[LeftOut] = []
    """Files that can't be where they belong, because the project has a document in the way."""
    unchanged: int = 0


def import_source(  # what a person may ask of an import
    api: Api,
    project: str,
    source: Source,
    *,
    under: str = "",
    delete: bool = False,
    message: str = "",
    dry_run: bool = False,
    is_there: bool = True,
    progress: Progress = no_progress,
) -> Imported:
    """Bring a project up to a source, for its editors. `under` is the folder that the source becomes.

    `delete` also deletes what is below that folder and not in the source. A dry run may plan for a project
    that isn't there yet. Raises VersoError: the server's refusals (`stale_base` when somebody wrote
    meanwhile: run it again), `file_changed`, `archive_refused`.
    """
    prefix = f"{normal_path(under.strip('/'))}/" if under.strip("/") else ""
    tree = read_tree(api, project, prefix) if is_there else {}
    plan = compare(source, tree, prefix, delete=delete, progress=progress)
    batches = list(_batches(plan, prefix, MOST_ITEMS))
    changes: list[Wrote] = []
    if not dry_run:
        try:
            changes = _send(api, project, batches, message, progress)
        except VersoError as error:
            limit = error.detail.get("limit")
            first = len(batches[0].items) if batches else 0
            # The first one was refused, so nothing was written: this server's operator takes smaller ones.
            if error.code != "too_many_files" or not isinstance(limit, int) or first <= limit:
                raise
            batches = list(_batches(plan, prefix, limit))
            changes = _send(api, project, batches, message, progress)
    return Imported(
        project=project,
        dry_run=dry_run,
        added=[prefix + file.path for file, base in plan.files if base is None],
        edited=[prefix + file.path for file, base in plan.files if base is not None],
        moved=[Moved(entry.path, prefix + file.path) for _, entry, file in plan.moves],
        deleted=[entry.path for entry in plan.deletes],
        unchanged=plan.unchanged,
        bytes=sum(file.size for file, _ in plan.files),
        needed_changes=len(batches),
        changes=changes,
        left_out=[*source.left_out, *plan.blocked],
    )


def _send(api: Api, project: str, batches: list[_Batch], message: str, progress: Progress) -> list[Wrote]:
    changes = []
    sent, total = 0, sum(batch.size for batch in batches)
    for number, batch in enumerate(batches, 1):
        told = message if len(batches) == 1 else f"{message} ({number} of {len(batches)})".strip()
        written = batch.send(api, project, told)
        if written is not None:
            changes.append(written)
        sent += batch.size
        progress(sent, total, "bytes sent")
    return changes


def read_tree(api: Api, project: str, prefix: str) -> dict[str, TreeEntry]:
    """What a project has below a folder, by path."""
    entries = api.pages(f"{home_of(project)}/tree", kind=TreeEntry, prefix=prefix or None)
    return {entry.path: entry for entry in entries}


def compare(
    source: Source,
    tree: dict[str, TreeEntry],
    prefix: str,
    *,
    delete: bool,
    progress: Progress = no_progress,
) -> Plan:
    """What differs, by SHA-256 and mode."""
    plan = Plan()
    seen: set[str] = set()
    arrived: dict[tuple[str, str], list[File]] = {}
    hashed = 0
    for file in source.files():
        path = prefix + file.path
        entry = tree.get(path)
        sha256 = _hash(file)
        hashed += file.size
        progress(hashed, hashed, "bytes read")
        seen.add(path)
        same_mode = entry is not None and _mode(entry.mode) == _mode(file.mode)
        if entry is not None and entry.sha256 == sha256 and same_mode:
            plan.unchanged += 1
            continue
        plan.files.append((file, entry.version if entry else None))
        if entry is None:
            arrived.setdefault((sha256, _mode(file.mode)), []).append(file)
    for path, entry in tree.items() if delete else ():
        if path in seen:
            continue
        homes = arrived.get((entry.sha256, _mode(entry.mode)))
        if homes:
            plan.moves.append((entry.sha256, entry, homes.pop(0)))
        else:
            plan.deletes.append(entry)
    # With `delete` whatever is in the way goes; without, one file in the way would refuse the whole change.
    in_the_way = {} if delete else tree
    folders = {folder for path in in_the_way for folder in _folders(path)}
    went = {id(file) for _, _, file in plan.moves}
    kept = []
    for file, base in plan.files:
        path = prefix + file.path
        if base is None and (path in folders or any(folder in in_the_way for folder in _folders(path))):
            reason = "the project has a document and a folder of one name here; --delete clears the way"
            plan.blocked.append(LeftOut(path, reason))
        elif id(file) not in went:
            kept.append((file, base))
    plan.files = kept
    return plan


class _Batch:
    """One change."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.items: list[dict[str, Any]] = []
        self.parts: list[Part] = []
        self.size = 0

    def fits(self, size: int) -> bool:
        return not self.items or (len(self.items) < self._most and self.size + size <= MOST_BYTES)

    def add(self, item: dict[str, Any], file: File | None = None) -> None:
        if file is not None:
            name = f"f{len(self.parts)}"
            item = {**item, "part": name, "mode": _mode(file.mode)}
            leaf = file.path.rpartition("/")[2]
            self.parts.append(Part(name=name, size=file.size, read=file.read, filename=leaf))
            self.size += file.size
        self.items.append(item)

    def send(self, api: Api, project: str, message: str) -> Wrote | None:
        body = msgspec.json.encode({"message": message, "items": self.items})
        form = Multipart([Part.of("change", body, media_type="application/json"), *self.parts])
        answer = api.ask(
            "POST",
            f"{home_of(project)}/changes",
            content=form.pieces,
            headers=form.headers,
            # For the tries of this request. A later run compares anew and needs none of this one's answers.
            key=f"import-{secrets.token_hex(16)}",
        ).json()
        change = answer["change"]
        return change and Wrote(change["sequence"], change["hash"], change["version_count"])


def _batches(plan: Plan, prefix: str, most: int) -> Iterator[_Batch]:
    """Paths are left before they are taken: moves and deletes come first."""
    batch = _Batch(most)

    def room(size: int) -> Iterator[_Batch]:
        nonlocal batch
        if not batch.fits(size):
            yield batch
            batch = _Batch(most)

    for _, entry, file in plan.moves:
        yield from room(0)
        batch.add({"from": entry.path, "path": prefix + file.path, "base": entry.version})
    for entry in plan.deletes:
        yield from room(0)
        batch.add({"path": entry.path, "base": entry.version, "delete": True})
    for file, base in plan.files:
        yield from room(file.size)
        item: dict[str, Any] = {"path": prefix + file.path}
        batch.add({**item, "base": base} if base else {**item, "create": True}, file)
    if batch.items:
        yield batch


def _folders(path: str) -> Iterator[str]:
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _mode(mode: str | None) -> str:
    return mode or ORDINARY


def _hash(file: File) -> str:
    digest = hashlib.sha256()
    try:
        for piece in file.read():
            digest.update(piece)
    except OSError as error:
        raise VersoError("source_unreadable", f"{file.path} can't be read: {error}.") from None
    return digest.hexdigest()

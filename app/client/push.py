"""The folder's edits as one atomic change: all of them or none, each with the version that it was made from.

1  What a killed run left is finished, and a pending push recognised.
2  The folder is looked at; what waits for a decision is not pushed.
3  `have` says which contents the project has; the others travel, in the same request as the change.
4  Whoever was faster is met as a pull meets them, and it goes on from 2.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from app.client.history import fetch_history, home_of
from app.client.multipart import Multipart, Part, read_file
from app.client.pending import (
    Pending,
    Piece,
    forget,
    pending_of,
    recognise,
    settle_versions,
    write_down,
)
from app.client.pull import Pulled, pull
from app.errors import VersoError
from app.model import Change
from app.model.modes import ORDINARY
from app.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from app.client.api import Api
    from app.client.folder import Folder, Looked
    from app.client.scan import Local
    from app.client.work import Base, Conflict
    from app.progress import Progress

ROUNDS = 5
MOST_ASKED = 10_000
WORTH_ASKING = 64 * 1024
"""From so many bytes on it is quicker to ask what the project has than to send it all."""
RESTORES = "restores"
_MET = frozenset(
    {
        "stale_base",
        "already_exists",
        "base_required",
        "path_taken",
        "document_not_found",
        "document_deleted",
        "document_moved",
        "already_deleted",
        "edited_meanwhile",
        "digest_mismatch",
    }
)
"""Refusals that say that somebody was faster, there or here: look again, and try again."""


_HELD_NO_MORE = frozenset({"content_not_found", "content_erased", "content_missing", "content_altered"})
"""A content that the project was said to have can't be taken from there: it is sent after all."""


class Restore(msgspec.Struct, frozen=True):
    """A file that `verso restore` brought back: pushed as a restore as long as it is what it was."""

    document: str
    number: int
    sha256: str


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What a push did."""

    change: int | None
    """The change's number; null when there was nothing to push."""
    hash: str | None
    paths: list[str]
    sent_bytes: int
    requests: int
    pulled: Pulled | None
    """What had to be met before."""
    problems: dict[str, str]
    """Files that can't become documents, with why."""


def push(
    api: Api,
    folder: Folder,
    *,
    message: str = "",
    paths: Collection[str] = (),
    leave_conflicts: bool = False,
    progress: Progress = no_progress,
) -> Pushed:
    """Push all edits, or those at and below `paths`.

    Raises VersoError: `conflicts` when something waits for a decision (unless these are left out), and the
    server's refusals; then nothing was written.
    """
    before = (api.traffic.requests, api.traffic.sent_bytes)
    folder.finish_steps(api)
    if pending_of(folder) is not None:
        fetch_history(api, folder.mirror, folder.project)
        recognise(folder)
    met: Pulled | None = None
    for _ in range(ROUNDS):
        looked = folder.look()
        if looked.conflicts and not leave_conflicts:
            raise conflicts_wait(list(looked.conflicts.values()))
        pieces = find_pieces(folder, looked, paths)
        if not pieces:
            return _pushed(api, before, None, [], met, looked)
        pending = _pending(folder, message or default_message(pieces), pieces)
        write_down(folder, pending)
        try:
            change = _send(api, folder, looked, pending, progress)
        except VersoError as error:
            if not _may_be_written(error):
                forget(folder)
            if error.code == "too_many_files":
                raise too_many(pieces, error) from None
            if error.code not in _MET:
                raise
            met = pull(api, folder, progress=progress)
            continue
        _keep(api, folder, looked, change, pieces)
        return _pushed(api, before, change, [piece.path for piece in pieces], met, looked)
    raise VersoError(
        "crowded", "Others write to the same documents faster than this push. Nothing is lost; try it again."
    )


def find_pieces(folder: Folder, looked: Looked, paths: Collection[str] = ()) -> list[Piece]:
    """The edits as parts of a change, in the order of their paths."""
    edits, files = looked.edits, looked.files
    restores: dict[str, Restore] = folder.work.note(RESTORES, dict[str, Restore]) or {}
    waiting = {each.document for each in looked.conflicts.values()}
    in_the_way = set(looked.conflicts)
    pieces = [
        Piece(path=base.path, document=base.document, base=base.version, delete=True)
        for base in edits.deleted
    ]
    pieces += [
        _changed(files[path], base, restores.get(path))
        for path, base in {**edits.moved, **edits.edited}.items()
    ]
    pieces += [
        _added(folder, files[path], restores.get(path)) for path in edits.added if path not in in_the_way
    ]
    chosen = [each for each in pieces if each.document not in waiting and _among(each.path, paths)]
    return sorted(chosen, key=lambda each: each.path.encode())


def conflicts_wait(conflicts: Sequence[Conflict]) -> VersoError:
    """The refusal while something waits for a decision."""
    names = ", ".join(each.path for each in conflicts[:5]) + (" …" if len(conflicts) > 5 else "")  # noqa: PLR2004
    return VersoError(
        "conflicts",
        f"{len(conflicts)} file(s) wait for you: {names}. Make each what it shall be, then "
        "`verso resolve PATH`.",
        conflicts=[msgspec.to_builtins(each) for each in conflicts],
    )


def too_many(pieces: Sequence[Piece], error: VersoError) -> VersoError:
    """The refusal of more files than a change takes: which ones go together is for the person to say."""
    limit = error.detail.get("limit", 0)
    return VersoError(
        error.code,
        f"{len(pieces):,} files were changed, and one change takes {limit:,}. Push them part by part: "
        "`verso push PATH -m WHY`.",
        **error.detail,
    )


def default_message(pieces: Sequence[Piece]) -> str:
    """What a change is called when nobody says why."""
    names = [piece.path for piece in pieces[:3]]
    more = f" and {len(pieces) - 3} more" if len(pieces) > 3 else ""  # noqa: PLR2004
    return f"Update {', '.join(names)}{more}"


def _changed(local: Local, base: Base, restore: Restore | None) -> Piece:
    mode = local.mode if local.mode != base.mode else None
    if local.sha256 == base.sha256:
        return Piece(path=local.path, document=base.document, base=base.version, mode=mode)
    if restore is not None and restore.sha256 == local.sha256 and restore.document == base.document:
        return Piece(path=local.path, document=base.document, base=base.version, restore=restore.number)
    return Piece(
        path=local.path,
        document=base.document,
        base=base.version,
        sha256=local.sha256,
        size=local.size,
        mode=mode,
    )


def _added(folder: Folder, local: Local, restore: Restore | None) -> Piece:
    if restore is not None and restore.sha256 == local.sha256:
        head = folder.mirror.heads().get(restore.document)
        if head is not None and head.sha256 is None:
            return Piece(path=local.path, document=head.document, base=head.hash, restore=restore.number)
    mode = local.mode if local.mode != ORDINARY else None
    return Piece(path=local.path, sha256=local.sha256, size=local.size, mode=mode)


def _pending(folder: Folder, message: str, pieces: list[Piece]) -> Pending:
    """The very push that was sent before, under its key, or a new one."""
    before = pending_of(folder)
    if before is not None and (before.pieces, before.message) == (pieces, message):
        return before
    return Pending(key=secrets.token_hex(16), message=message, newest=folder.mirror.newest, pieces=pieces)


def _send(api: Api, folder: Folder, looked: Looked, pending: Pending, progress: Progress) -> Change | None:
    held = _held(api, folder, pending.pieces)
    while True:
        body = _body(folder, looked, pending, held, progress)
        try:
            answer = api.ask(
                "POST",
                f"{home_of(folder.project)}/changes",
                content=body.pieces,
                headers=body.headers,
                key=pending.key,
            )
        except VersoError as error:
            if not held or error.code not in _HELD_NO_MORE:
                raise
            held = set()
        else:
            written: Change | None = msgspec.convert(answer.json()["change"], Change | None)
            return written


def _body(
    folder: Folder, looked: Looked, pending: Pending, held: Collection[str], progress: Progress
) -> Multipart:
    going = [
        (f"f{number}", piece.sha256, piece)
        for number, piece in enumerate(pending.pieces)
        if piece.sha256 is not None and piece.sha256 not in held
    ]
    total, sent = sum(piece.size for _, _, piece in going), 0

    def on_its_way(count: int) -> None:
        nonlocal sent
        sent += count
        progress(sent, total, "bytes")

    items = [
        _item(piece, f"f{number}", held=piece.sha256 in held) for number, piece in enumerate(pending.pieces)
    ]
    change = msgspec.json.encode({"message": pending.message, "items": items})
    parts = [
        Part(
            name=name,
            filename="f",
            size=piece.size,
            sha256=sha256,
            read=_reader(folder, looked.files[piece.path], on_its_way),
        )
        for name, sha256, piece in going
    ]
    return Multipart([Part.of("change", change), *parts])


def _held(api: Api, folder: Folder, pieces: Sequence[Piece]) -> set[str]:
    """Contents of a push that the project has: worth a question when there is much to send."""
    wanted = {piece.sha256: piece.size for piece in pieces if piece.sha256 is not None}
    # What the mirror names, the project holds; only what others pushed since then is worth asking for.
    held = {sha256 for sha256 in wanted if folder.mirror.names(sha256)}
    asked = [sha256 for sha256 in wanted if sha256 not in held]
    if sum(wanted[sha256] for sha256 in asked) < WORTH_ASKING:
        return held
    for start in range(0, len(asked), MOST_ASKED):
        answer = api.post(
            f"{home_of(folder.project)}/have", {"sha256": asked[start : start + MOST_ASKED]}, again=True
        )
        held |= set(answer["have"])
    return held


def _item(piece: Piece, part: str, *, held: bool) -> dict[str, Any]:
    given = {
        "path": piece.path,
        "document": piece.document,
        "base": piece.base,
        "mode": piece.mode,
        "restore": piece.restore,
        "part": None if piece.sha256 is None or held else part,
        "sha256": piece.sha256 if held else None,
    }
    item = {name: value for name, value in given.items() if value is not None}
    if piece.delete:
        del item["path"]
        item["delete"] = True
    if piece.document is None:
        item["create"] = True
    return item


def _reader(folder: Folder, local: Local, progress: Callable[[int], None]) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        file = folder.root / local.real
        try:
            source = iter([folder.read_local(local)]) if file.is_symlink() else read_file(file)
            count = 0
            for piece in source:
                count += len(piece)
                if count > local.size:
                    break
                yield piece
        except OSError:
            count = -1
        if count != local.size:
            raise VersoError(
                "edited_meanwhile", f"{local.path} was edited while it was sent.", path=local.path
            )
        progress(count)

    return pieces


def _keep(api: Api, folder: Folder, looked: Looked, change: Change | None, pieces: Sequence[Piece]) -> None:
    """Remember what was accepted, and keep its contents: they needn't come back over the wire."""
    if change is None:
        # Everything was there already, by somebody else's hand: a pull finds out.
        forget(folder)
        pull(api, folder)
        return
    settle_versions(folder, change.versions)
    fetch_history(api, folder.mirror, folder.project)
    contents = folder.mirror.contents
    for piece in pieces:
        if piece.sha256 is not None and not contents.has(piece.sha256):
            local = looked.files[piece.path]
            try:
                contents.add(piece.sha256, piece.size, _reader(folder, local, lambda _: None)())
            except VersoError:
                continue  # edited since it was sent; the next pull fetches what was sent
    if restores := folder.work.note(RESTORES, dict[str, Restore]):
        done = {piece.path for piece in pieces}
        folder.work.set_note(RESTORES, {path: each for path, each in restores.items() if path not in done})


def _pushed(  # noqa: PLR0917 - of what a push was, in order
    api: Api,
    before: tuple[int, int],
    change: Change | None,
    paths: list[str],
    met: Pulled | None,
    looked: Looked,
) -> Pushed:
    return Pushed(
        change=None if change is None else change.sequence,
        hash=None if change is None else change.hash,
        paths=paths,
        sent_bytes=api.traffic.sent_bytes - before[1],
        requests=api.traffic.requests - before[0],
        pulled=met,
        problems=looked.scan.problems,
    )


def _may_be_written(error: VersoError) -> bool:
    """Whether the server, or what is behind it, may have taken the push before it failed."""
    failed = error.detail.get("status", 0) >= 500  # noqa: PLR2004 - RFC 9110, 15.6
    return failed or error.code in {"unreachable", "not_verso"}


def _among(path: str, paths: Collection[str]) -> bool:
    return not paths or any(path == each or path.startswith(f"{each}/") for each in paths)

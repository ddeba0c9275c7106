"""Git commits in: a batch of them becomes as many changes, in one transaction.

1  An `ImportRun` looks at every commit (its id is the hash of its object); `prepare` asks the database
   whether the caller is an owner and the batch goes on from the newest change, and which contents are there;
2  `take` puts each content that comes into storage as it comes: no more than `concurrency` of them are held;
3  `finish` sees that no content is missing, and commits. The database looks at everything once more.

A crash in between leaves objects that nothing points to. A batch that is sent again is answered as it was.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError
from app.model import is_sha256, normal_media_type, normal_path
from app.supabase.upload import Upload  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.model import Copy
    from app.model.imports import Batch, Commit, CommitItem, ImportAnswer
    from app.supabase.blobs import Blobs, Stored
    from app.supabase.identity import Actor
    from app.supabase.imports import Imports

MAX_ORIGIN_SIZE = 1024 * 1024
MAX_MESSAGE_SIZE = 65_536
MAX_NAME_SIZE = 1000
COMMIT_TRIES = 3

_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class _Sent(msgspec.Struct, frozen=True):
    upload: Upload
    suffix: str | None


class ImportRun:
    """One batch on its way in. `close` it, whatever happened."""

    def __init__(
        self, imports: Imports, blobs: Blobs, *, actor: Actor, batch: Batch, project: str, concurrency: int
    ) -> None:
        self._imports = imports
        self._blobs = blobs
        self._actor = actor
        self._batch = batch
        self._project = project
        self._room = asyncio.Semaphore(concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self._sent: dict[str, _Sent] = {}
        self._all_known = False
        self._copies: dict[str, list[Copy]] = {}
        self._changes = [_asked(commit) for commit in batch.changes]
        self._sizes = {item["sha256"]: item["size"] for item in self._items() if "sha256" in item}

    async def prepare(self) -> None:
        """Stop what may not be before its bytes travel."""
        prepared = await self._imports.prepare_import(
            self._actor.token,
            project=self._project,
            after=self._batch.after,
            origin_ids=[commit.origin_id for commit in self._batch.changes],
            contents=sorted(self._sizes),
        )
        self._project = prepared.project
        self._all_known = prepared.known == len(self._changes)
        self._copies = {each.sha256: each.copies for each in prepared.contents}

    def expects(self, name: str) -> None:
        """Raise VersoError unless a content of this name is one of the batch's, and the first."""
        if name not in self._sizes:
            raise VersoError("bad_multipart", f"No item of this batch has the content {name[:100]!r}.")
        if name in self._sent:
            raise VersoError("bad_multipart", f"The content {name} comes twice.")

    async def take(self, name: str, upload: Upload) -> None:
        """Store a content that came, while the next one comes. Its upload is discarded in the end."""
        try:
            self._check(name, upload)
            await self._room.acquire()
        except BaseException:
            upload.discard()
            raise
        self._sent[name] = _Sent(upload, None)
        task = asyncio.create_task(self._store(name, upload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> ImportAnswer:
        """Write the batch. Raises VersoError; then nothing was changed."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        if self._fault is not None:
            raise self._fault
        if not self._all_known:
            self._check_contents()
        for item in self._items():
            sent = self._sent.get(item.get("sha256", ""))
            if sent is not None:
                item["md5"] = sent.upload.md5
                if sent.suffix is not None:
                    item["copy"] = sent.suffix
        for tries_left in reversed(range(COMMIT_TRIES)):
            try:
                return await self._imports.import_changes(
                    self._actor.token,
                    project=self._project,
                    after=self._batch.after,
                    changes=self._changes,
                )
            except VersoError as error:
                if not tries_left or not await self._mend(error):
                    raise
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Stop what still travels, and leave no files behind."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        try:
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        finally:
            # A task that is cancelled before its first step discards nothing itself.
            for sent in self._sent.values():
                sent.upload.discard()

    def _check(self, name: str, upload: Upload) -> None:
        self.expects(name)
        if upload.sha256 != name:
            raise VersoError(
                "digest_mismatch", f"The bytes of the part {name} do not hash to its name.", part=name
            )
        if upload.size != self._sizes[name]:
            raise VersoError(
                "bad_value", f"The content {name} has {upload.size} bytes, not the size of its item."
            )
        if self._fault is not None:
            raise self._fault

    async def _store(self, name: str, upload: Upload) -> None:
        try:
            if not self._all_known:
                stored: Stored = await self._blobs.store(
                    self._actor.token, project=self._project, upload=upload, copies=self._copies.get(name, [])
                )
                # Its bytes are in storage now, and its hashes are all that is still needed.
                self._sent[name] = _Sent(msgspec.structs.replace(upload, data=None, path=None), stored.suffix)
        except Exception as error:  # noqa: BLE001 - raised where the next content comes, or in the end
            self._fault = self._fault or error
        finally:
            upload.discard()
            self._room.release()

    def _check_contents(self) -> None:
        missing = [
            {
                "code": "no_content",
                "origin_id": change["origin_id"],
                "path": item["path"],
                "sha256": item["sha256"],
            }
            for change in self._changes
            for item in change["items"]
            if "sha256" in item
            and item["sha256"] not in self._sent
            and all(copy.size != item["size"] for copy in self._copies.get(item["sha256"], []))
        ]
        if missing:
            raise VersoError(
                "no_content",
                "Some contents of this batch were not sent, and the project does not have them. Send each as "
                "a file part that is named by its SHA-256.",
                items=missing[:100],
            )

    async def _mend(self, error: VersoError) -> bool:
        """Answer the database's doubt about stored contents by reading them back; False when that can't help.

        An altered object needs the bytes again: the next time they are sent, they find a place beside it.
        """
        doubts = {each.get("sha256") for each in error.detail.get("items", ())}
        if error.code != "blob_unproven" or not doubts or not doubts <= self._sent.keys():
            return False
        for sha256 in doubts:
            sent = self._sent[sha256]
            if not await self._blobs.prove(
                self._actor.token, project=self._project, upload=sent.upload, suffix=sent.suffix
            ):
                return False
            for item in self._items():
                if item.get("sha256") == sha256:
                    item["proven"] = True
        return True

    def _items(self) -> Iterator[dict[str, Any]]:
        return (item for change in self._changes for item in change["items"])


def _asked(commit: Commit) -> dict[str, Any]:
    """A commit as the SQL function takes it. Raises VersoError."""
    raw = commit.origin
    if not 0 < len(raw) <= MAX_ORIGIN_SIZE or git_id(raw, commit.origin_id) != commit.origin_id:
        raise VersoError(
            "bad_origin",
            f"The origin of {commit.origin_id} is not that commit's object: its headers and message, at most "
            "1 MiB, without Git's own first words (commit, size).",
            origin_id=commit.origin_id,
        )
    try:
        items = [_asked_item(item) for item in commit.items]
    except VersoError as error:
        error.detail["origin_id"] = commit.origin_id
        raise
    given = {
        "author_name": one_line(commit.author_name or ""),
        "author_email": one_line(commit.author_email or ""),
        "attributed_to": commit.attributed_to,
    }
    return {
        "origin": base64.b64encode(raw).decode(),
        "origin_id": commit.origin_id,
        "message": cut(commit.message.replace("\x00", ""), MAX_MESSAGE_SIZE),
        "authored_at": commit.authored_at.isoformat(),
        "committed_at": commit.committed_at.isoformat(),
        "items": items,
    } | {name: value for name, value in given.items() if value}


def _asked_item(item: CommitItem) -> dict[str, Any]:
    path = normal_path(item.path)
    if sum((item.sha256 is not None, item.delete, item.take is not None)) > 1 or (item.sha256 is None) != (
        item.size is None
    ):
        raise VersoError(
            "bad_item", "An item has content (sha256 and size), deletes or takes: one of them.", path=path
        )
    given = {
        "from": None if item.from_path is None else normal_path(item.from_path),
        "sha256": item.sha256,
        "size": item.size,
        "media_type": None if item.media_type is None else normal_media_type(item.media_type),
        "mode": item.mode,
        "take": item.take,
        "merge": item.merge,
        "of": None if item.of is None else normal_path(item.of),
        "onto": item.onto,
        "fresh": item.fresh or None,
        "delete": item.delete or None,
    }
    return {"path": path} | {name: value for name, value in given.items() if value is not None}


def git_id(raw: bytes, like: str) -> str:
    """The object id of a raw commit: SHA-1, or SHA-256 where `like` has 64 digits."""
    digest = hashlib.sha256() if is_sha256(like) else hashlib.sha1(usedforsecurity=False)
    digest.update(b"commit %d\x00" % len(raw))
    digest.update(raw)
    return digest.hexdigest()


def one_line(text: str) -> str:
    """A name or address as history keeps it: blanks for control characters, at most 1000 bytes."""
    return cut(_LINE.sub(" ", text).strip(), MAX_NAME_SIZE).rstrip()


def cut(text: str, limit: int) -> str:
    """The beginning of a text that has at most `limit` bytes of UTF-8, in whole characters."""
    data = text.encode("utf-8", "replace")
    return data[:limit].decode("utf-8", "ignore")

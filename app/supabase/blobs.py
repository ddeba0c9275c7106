"""Objects: bytes into the bucket, proof of what is stored, verified bytes out.

An object is believed only once its bytes have been hashed by this process, and for PROOF_SECONDS (what
is altered afterwards must be mendable by the next upload): its name, its size and who says so are not
enough, because any editor may put an object there. A name that holds other bytes than it says is left
alone, and the honest bytes go in as a further copy.

Real storage servers refuse an upload early without reading its body, and a kept-alive client then hangs
until its timeout (wire/storage.md, section 4). So the database is asked first which contents exist, and a
timeout means "unknown": the object is read back before anything else is tried.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import structlog
from storage3.exceptions import StorageApiError

from app.errors import VersoError
from app.supabase import faults
from app.supabase.cache import IN_MEMORY_SIZE
from app.supabase.identity import has_expired
from app.supabase.intake import Intake, LimitExceededError
from app.supabase.pool import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.model import Copy
    from app.supabase.cache import BlobCache, Content, Key
    from app.supabase.pool import Pool
    from app.supabase.upload import Upload

log = structlog.get_logger(__name__)

READ_TRIES = 3
SLOWEST_BYTES_A_SECOND = 256 * 1024
REMEMBERED_PROOFS = 100_000
PROOF_SECONDS = 60.0
_DELETED_AT_ONCE = 100


class AlteredError(Exception):
    """An object's bytes are not those that its name says."""


class Stored(msgspec.Struct, frozen=True):
    """Which object holds a content: the suffix of its name, or None for the plain name."""

    suffix: str | None
    is_new: bool


class Blobs:
    """The documents bucket of one Supabase project, and the cache in front of it."""

    def __init__(self, pool: Pool, cache: BlobCache, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._cache = cache
        self._clock = clock
        self._proven: OrderedDict[str, float] = OrderedDict()

    # In --------------------------------------------------------------------------------------------

    async def store(self, token: str, *, project: str, upload: Upload, copies: Sequence[Copy]) -> Stored:
        """See to it that storage holds these bytes, and say where.

        `copies` are the objects that the database knows for this content. Raises VersoError.
        """
        for copy in copies:
            if self._is_proven(copy.name) or await self._holds(token, copy.name, upload):
                return Stored(_suffix(copy.name), is_new=False)
        if not copies:
            name = f"{project}/{upload.sha256}"
            if await self._put(token, name, upload) or await self._holds(token, name, upload):
                return Stored(None, is_new=True)
        return Stored(await self.store_further_copy(token, project=project, upload=upload), is_new=True)

    async def store_further_copy(self, token: str, *, project: str, upload: Upload) -> str:
        """Store the bytes under a name of their own, because the plain one was found to hold others."""
        suffix = secrets.token_hex(16)
        log.warning("blob.further_copy", project=project, sha256=upload.sha256, suffix=suffix)
        await self._put(token, f"{project}/{upload.sha256}.{suffix}", upload)
        return suffix

    async def prove(self, token: str, *, project: str, upload: Upload, suffix: str | None) -> bool:
        """Read a stored object back and compare it."""
        name = f"{project}/{upload.sha256}" + (f".{suffix}" if suffix else "")
        self._proven.pop(name, None)
        return await self._holds(token, name, upload)

    async def _put(self, token: str, name: str, upload: Upload) -> bool:
        """Upload; False when an object of that name is there already."""
        source: io.BufferedReader | bytes = upload.data if upload.data is not None else _open(upload)
        # The connections have no time-out for writing.
        seconds = self._pool.transfer_seconds + upload.size / SLOWEST_BYTES_A_SECOND
        try:
            async with asyncio.timeout(seconds):
                await self._pool.bucket(token).upload(
                    name,
                    source,
                    {"content-type": "application/octet-stream", "cache-control": "3600", "upsert": "false"},
                )
        except StorageApiError as error:
            if str(error.status) == "409":
                return False
            raise faults.from_storage(error) from error
        except (httpx.TransportError, TimeoutError) as error:
            # Unknown: it may be there, whole. If it isn't, say so; the caller's retry is safe.
            if await self._holds(token, name, upload):
                return True
            raise faults.from_transport(error, what="storage") from error
        finally:
            if isinstance(source, io.BufferedReader):
                source.close()
        return True

    async def _holds(self, token: str, name: str, upload: Upload) -> bool:
        digest = hashlib.sha256()
        size = 0
        try:
            async with self._pool.http.stream(
                "GET", self._url(name), headers=self._headers(token), timeout=self._pool.transfer_timeout
            ) as response:
                if response.status_code != httpx.codes.OK:
                    _check_absent(token, await response.aread(), response.status_code)
                    return False
                async for chunk in response.aiter_raw():
                    size += len(chunk)
                    if size > upload.size:
                        return False
                    digest.update(chunk)
        except httpx.TransportError as error:
            raise faults.from_transport(error, what="storage") from error
        if digest.hexdigest() != upload.sha256:
            return False
        self._remember(name)
        return True

    async def delete(self, token: str, names: Sequence[str]) -> None:
        """Delete the objects of an erased content; those that are gone already are no error.

        The database lets nobody delete others. Raises VersoError.
        """
        for first in range(0, len(names), _DELETED_AT_ONCE):
            try:
                async with asyncio.timeout(self._pool.transfer_seconds):
                    await self._pool.bucket(token).remove(list(names[first : first + _DELETED_AT_ONCE]))
            except StorageApiError as error:
                raise faults.from_storage(error) from error
            except (httpx.TransportError, TimeoutError) as error:
                doubt = not faults.never_sent(error)
                raise faults.from_transport(error, what="storage", doubt=doubt) from error
        for name in names:
            self._proven.pop(name, None)

    async def forget(self, key: Key) -> None:
        """Drop what this process holds of a content."""
        await self._cache.forget(key)

    async def forget_old(self, seconds: float) -> None:
        """Drop what this process has held for longer."""
        await self._cache.forget_old(seconds)

    # Out -------------------------------------------------------------------------------------------

    async def fetch(self, token: str, *, key: Key, size: int, copies: Sequence[Copy]) -> Content:
        """The verified bytes of a blob, from the cache or from the first copy that holds them.

        Raises VersoError `content_altered` when every copy holds other bytes (nothing of them is ever
        handed out), `content_missing` when there is none, `storage_unavailable` when storage fails.
        """
        cached = await self._cache.get(key)
        if cached is not None:
            return cached
        altered: list[str] = []
        for copy in copies:
            try:
                content = await self._fetch_copy(token, copy, key=key, size=size)
            except AlteredError:
                log.error("blob.altered", object=copy.name)  # noqa: TRY400 - the trace says nothing more
                self._proven.pop(copy.name, None)
                altered.append(copy.name)
                continue
            if content is not None:
                return content
            self._proven.pop(copy.name, None)
        if altered:
            raise VersoError(
                "content_altered",
                "The stored bytes are not those of this version, so they are not served. Tell the operator; "
                "uploading the original content again repairs it.",
                objects=altered,
                sha256=key[1],
            )
        raise VersoError(
            "content_missing",
            "The object that holds this version's bytes is not in storage, or is erased or taken from you in "
            "this moment. Ask again; if it is said again, tell the operator: uploading the original content "
            "again repairs it.",
            objects=[copy.name for copy in copies],
            sha256=key[1],
        )

    async def _fetch_copy(self, token: str, copy: Copy, *, key: Key, size: int) -> Content | None:
        for tries_left in reversed(range(READ_TRIES)):
            try:
                return await self._read(token, copy.name, key=key, size=size)
            except httpx.TransportError as error:
                # A silence has cost its full time already; a broken connection may just be an old one.
                if not tries_left or isinstance(error, httpx.TimeoutException):
                    raise faults.from_transport(error, what="storage") from error
            except FileNotFoundError:
                # Somebody removed the cache under what was arriving: it may be deleted at any time.
                if not tries_left:
                    raise
            except AlteredError:
                # Perhaps it was cut short or damaged on its way: once more before calling it altered.
                if tries_left < READ_TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    async def _read(self, token: str, name: str, *, key: Key, size: int) -> Content | None:
        async with self._pool.http.stream(
            "GET", self._url(name), headers=self._headers(token), timeout=self._pool.transfer_timeout
        ) as response:
            if response.status_code != httpx.codes.OK:
                _check_absent(token, await response.aread(), response.status_code)
                return None
            if size <= IN_MEMORY_SIZE:
                return await self._read_small(response, name, key=key, size=size)
            return await self._read_large(response, name, key=key, size=size)

    async def _read_small(self, response: httpx.Response, name: str, *, key: Key, size: int) -> Content:
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > size:
                raise AlteredError
        if hashlib.sha256(data).hexdigest() != key[1]:
            raise AlteredError
        self._remember(name)
        return self._cache.add_bytes(key, bytes(data))

    async def _read_large(self, response: httpx.Response, name: str, *, key: Key, size: int) -> Content:
        with Intake(self._cache.made_directory(), limit=size, in_memory=0) as intake:
            try:
                async for chunk in response.aiter_raw():
                    await intake.write(chunk)
            except LimitExceededError:
                raise AlteredError from None
            arrived = await intake.finish()
        try:
            if arrived.sha256 != key[1] or arrived.path is None:
                raise AlteredError
            self._remember(name)
            return self._cache.add_file(key, arrived.path, size=size)
        finally:
            arrived.discard()  # nothing to do once the cache has taken it

    def _url(self, name: str) -> str:
        return f"{self._pool.url}/storage/v1/object/authenticated/{BUCKET}/{name}"

    def _headers(self, token: str) -> dict[str, str]:
        return self._pool.headers(token) | {"accept-encoding": "identity"}

    def _is_proven(self, name: str) -> bool:
        return self._clock() - self._proven.get(name, float("-inf")) < PROOF_SECONDS

    def _remember(self, name: str) -> None:
        self._proven[name] = self._clock()
        self._proven.move_to_end(name)
        if len(self._proven) > REMEMBERED_PROOFS:
            self._proven.popitem(last=False)


def _suffix(name: str) -> str | None:
    return name.partition(".")[2] or None


def _open(upload: Upload) -> io.BufferedReader:
    if upload.path is None:
        raise ValueError("An upload is in memory or in a file.")
    return upload.path.open("rb")


def _check_absent(token: str, body: bytes, status: int) -> None:
    """Return when storage says that the object isn't there; raise VersoError when it says anything else.

    To a token that has expired meanwhile storage says that there isn't even a bucket, or no such object.
    """
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        answer = {}
    if str(answer.get("statusCode", status)) == "404":
        if has_expired(token):
            raise VersoError("unauthenticated", faults.EXPIRED)
        return
    raise faults.from_storage(
        StorageApiError(
            str(answer.get("message", "")), str(answer.get("error", "")), answer.get("statusCode", status)
        )
    )

"""Uploads: raw or multipart bodies, new objects and overwritten ones (wire/storage.md, sections 2 to 5).

1. Who asks; is the key one that Storage takes.
2. A body that says it is small is read whole and hashed here; its file is made durable by a thread; then one
   round trip checks the bucket's limits and the caller's policies and commits the row.
   A large body, or one of unknown length, asks about limits and policies first, and is streamed to disk
   before the row is committed.
3. What is refused after bytes were written has them deleted again.

Where this differs from the real server, on purpose:

- Of overlapping uploads of one new key exactly one succeeds, as since supabase/storage#1392.
- A refused body never hangs a kept-alive connection. The answer goes out at once, and uvicorn reads the rest
  and drops it, which costs no more than the upload would have: a client that can't stop sending reads its
  answer afterwards, one that listens (or asks with Expect: 100-continue) before. Only after a body that is
  declared longer than this server would ever take, the connection is closed.
- A raw body of unknown length is held to the limits too.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.local.storage import callers, faults
from app.local.storage.described import by_form, by_headers, encode
from app.local.storage.exchange import Answer, json_answer
from app.local.storage.multipart import FormFile
from app.local.storage.names import check_key, check_storable, is_placeholder
from app.local.storage.rows import Who
from app.local.storage.spool import Spool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.local.storage.exchange import Request
    from app.local.storage.service import Service

SMALL_BYTES = 512 * 1024
"""Up to this declared length a body is read into memory: the row then takes one round trip."""
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upload goes, and as whom."""

    who: Who
    bucket: str
    name: str
    upsert: bool
    operation: str


async def create(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """POST /object/{bucket}/{name}: x-upsert must be exactly `true` to overwrite."""
    upsert = request.headers.get("x-upsert") == "true"
    who = callers.required(request, service.keys)
    target = Target(who, bucket, name, upsert=upsert, operation="storage.object.upload")
    return await _answered(service, request, target)


async def update(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """PUT /object/{bucket}/{name}: overwrites, and creates what is missing."""
    who = callers.required(request, service.keys)
    target = Target(who, bucket, name, upsert=True, operation="storage.object.upload_update")
    return await _answered(service, request, target)


async def signed(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """PUT /object/upload/sign/{bucket}/{name}?token=…: the token is the permission."""
    token = request.query.get("token")
    if token is None:
        raise faults.invalid_request("querystring must have required property 'token'")
    claims = service.signer.verify(token, f"{bucket}/{name}", "upload")
    owner = {"sub": claims["owner"]} if claims.get("owner") else {}
    target = Target(
        Who(None, encode(owner)),
        bucket,
        name,
        upsert=bool(claims.get("upsert")),
        operation="storage.object.upload_signed",
    )
    answer = await _store(service, request, target)
    return json_answer({"Key": answer["Key"]})


async def _answered(service: Service, request: Request, target: Target) -> Answer:
    return json_answer(await _store(service, request, target))


async def _store(service: Service, request: Request, target: Target) -> dict[str, str]:
    if not _is_valid(target.name):
        # The real server looks for the bucket first.
        limits = await service.rows.own("refusal", target.bucket, None, None, 0)
        _refuse(limits["reason"], "")
        check_key(target.name)
        check_storable(target.name)
    declared = request.declared_length
    if declared is not None and declared <= SMALL_BYTES:
        row = await _store_small(service, request, target)
    else:
        row = await _store_large(service, request, target)
    return {"Id": str(row["id"]), "Key": f"{target.bucket}/{target.name}"}


async def _store_small(service: Service, request: Request, target: Target) -> Any:
    content_type = request.headers.get("content-type", "")
    body = await request.body()
    declared_size: int | None = None
    if content_type.startswith(_MULTIPART):
        form = FormFile(content_type)
        form.feed(body)
        form.finish()
        described = by_form(form)
        data = b"".join(form.take())
    else:
        described = by_headers(request)
        data = body
        declared_size = len(body)
    described.check()
    size = len(data)
    version = str(uuid.uuid4())
    path = service.files.place(target.bucket, target.name, version)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, service.files.write, data, path, version)
    try:
        row = await service.rows.one(
            "upload",
            target.who,
            target.operation,
            target.bucket,
            target.name,
            target.upsert,
            described.declared(request),
            described.user_metadata,
            _checked_mime(target.name, described.mime),
            declared_size,
            _ceiling(service, target.name),
            described.metadata(md5=md5, size=size),
            described.kept_user_metadata(),
            version,
            size,
            exists=_exists(upsert=target.upsert),
        )
        _refuse(row["reason"], described.mime)
    except faults.StorageFault as fault:
        if fault.settled:
            await loop.run_in_executor(None, service.files.remove, [path])
        raise
    await service.forget([(target.bucket, target.name, row["replaced"])])
    return row


async def _store_large(service: Service, request: Request, target: Target) -> Any:
    content_type = request.headers.get("content-type", "")
    chunks = request.chunks()
    form = FormFile(content_type) if content_type.startswith(_MULTIPART) else None
    if form is not None:
        async for chunk in chunks:
            form.feed(chunk)
            if form.mime is not None:
                break
        else:
            form.finish()
    described = by_form(form) if form is not None else by_headers(request)
    described.check()
    opened = await service.rows.one(
        "open_upload",
        target.who,
        target.operation,
        target.bucket,
        target.name,
        target.upsert,
        described.declared(request),
        described.user_metadata,
        _checked_mime(target.name, described.mime),
        request.declared_length if form is None else None,
        _ceiling(service, target.name),
        exists=_exists(upsert=target.upsert),
    )
    _refuse(opened["reason"], described.mime)
    version = str(uuid.uuid4())
    path = service.files.place(target.bucket, target.name, version)
    spool = Spool(service.files.draft(version), limit=opened["size_limit"])
    try:
        await _pour(chunks, form, spool)
        md5 = await spool.keep(path)
    except BaseException:
        await spool.discard()
        raise
    try:
        row = await service.rows.one(
            "put",
            target.who,
            target.operation,
            target.bucket,
            target.name,
            target.upsert,
            described.metadata(md5=md5, size=spool.size),
            described.kept_user_metadata(),
            version,
            exists=_exists(upsert=target.upsert),
        )
    except faults.StorageFault as fault:
        if fault.settled:
            await service.forget([(target.bucket, target.name, version)])
        raise
    await service.forget([(target.bucket, target.name, row["replaced"])])
    return row


async def _pour(chunks: AsyncIterator[bytes], form: FormFile | None, spool: Spool) -> None:
    if form is None:
        async for chunk in chunks:
            await spool.add([chunk])
        return
    await spool.add(form.take())
    async for chunk in chunks:
        form.feed(chunk)
        await spool.add(form.take())
    form.finish()


def _ceiling(service: Service, name: str) -> int:
    return 0 if is_placeholder(name) else service.file_size_limit


def _checked_mime(name: str, mime: str) -> str | None:
    return None if is_placeholder(name) else mime


def _exists(*, upsert: bool) -> str:
    """A plain INSERT meets the key; an upsert can only meet a trigger that refuses the change."""
    return "ResourceAlreadyExists" if upsert else "KeyAlreadyExists"


def _is_valid(name: str) -> bool:
    try:
        check_key(name)
        check_storable(name)
    except faults.StorageFault:
        return False
    return True


def _refuse(reason: str | None, mime: str) -> None:
    """Raise what a `reason` of functions.sql means."""
    if reason == "bucket":
        raise faults.no_such_bucket()
    if reason == "mime":
        raise faults.invalid_mime_type(mime)
    if reason == "size":
        raise faults.too_large()

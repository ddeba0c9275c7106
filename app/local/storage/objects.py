"""What is done to objects that are there: remove, move, copy (wire/storage.md, sections 1 to 3).

Rows first, files after: a file is only unlinked when no row can name it any more, and a new name for bytes is
linked and durable before a row names it. A trigger or foreign key that refuses leaves the bytes as they are.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from app.local.storage import callers, faults, shape
from app.local.storage.described import encode, now_iso, user_metadata_of
from app.local.storage.exchange import Answer, json_answer
from app.local.storage.names import check_key, check_storable

if TYPE_CHECKING:
    from app.local.storage.exchange import Request
    from app.local.storage.service import Service


async def remove(service: Service, request: Request, bucket: str, _: str) -> Answer:
    """DELETE /object/{bucket}: the keys in the body; all that go, go together."""
    body = await request.json()
    shape.required(body, "prefixes")
    names = shape.texts(body, "prefixes")
    who = callers.required(request, service.keys)
    rows = await service.rows.many("remove", who, "storage.object.delete_many", bucket, names)
    await service.forget([(bucket, row["name"], row["version"]) for row in rows])
    return json_answer(("[" + ",".join(row["shown"] for row in rows) + "]").encode())


async def remove_one(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """DELETE /object/{bucket}/{name}: 404 when nobody has such a key, 403 when a policy keeps it."""
    who = callers.required(request, service.keys)
    row = await service.rows.one("remove_one", who, "storage.object.delete", bucket, name)
    if row["verdict"] == "key":
        raise faults.no_such_key()
    if row["verdict"] == "denied":
        raise faults.denied("Access denied")
    await service.forget([(bucket, name, row["version"])])
    return json_answer({"message": "Successfully deleted"})


async def move(service: Service, request: Request, _bucket: str, _name: str) -> Answer:
    """POST /object/move: the row gets a new key and version, the bytes a second name and then only it."""
    body = await request.json()
    source, target = _places(body)
    who = callers.required(request, service.keys)
    check_key(target[1])
    check_storable(target[1])
    version = str(uuid.uuid4())
    operation = "storage.object.move"
    found = await service.rows.one("admit_move", who, operation, *source, *target, version)
    if found["verdict"] == "key":
        raise faults.no_such_key()
    if source == target:
        return json_answer({"message": "Successfully moved", "Id": str(found["id"]), "Key": target[1]})
    await _link(service, (*source, found["version"]), (*target, version))
    try:
        row = await service.rows.one(
            "move", who, operation, *source, found["version"], *target, version, now_iso()
        )
        if row["id"] is None:  # overwritten or deleted since it was linked
            raise faults.no_such_key()
    except faults.StorageFault as fault:
        if fault.settled:
            await service.forget([(*target, version)])
        raise
    await service.forget([(*source, found["version"])])
    return json_answer({"message": "Successfully moved", "Id": str(row["id"]), "Key": target[1]})


async def copy(service: Service, request: Request, _bucket: str, _name: str) -> Answer:
    """POST /object/copy: SELECT on the source, INSERT (and with x-upsert UPDATE) on the target."""
    body = await request.json()
    source, target = _places(body)
    changes = {
        name: shape.text(body["metadata"], name, path="body/metadata")
        for name in ("cacheControl", "mimetype")
        if isinstance(body.get("metadata"), dict) and name in body["metadata"]
    }
    keep = shape.boolean(body, "copyMetadata") is not False
    who = callers.required(request, service.keys)
    check_key(target[1])
    check_storable(target[1])
    upsert = request.headers.get("x-upsert") == "true"
    exists = "ResourceAlreadyExists" if upsert else "KeyAlreadyExists"
    operation = "storage.object.copy"
    found = await service.rows.one(
        "admit_copy",
        who,
        operation,
        *source,
        *target,
        upsert,
        encode(changes),
        keep,
        user_metadata_of(request),
        exists=exists,
    )
    if found["verdict"] == "key":
        raise faults.no_such_key()
    version = str(uuid.uuid4())
    await _link(service, (*source, found["version"]), (*target, version))
    try:
        row = await service.rows.one(
            "put_copy",
            who,
            operation,
            *target,
            upsert,
            found["metadata"],
            found["user_metadata"],
            version,
            now_iso(),
            exists=exists,
        )
    except faults.StorageFault as fault:
        if fault.settled:
            await service.forget([(*target, version)])
        raise
    await service.forget([(*target, row["replaced"])])
    key = {"Id": str(row["id"]), "Key": "/".join(target)}
    return json_answer(row["shown"][:-1].encode() + b"," + encode(key)[1:].encode())


def _places(body: dict[str, Any]) -> tuple[tuple[str, str], tuple[str, str]]:
    """The source and the target, each a bucket and a key."""
    shape.required(body, "bucketId", "sourceKey", "destinationKey")
    bucket = shape.text(body, "bucketId")
    target_bucket = shape.text(body, "destinationBucket") or bucket
    return (bucket, shape.text(body, "sourceKey")), (target_bucket, shape.text(body, "destinationKey"))


async def _link(service: Service, source: tuple[str, str, str | None], target: tuple[str, str, str]) -> None:
    old, new = service.files.path(*source), service.files.path(*target)
    if old is None or new is None:
        raise faults.no_bytes()
    try:
        await asyncio.get_running_loop().run_in_executor(None, service.files.link, old, new)
    except FileNotFoundError as error:
        raise faults.no_bytes() from error

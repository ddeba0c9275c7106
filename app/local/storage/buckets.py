"""Buckets: create, get, list, update, empty, delete (wire/storage.md, sections 1, 3 and 7).

The policies on storage.buckets decide, as for objects; without any, only the service role sees them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from app.local.storage import callers, faults, shape
from app.local.storage.exchange import Answer, json_answer
from app.local.storage.names import check_bucket_name

if TYPE_CHECKING:
    from app.local.storage.exchange import Request
    from app.local.storage.service import Service

_MIME = re.compile(r"[a-zA-Z0-9\-+.]+/([a-zA-Z0-9\-+.]+(;\s*charset=[a-zA-Z0-9\-]+)?|\*)|\*")
_MIME_LENGTH = 1000
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(gb|mb|kb|b)", re.IGNORECASE)
_UNITS = {"gb": 10**9, "mb": 10**6, "kb": 1000, "b": 1}
_SORTED = ("id", "name", "created_at", "updated_at")
_LARGEST = 2**31 - 1


async def create(service: Service, request: Request, _bucket: str, _name: str) -> Answer:
    """POST /bucket."""
    body = await request.json()
    shape.required(body, "name")
    name = shape.text(body, "name")
    public = shape.boolean(body, "public") or False
    size, mimes = _limits(service, body)
    who = callers.required(request, service.keys)
    check_bucket_name(name)
    kind = shape.one_of(body, "type", ("STANDARD", "ANALYTICS"), "STANDARD")
    if kind != "STANDARD":
        message = (
            "The feature Iceberg buckets are not enabled for this tenant is not enabled for this resource"
        )
        raise faults.StorageFault(409, "FeatureNotEnabled", message, code="FeatureNotEnabled")
    await service.rows.one(
        "create_bucket",
        who,
        "storage.bucket.create",
        shape.text(body, "id") or name,
        name,
        public,
        size,
        mimes,
        exists="BucketAlreadyExists",
    )
    return json_answer({"name": name})


async def get(service: Service, request: Request, bucket: str, _: str) -> Answer:
    """GET /bucket/{id}."""
    who = callers.required(request, service.keys)
    row = await service.rows.one("get_bucket", who, "storage.bucket.get", bucket)
    if row["get_bucket"] is None:
        raise faults.no_such_bucket()
    return json_answer(row["get_bucket"].encode())


async def list_all(service: Service, request: Request, _bucket: str, _name: str) -> Answer:
    """GET /bucket?limit&offset&sortColumn&sortOrder&search."""
    query: dict[str, Any] = dict(request.query)
    limit = min(shape.integer(query, "limit", _LARGEST, least=1), _LARGEST)
    offset = min(shape.integer(query, "offset", 0, least=0), _LARGEST)
    column = shape.one_of(query, "sortColumn", _SORTED, "id", path="querystring")
    order = shape.one_of(query, "sortOrder", ("asc", "desc"), "asc", path="querystring")
    who = callers.required(request, service.keys)
    row = await service.rows.one(
        "list_buckets", who, "storage.bucket.list", limit, offset, column, order, shape.text(query, "search")
    )
    return json_answer(row["list_buckets"].encode())


async def update(service: Service, request: Request, bucket: str, _: str) -> Answer:
    """PUT /bucket/{id}: what is given changes, null clears a limit."""
    body = await request.json()
    if not any(name in body for name in ("public", "file_size_limit", "allowed_mime_types")):
        raise faults.invalid_request("body must have required property 'public'")
    size, mimes = _limits(service, body)
    who = callers.required(request, service.keys)
    check_bucket_name(bucket)
    row = await service.rows.one(
        "update_bucket",
        who,
        "storage.bucket.update",
        bucket,
        shape.boolean(body, "public"),
        "file_size_limit" in body,
        size,
        "allowed_mime_types" in body,
        mimes,
    )
    if not row["update_bucket"]:
        raise faults.no_such_bucket()
    return json_answer({"message": "Successfully updated"})


async def delete(service: Service, request: Request, bucket: str, _: str) -> Answer:
    """DELETE /bucket/{id}: only an empty one."""
    who = callers.required(request, service.keys)
    row = await service.rows.one("delete_bucket", who, "storage.bucket.delete", bucket)
    if row["delete_bucket"] == "bucket":
        raise faults.no_such_bucket()
    if row["delete_bucket"] == "filled":
        raise faults.bucket_not_empty()
    return json_answer({"message": "Successfully deleted"})


async def empty(service: Service, request: Request, bucket: str, _: str) -> Answer:
    """POST /bucket/{id}/empty: service role only. The real server queues it; here it is done at once."""
    who = callers.required(request, service.keys)
    if who.role != callers.SERVICE_ROLE:
        raise faults.denied("Access denied: Invalid role", http=403)
    rows = await service.rows.many("empty_bucket", who, "storage.bucket.empty", bucket)
    if not rows:
        raise faults.no_such_bucket()
    await service.forget([(bucket, row["name"], row["version"]) for row in rows if row["name"] is not None])
    return json_answer({"message": "Empty bucket has been queued. Completion may take up to an hour."})


def _limits(service: Service, body: dict[str, Any]) -> tuple[int | None, list[str] | None]:
    """The limits in a body: bytes (a number or `20MB`) and types."""
    size = body.get("file_size_limit")
    if isinstance(size, str):
        match = _SIZE.fullmatch(size)
        if match is None:
            raise faults.invalid_request("body/file_size_limit must match a schema in anyOf")
        # Hundreds of digits are infinity as a float, which no int is.
        size = int(min(float(f"{float(match[1]):.3g}") * _UNITS[match[2].lower()], 2.0**62))
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise faults.invalid_request("body/file_size_limit must match a schema in anyOf")
    if size is not None and size > service.file_size_limit:
        raise faults.too_large()
    mimes = body.get("allowed_mime_types")
    if mimes is None:
        return size, None
    if not isinstance(mimes, list) or not all(isinstance(mime, str) for mime in mimes):
        raise faults.invalid_request("body/allowed_mime_types must be array")
    for mime in mimes:
        if mime and (len(mime) > _MIME_LENGTH or not _MIME.fullmatch(mime)):
            raise faults.invalid_mime_type(mime)
    return size, [mime for mime in mimes if mime]

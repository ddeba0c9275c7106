"""Lists of objects, and signed URLs for them (wire/storage.md, section 6)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from app.local.storage import callers, faults, shape
from app.local.storage.described import encode, user_metadata_of
from app.local.storage.exchange import Answer, json_answer
from app.local.storage.names import check_key
from app.local.storage.signing import UPLOAD_SECONDS

if TYPE_CHECKING:
    from asyncpg import Record

    from app.local.storage.exchange import Request
    from app.local.storage.service import Service

PAGE_LIMIT = 1000
_LARGEST = 2**31 - 1
_NO_ACCESS = "Either the object does not exist or you do not have access to it"
_MOST_PATHS = 1000
_MOST_SECONDS = 10**11
"""Three thousand years: more can't be shown as a date in the Expires header."""
_BAD_CURSOR = "Invalid Parameter continuation token"
_SORTED = ("name", "updated_at", "created_at")
_ORDERS = ("asc", "desc")


async def list_objects(service: Service, request: Request, bucket: str, _: str) -> Answer:
    """POST /object/list/{bucket}: one level below a folder; folders are entries with id null."""
    body = await request.json()
    shape.required(body, "prefix")
    prefix = shape.text(body, "prefix")
    sort = _sort(body, (*_SORTED, "last_accessed_at"))
    limit = min(shape.integer(body, "limit", 100, least=1), _LARGEST)
    offset = min(shape.integer(body, "offset", 0, least=0), _LARGEST)
    search = shape.text(body, "search")
    who = callers.required(request, service.keys)
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    row = await service.rows.one(
        "list", who, "storage.object.list", bucket, prefix, search, limit, offset, sort[0] or "name", sort[1]
    )
    return json_answer(row["list"].encode())


async def list_page(service: Service, request: Request, bucket: str, _: str) -> Answer:
    """POST /object/list-v2/{bucket}: pages of at most 1000, by cursor."""
    body = await request.json()
    sort = _sort(body, _SORTED)
    limit = min(shape.integer(body, "limit", PAGE_LIMIT, least=1), PAGE_LIMIT)
    delimited = bool(shape.boolean(body, "with_delimiter"))
    prefix = shape.text(body, "prefix")
    cursor = Cursor.read(shape.text(body, "cursor")) or Cursor("", sort[0] or "name", sort[1], "")
    who = callers.required(request, service.keys)
    rows = await service.rows.many(
        "list_v2",
        who,
        "storage.object.list_v2",
        bucket,
        prefix,
        delimited,
        limit + 1,
        cursor.after,
        cursor.column,
        cursor.column_after,
        cursor.order,
    )
    page, more = rows[:limit], len(rows) > limit
    answer: dict[str, Any] = {"hasNext": more}
    if more:
        last = page[-1]
        stamp = "" if cursor.column == "name" or last["id"] is None else str(_iso(last[cursor.column]))
        answer["nextCursor"] = Cursor(last["name"], cursor.column, cursor.order, stamp).write()
        answer["nextCursorKey"] = last["name"]
    answer["folders"] = [_shown(row, delimited=delimited) for row in page if row["id"] is None]
    answer["objects"] = [_shown(row, delimited=delimited) for row in page if row["id"] is not None]
    return json_answer(answer)


async def sign(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """POST /object/sign/{bucket}/{name}: who may see the object may hand out a URL to it."""
    body = await request.json()
    shape.required(body, "expiresIn")
    seconds = _lifetime(body)
    who = callers.required(request, service.keys)
    check_key(name)
    row = await service.rows.one("see", who, "storage.object.sign", bucket, name, "plain")
    if row["verdict"] != "found":
        raise faults.no_such_key()
    path = f"{bucket}/{name}"
    token = service.signer.sign(path, "download", seconds=seconds)
    return json_answer({"signedURL": f"/object/sign/{path}?token={token}"})


async def sign_many(service: Service, request: Request, bucket: str, _: str) -> Answer:
    """POST /object/sign/{bucket}: for each path a URL or a reason."""
    body = await request.json()
    shape.required(body, "expiresIn", "paths")
    seconds = _lifetime(body)
    paths = shape.texts(body, "paths", most=_MOST_PATHS)
    who = callers.required(request, service.keys)
    row = await service.rows.one("names_seen", who, "storage.object.sign_many", bucket, paths)
    seen = set(row["names_seen"])
    answers = []
    for path in paths:
        full = f"{bucket}/{path}"
        if path in seen:
            token = service.signer.sign(full, "download", seconds=seconds)
            answers.append({"error": None, "path": path, "signedURL": f"/object/sign/{full}?token={token}"})
        else:
            answers.append({"error": _NO_ACCESS, "path": path, "signedURL": None})
    return json_answer(answers)


async def sign_upload(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """POST /object/upload/sign/{bucket}/{name}: who may upload may let somebody else do it, once."""
    who = callers.required(request, service.keys)
    upsert = request.headers.get("x-upsert") == "true"
    declared: dict[str, Any] = {}
    if "content-type" in request.headers:
        declared["mimetype"] = request.headers["content-type"]
    if request.declared_length is not None:
        declared["contentLength"] = request.declared_length
    await service.rows.one(
        "admit",
        who,
        "storage.object.sign_upload_url",
        bucket,
        name,
        upsert,
        encode(declared),
        user_metadata_of(request),
        exists="ResourceAlreadyExists" if upsert else "KeyAlreadyExists",
    )
    path = f"{bucket}/{name}"
    subject = msgspec.json.decode(who.claims).get("sub")
    extra = {"owner": subject, "upsert": upsert} if subject is not None else {"upsert": upsert}
    token = service.signer.sign(path, "upload", seconds=UPLOAD_SECONDS, extra=extra)
    return json_answer({"url": f"/object/upload/sign/{path}?token={token}", "token": token})


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a list-v2: after which key, in which order. On the wire: base64 of `letter:value`."""

    after: str
    column: str
    order: str
    column_after: str

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """Read a cursor that `write` made; None for an empty one.

        Raises
        ------
            StorageFault: InvalidParameter (400).

        """
        if not text:
            return None
        try:
            lines = base64.b64decode(text, validate=True).decode().split("\n")
            parts = {line[0]: line[2:] for line in lines if line[1:2] == ":"}
            cursor = cls(
                parts.get("l", ""), parts.get("c", "name"), parts.get("o", "asc"), parts.get("a", "")
            )
            if cursor.column_after:
                datetime.fromisoformat(cursor.column_after)
        except ValueError as error:
            raise faults.invalid_parameter(_BAD_CURSOR) from error
        if len(parts) != len(lines) or cursor.column not in _SORTED or cursor.order not in _ORDERS:
            raise faults.invalid_parameter(_BAD_CURSOR)
        return cursor

    def write(self) -> str:
        """As text for the wire."""
        parts = {"l": self.after, "o": self.order, "c": self.column, "a": self.column_after}
        return base64.b64encode("\n".join(f"{k}:{v}" for k, v in parts.items() if v).encode()).decode()


def _lifetime(body: dict[str, Any]) -> int:
    """The seconds in `expiresIn`."""
    seconds = shape.integer(body, "expiresIn", 0, least=1)
    if seconds > _MOST_SECONDS:
        raise faults.invalid_parameter("Invalid Parameter expiresIn")
    return seconds


def _sort(body: dict[str, Any], columns: tuple[str, ...]) -> tuple[str, str]:
    """The column and the order of `sortBy`; the column is empty when it isn't given."""
    given = body.get("sortBy")
    if given is None:
        return "", "asc"
    if not isinstance(given, dict):
        raise faults.invalid_request("body/sortBy must be object")
    if "column" not in given:
        raise faults.invalid_request("body/sortBy must have required property 'column'")
    column = shape.one_of(given, "column", columns, "name", path="body/sortBy")
    return column, shape.one_of(given, "order", _ORDERS, "asc", path="body/sortBy")


def _shown(row: Record, *, delimited: bool) -> dict[str, Any]:
    shown = {
        "name": row["name"],
        "id": str(row["id"]) if row["id"] is not None else None,
        "updated_at": _iso(row["updated_at"]),
        "created_at": _iso(row["created_at"]),
        "last_accessed_at": _iso(row["last_accessed_at"]),
        "metadata": msgspec.Raw(row["metadata"].encode()) if row["metadata"] is not None else None,
    }
    return {"key": row["key"], **shown} if delimited else shown


def _iso(moment: datetime | None) -> str | None:
    """A timestamp as JavaScript prints it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

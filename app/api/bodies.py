"""Bodies in: raw bytes, and JSON changes. Multipart is next door in multipart.py.

Whoever gets an Upload from here discards it at the end: large ones are files.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec

from app.api.media_types import media_type_of
from app.api.wrong_values import shortened
from app.errors import VersoError
from app.flows.add_change import Item
from app.model import normal_path
from app.model.modes import Mode
from app.supabase.intake import Intake, LimitExceededError
from app.supabase.upload import Upload

if TYPE_CHECKING:
    from litestar import Request

    from app.settings import Settings

T = TypeVar("T")

SMALL_BODY = 256 * 1024
"""Up to this many bytes a body is taken in before the database is asked; beyond, it is asked first."""


class ChangeItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One document's part of a change.

    Content is `text`, `base64` or a multipart file; without content a new `path` moves. `base` is the hash
    (ETag) of the version that this was made from: needed for whatever exists.
    """

    path: str | None = None
    document: str | None = None
    from_path: str | None = msgspec.field(name="from", default=None)
    base: str | None = None
    create: bool = False
    delete: bool = False
    restore: Annotated[int, msgspec.Meta(ge=1, le=999_999_999)] | Literal["latest"] | None = None
    media_type: str | None = None
    mode: Mode | None = None
    """Git's file mode; it stays as it is unless said, and 100644 is that of ordinary files."""
    text: str | None = None
    base64: str | None = None
    part: str | None = None
    """In multipart: the name of the file part that holds the content."""
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    """In place of the content: the hash of one that some version of this project holds (see `have`)."""


class ChangeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One atomic change."""

    message: str = ""
    items: list[ChangeItem] = []


def declared_length(request: Request[Any, Any, Any], *, limit: int) -> int | None:
    """Content-Length, or None when the body comes in chunks. Raises VersoError before the body is read.

    `too_large` beyond the limit, `bad_request` for a part of a representation (Content-Range is refused on
    writes: RFC 9110, 14.5).
    """
    if "content-range" in request.headers:
        raise VersoError("bad_request", "A write takes the whole content: no Content-Range.")
    field = request.headers.get("content-length")
    if field is None:
        return None
    length = int(field) if field.isascii() and field.isdigit() else -1
    if length < 0:
        raise VersoError("bad_request", "Content-Length is not a number.")
    if length > limit:
        raise too_large(limit)
    return length


async def take_raw(request: Request[Any, Any, Any], settings: Settings) -> Upload:
    """The whole body as an upload. Raises VersoError."""
    with Intake(settings.spool_dir, limit=settings.max_upload_size) as intake:
        try:
            async for piece in request.stream():
                await intake.write(piece)
        except LimitExceededError:
            raise too_large(settings.max_upload_size) from None
        return await intake.finish()


async def take_struct(request: Request[Any, Any, Any], settings: Settings, kind: type[T]) -> T:
    """A JSON body of a kind. Raises VersoError `bad_json` with the place, `too_large`."""
    return decode_json(await take_bytes(request, limit=settings.max_json_size), kind)


async def take_bytes(request: Request[Any, Any, Any], *, limit: int) -> bytes:
    """The whole body, in memory. Raises VersoError `too_large`."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > limit:
            raise too_large(limit)
    return bytes(data)


def decode_json(data: bytes, kind: type[T]) -> T:
    """JSON of a kind. Raises VersoError `bad_json` with the place."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise VersoError("bad_json", f"The JSON is not what it must be: {shortened(str(error))}.") from None


def item_of(
    item: ChangeItem, *, upload: Upload | None = None, pending: bool = False, kind: str | None = None
) -> Item:
    """The flow's item of a body's, its path and media type checked. Raises VersoError."""
    if item.sha256 is not None:
        if upload is not None or not item.text is item.base64 is item.part is None:
            raise VersoError(
                "bad_change", "An item that says its sha256 brings no other content.", path=item.path
            )
        pending = True
    elif upload is None and not pending:
        upload = _content_of(item)
    elif item.text is not None or item.base64 is not None:
        raise VersoError("bad_change", "An item has one content: text, base64 or a file.", path=item.path)
    if (upload is not None or pending) and (item.delete or item.restore is not None):
        raise VersoError(
            "bad_change", "An item with content is neither a delete nor a restore.", path=item.path
        )
    if item.create and item.base is not None:
        raise VersoError(
            "bad_change", "base says that something is there, create that nothing is.", path=item.path
        )
    path = None if item.path is None else normal_path(item.path)
    media_type = None
    if upload is not None or pending:
        media_type = media_type_of(item.media_type or kind, path or "")
    return Item(
        path=path,
        document=item.document,
        from_path=None if item.from_path is None else normal_path(item.from_path),
        base=item.base,
        create=item.create,
        delete=item.delete,
        restore=item.restore,
        media_type=media_type,
        mode=item.mode,
        upload=upload,
        pending=pending,
        held=item.sha256,
    )


def too_large(limit: int) -> VersoError:
    """The refusal of a body beyond its limit of bytes."""
    return VersoError(
        "too_large", f"At most {limit:,} bytes are taken here. Send less, or in parts.", limit=limit
    )


def check_message(message: str, settings: Settings) -> str:
    """The message of a change. Raises VersoError `message_too_long` or `bad_value`."""
    if "\x00" in message:
        raise VersoError("bad_value", "A message has no NUL characters.")
    if len(message.encode("utf-8", "surrogatepass")) > settings.max_message_length:
        limit = settings.max_message_length
        raise VersoError("message_too_long", f"A message has at most {limit:,} bytes.", limit=limit)
    return message


def check_idempotency_key(request: Request[Any, Any, Any]) -> str | None:
    """The Idempotency-Key of a write, or None. Raises VersoError `bad_request`."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= 200 and key.isascii() and key.isprintable()):  # noqa: PLR2004
        raise VersoError("bad_request", "An Idempotency-Key is 1 to 200 printable ASCII characters.")
    return key


def _content_of(item: ChangeItem) -> Upload | None:
    if item.text is not None and item.base64 is not None:
        raise VersoError("bad_change", "An item has one content: text, base64 or a file.", path=item.path)
    if item.text is not None:
        try:
            return Upload.of(item.text.encode())
        except UnicodeEncodeError:
            raise VersoError(
                "bad_change", "The text holds a lone surrogate; send base64.", path=item.path
            ) from None
    if item.base64 is not None:
        try:
            return Upload.of(base64.b64decode(item.base64, validate=True))
        except (binascii.Error, ValueError):
            raise VersoError("bad_change", "The base64 of an item is not valid.", path=item.path) from None
    return None

"""A change as multipart/form-data (RFC 7578), parsed as it streams in, in bounded memory.

Parts:
    change    JSON like a JSON change's body; put it first, so that a stale base is told early
    message   text; in place of the JSON's
    anything  with a filename: a file. It is the content of the item whose `part` is the part's name, else
              of the item whose `path` is the filename, else a new document at the path <filename>
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.bodies import ChangeBody, ChangeItem, decode_json, item_of, stream_body, too_large
from app.api.digests import check_digest, claimed_sha256
from app.errors import VersoError
from app.model import normal_path
from app.supabase.intake import Intake, LimitExceededError
from app.supabase.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar import Request

    from app.flows.add_change import Item
    from app.settings import Settings

MAX_PART_HEADERS = 8 * 1024


class _File(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    filename: str
    media_type: str | None
    upload: Upload | None


class Form:
    """Takes a multipart body in. `discard` its uploads at the end, whatever happened.

    `check` is called once, with the items known by then, before the first file's bytes are taken in.
    """

    def __init__(self, settings: Settings, check: Callable[[list[Item]], Awaitable[None]] | None) -> None:
        self._settings = settings
        self._check = check
        self._body = ChangeBody()
        self._message: str | None = None
        self._files: list[_File] = []
        self._reading: _Part | None = None
        self._events: list[tuple[str, bytes]] = []

    async def read(self, request: Request[Any, Any, Any]) -> tuple[str, list[Item]]:
        """The message and the items of a request's body. Raises VersoError."""
        parser = self._parser(request.headers.get("content-type", ""))
        claimed = claimed_sha256(request.headers)
        digest = hashlib.sha256()
        size = 0
        try:
            async for piece in stream_body(request, seconds=self._settings.body_timeout):
                size += len(piece)
                if size > self._settings.max_change_size:
                    raise too_large(self._settings.max_change_size)
                if claimed is not None:
                    digest.update(piece)
                parser.write(piece)
                events, self._events = self._events, []
                for name, data in events:
                    await self._on(name, data)
            parser.finalize()
        except FormParserError as error:
            raise VersoError("bad_multipart", f"The multipart body is not well formed: {error}.") from None
        if self._reading is not None or "end" not in self._seen:
            raise VersoError(
                "body_incomplete", "The multipart body ended before its last boundary. Send it again."
            )
        if claimed is not None:
            check_digest(claimed, digest.hexdigest())
        return self._body.message if self._message is None else self._message, self._items()

    def discard(self) -> None:
        """Remove what was taken in."""
        if self._reading is not None:
            self._reading.close()
        for file in self._files:
            if file.upload is not None:
                file.upload.discard()

    def _parser(self, content_type: str) -> MultipartParser:
        self._seen: set[str] = set()
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise VersoError("bad_multipart", "The content type names no boundary.")

        def event(name: str) -> Callable[..., None]:
            def note(data: bytes = b"", start: int = 0, end: int = 0) -> None:
                self._events.append((name, bytes(data[start:end])))

            return note

        return MultipartParser(
            boundary,
            {
                "on_part_begin": event("begin"),
                "on_header_field": event("field"),
                "on_header_value": event("value"),
                "on_header_end": event("header"),
                "on_headers_finished": event("headers"),
                "on_part_data": event("data"),
                "on_part_end": event("part"),
                "on_end": event("end"),
            },
        )

    async def _on(self, name: str, data: bytes) -> None:
        if name == "begin":
            self._reading = _Part(self._settings)
        elif name == "end":
            self._seen.add("end")
        elif self._reading is not None:
            part = self._reading
            if name in {"field", "value", "header"}:
                part.on_header(name, data)
            elif name == "headers":
                await self._begin(part)
            elif name == "data":
                await part.write(data)
            else:
                await self._end(part)
                self._reading = None

    async def _begin(self, part: _Part) -> None:
        part.open()
        if part.filename is None:
            return
        if len(self._files) >= self._settings.max_files_per_change:
            raise too_many(self._settings.max_files_per_change)
        if self._check is not None:
            check, self._check = self._check, None
            await check([item_of(item, pending=_awaits_file(item)) for item in self._body.items])

    async def _end(self, part: _Part) -> None:
        upload = await part.finish()
        if part.filename is not None:
            self._files.append(
                _File(name=part.name, filename=part.filename, media_type=part.media_type, upload=upload)
            )
            check_digest(claimed_sha256(part.headers), upload.sha256)
        elif part.name in self._seen:
            raise VersoError("bad_multipart", f"There are two parts {part.name}. Send one.")
        elif part.name == "change":
            self._seen.add(part.name)
            self._body = decode_json(upload.data or b"", ChangeBody)
        elif part.name == "message":
            self._seen.add(part.name)
            try:
                self._message = (upload.data or b"").decode()
            except UnicodeDecodeError:
                raise VersoError("bad_multipart", "The message is not UTF-8.") from None
        else:
            raise VersoError(
                "bad_multipart",
                f"The part {part.name[:100]!r} is neither change, message nor a file with a filename.",
            )

    def _items(self) -> list[Item]:
        by_part = {item.part: item for item in self._body.items if item.part is not None}
        by_path = {
            normal_path(item.path): item
            for item in self._body.items
            if item.path is not None and item.part is None
        }
        content: dict[int, _File] = {}
        new: list[Item] = []
        for file in self._files:
            item = by_part.get(file.name) or by_path.get(normal_path(file.filename))
            if item is None:
                item = ChangeItem(path=file.filename)
                new.append(item_of(item, upload=file.upload, kind=file.media_type))
            elif id(item) in content:
                raise VersoError("bad_multipart", "Two files are content of one item.", path=item.path)
            else:
                content[id(item)] = file
        items: list[Item] = []
        for item in self._body.items:
            file_of = content.get(id(item))
            if file_of is not None:
                items.append(item_of(item, upload=file_of.upload, kind=file_of.media_type))
            elif item.part is not None:
                raise VersoError(
                    "bad_multipart", f"There is no file part {item.part[:100]!r}.", path=item.path
                )
            else:
                items.append(item_of(item))
        return items + new


def _awaits_file(item: ChangeItem) -> bool:
    """Whether a file may still come for an item: the check before its bytes must not miss its content."""
    if item.part is not None:
        return True
    other = (item.text, item.base64, item.restore, item.document, item.from_path)
    return item.path is not None and not item.delete and all(each is None for each in other)


class _Part:
    """One part while it is read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._field = bytearray()
        self._value = bytearray()
        self._size = 0
        self._intake: Intake | None = None
        self._limit = settings.max_upload_size
        self.headers: dict[str, str] = {}
        self.name = ""
        self.filename: str | None = None
        self.media_type: str | None = None

    def on_header(self, kind: str, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_PART_HEADERS:
            raise VersoError("bad_multipart", "A part's headers are too long.")
        if kind == "field":
            self._field += data
        elif kind == "value":
            self._value += data
        else:
            try:
                value = self._value.decode()
            except UnicodeDecodeError:
                raise VersoError("bad_multipart", "A part's headers are not UTF-8.") from None
            self.headers[self._field.decode("latin-1").lower()] = value
            self._field.clear()
            self._value.clear()

    def open(self) -> None:
        disposition = self.headers.get("content-disposition", "").encode()
        kind, options = parse_options_header(disposition)
        if kind != b"form-data" or b"name" not in options:
            raise VersoError("bad_multipart", "Every part needs Content-Disposition: form-data with a name.")
        self.name = options[b"name"].decode()
        if b"filename" in options:
            # Browsers and curl write a quotation mark as %22, and nothing else so (WHATWG HTML, 4.10.21.8).
            self.filename = options[b"filename"].decode().replace("%22", '"')
            self.media_type = self.headers.get("content-type")
        else:
            self._limit = min(self._limit, self._settings.max_json_size)
        in_memory = {} if self.filename is not None else {"in_memory": self._limit}
        self._intake = Intake(self._settings.spool_dir, limit=self._limit, **in_memory)

    async def write(self, data: bytes) -> None:
        try:
            await self._taking.write(data)
        except LimitExceededError:
            raise too_large(self._limit) from None

    async def finish(self) -> Upload:
        upload = await self._taking.finish()
        self.close()
        return upload

    def close(self) -> None:
        if self._intake is not None:
            self._intake.close()

    @property
    def _taking(self) -> Intake:
        if self._intake is None:
            raise VersoError("bad_multipart", "A part has content before its headers.")
        return self._intake


def too_many(limit: int) -> VersoError:
    """The refusal of a change with too many items."""
    return VersoError(
        "too_many_files",
        f"A change has at most {limit:,} files. Send the rest as further changes.",
        limit=limit,
    )

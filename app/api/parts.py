"""multipart/form-data (RFC 7578), part by part as it streams in, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.bodies import too_large
from app.errors import VersoError
from app.supabase.cache import IN_MEMORY_SIZE
from app.supabase.intake import Intake, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Request

    from app.settings import Settings
    from app.supabase.upload import Upload

MAX_PART_HEADERS = 8 * 1024
MAX_BOUNDARY = 70
"""RFC 2046, 5.1.1."""
MOST_IN_MEMORY = 64 * 1024 * 1024
"""The most bytes of one request's files that are kept in memory; small files beyond go to the disk, too."""


class Parts:
    """Reads a multipart body and hands each part over, at its beginning and with its bytes at its end.

    Whoever extends this says what the parts mean in `begin` and `end`, and calls `close` when all is done.
    Parts without a filename are taken in memory, all together up to the limit of JSON bodies: whose they are
    may not be known yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reading: Part | None = None
        self._events: list[tuple[str, bytes]] = []
        self._ended = False
        self._in_memory = 0
        self._in_fields = 0

    async def begin(self, part: Part) -> None:
        """A part's headers are read, and none of its bytes. Raises VersoError to refuse it."""
        raise NotImplementedError

    async def end(self, part: Part, upload: Upload) -> None:
        """A part is there; its upload is the receiver's to discard. Raises VersoError to refuse it."""
        raise NotImplementedError

    async def take(self, request: Request[Any, Any, Any]) -> None:
        """Read a request's body to its end. Raises VersoError."""
        parser = self._parser(request.headers.get("content-type", ""))
        size = 0
        try:
            async for piece in request.stream():
                size += len(piece)
                if size > self._settings.max_change_size:
                    raise too_large(self._settings.max_change_size)
                parser.write(piece)
                events, self._events = self._events, []
                for name, data in events:
                    await self._on(name, data)
            parser.finalize()
        except FormParserError as error:
            raise VersoError("bad_multipart", f"The multipart body is not well formed: {error}.") from None
        if self._reading is not None or not self._ended:
            raise VersoError(
                "body_incomplete", "The multipart body ended before its last boundary. Send it again."
            )

    def close(self) -> None:
        """Remove what was taken in of an unfinished part."""
        if self._reading is not None:
            self._reading.close()

    def _parser(self, content_type: str) -> MultipartParser:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise VersoError(
                "bad_multipart", f"The content type names no boundary of 1 to {MAX_BOUNDARY} characters."
            )

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
            self._reading = Part(self._settings)
        elif name == "end":
            self._ended = True
        elif self._reading is not None:
            part = self._reading
            if name in {"field", "value", "header"}:
                part.on_header(name, data)
            elif name == "headers":
                part.open(in_memory=self._in_memory < MOST_IN_MEMORY, in_fields=self._in_fields)
                await self.begin(part)
            elif name == "data":
                await part.write(data)
            else:
                upload = await part.finish()
                self._in_memory += len(upload.data or b"")
                self._in_fields += upload.size if part.filename is None else 0
                await self.end(part, upload)
                self._reading = None


class Part:
    """One part while it is read: its name, its filename or None, its headers."""

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
        """Take in a piece of a header's name or value, or its end."""
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

    def open(self, *, in_memory: bool = True, in_fields: int = 0) -> None:
        """The headers are complete: read the name, and get ready for the bytes.

        `in_fields` is how many bytes the parts without a filename before this one had.
        """
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
            self._limit = min(self._limit, self._settings.max_json_size - in_fields)
        most = self._settings.max_json_size
        if self.filename is not None:
            most = IN_MEMORY_SIZE if in_memory else 0
        self._intake = Intake(self._settings.spool_dir, limit=self._limit, in_memory=most)

    async def write(self, data: bytes) -> None:
        """Take in the next bytes."""
        try:
            await self._taking.write(data)
        except LimitExceededError:
            limit = self._settings.max_json_size if self.filename is None else self._limit
            raise too_large(limit) from None

    async def finish(self) -> Upload:
        """What came in."""
        upload = await self._taking.finish()
        self.close()
        return upload

    def close(self) -> None:
        """Remove what finish has not handed over."""
        if self._intake is not None:
            self._intake.close()

    @property
    def _taking(self) -> Intake:
        if self._intake is None:
            raise VersoError("bad_multipart", "A part has content before its headers.")
        return self._intake

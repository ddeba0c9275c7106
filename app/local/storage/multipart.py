"""multipart/form-data (RFC 7578) as Storage reads it: some fields, then one file, chunk by chunk.

Only what comes before the file counts as a field, and what follows it is read and dropped: the real server
asks for the file as soon as its headers are there.
"""

from __future__ import annotations

from python_multipart.multipart import MultipartParser, parse_options_header

from app.local.storage import faults

FIELD_LIMIT = 1024 * 1024
"""Bytes of a field; a longer one is cut by the real server, which makes a JSON field unreadable."""
_FIELDS = 10
_DEFAULT_TYPE = "text/plain"
_BINARY_TYPE = "application/octet-stream"


class FormFile:
    """A push parser: `feed` chunks of the body, then read `fields`, `mime` and what `take` hands out."""

    def __init__(self, content_type: str) -> None:
        """Read the boundary from the request's Content-Type.

        Raises
        ------
            StorageFault: 400 without a boundary, or with one that is too long.

        """
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise faults.no_content("Multipart: Boundary not found")
        self.fields: dict[str, str] = {}
        self.mime: str | None = None
        """The file's type; None until its headers have been read."""
        self.ended = False
        """Whether the closing boundary has been read."""
        self._chunks: list[bytes] = []
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._field_name: str | None = None
        self._field = bytearray()
        self._in_file = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_text,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_part_end": self._part_ends,
                    "on_end": self._end,
                },
            )
        except ValueError as error:
            raise faults.no_content("Multipart: Boundary too long") from error

    def feed(self, chunk: bytes) -> None:
        """Read a chunk of the body, cut anywhere.

        Raises
        ------
            StorageFault: 400 when it isn't multipart/form-data with that boundary.

        """
        if self.ended:  # an epilogue (RFC 2046, section 5.1.1) is to be ignored
            return
        try:
            self._parser.write(chunk)
        except ValueError as error:
            raise faults.no_content("Malformed part header") from error

    def take(self) -> list[bytes]:
        """The file's bytes that have been read since the last call."""
        chunks = self._chunks
        self._chunks = []
        return chunks

    def finish(self) -> None:
        """Say that the body is over.

        Raises
        ------
            StorageFault: 400 when there was no file, or the body broke off.

        """
        if not self.ended:
            raise faults.no_content("Unexpected end of form")
        if self.mime is None:
            raise faults.no_content("No content provided")

    def _part_begins(self) -> None:
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_text(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        declared = self._headers.get(b"content-type")
        mime = parse_options_header(declared)[0].decode("latin-1").lower() if declared else _DEFAULT_TYPE
        if b"filename" in options or b"filename*" in options or mime == _BINARY_TYPE:
            self._in_file = self.mime is None
            self.mime = self.mime or mime
        elif self.mime is None and b"name" in options and len(self.fields) < _FIELDS:
            self._field_name = options[b"name"].decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            # A slice of the whole is the object itself: no copy for a chunk that is all file.
            self._chunks.append(data[start:end])
        elif self._field_name is not None:
            self._field += data[start : min(end, start + FIELD_LIMIT + 1 - len(self._field))]

    def _part_ends(self) -> None:
        if self._field_name is not None:
            if len(self._field) <= FIELD_LIMIT:
                self.fields[self._field_name] = self._field.decode("utf-8", "replace")
            self._field_name = None
            self._field.clear()
        self._in_file = False

    def _end(self) -> None:
        self.ended = True

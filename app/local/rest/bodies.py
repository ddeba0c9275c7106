"""Request bodies: JSON, CSV or a form, all of them turned into one JSON array for PostgreSQL to read."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from app.local.rest.errors import RestError, bad_body

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
RAW_TYPES = ("text/plain", "text/xml", "application/octet-stream")

# Values stay undecoded: only the keys matter here, PostgreSQL reads the rest.
_Object = dict[str, msgspec.Raw]
_object = msgspec.json.Decoder(_Object)
_objects = msgspec.json.Decoder(list[_Object])
_anything = msgspec.json.Decoder(Any)


@dataclass(frozen=True, slots=True)
class Body:
    """`text` is JSON; `keys` are those of its objects, which all have the same."""

    text: str
    keys: tuple[str, ...] = ()
    is_array: bool = False

    @property
    def rows(self) -> str:
        """The JSON text as an array, whatever it was."""
        return self.text if self.is_array else f"[{self.text}]"


def media_type_of(header: str | None) -> str:
    """The type in a Content-Type header, without parameters; JSON when there is none."""
    return header.partition(";")[0].strip().lower() if header else JSON_TYPE


def parse_rows(raw: bytes, media_type: str, *, columns: tuple[str, ...] | None) -> Body:
    """Read what is to be written to a table. Raises RestError PGRST102.

    With `columns` the JSON isn't looked into: the client has said which keys to take.
    """
    if media_type == JSON_TYPE:
        if columns is not None:
            text = _text(raw)
            return Body(text, columns, is_array=text.lstrip().startswith("["))
        return _json_rows(raw)
    if media_type == "text/csv":
        return _csv_rows(raw)
    if media_type == FORM_TYPE:
        pairs = dict(parse_qsl(_text(raw), keep_blank_values=True))
        return Body(msgspec.json.encode(pairs).decode(), tuple(sorted(pairs)))
    raise bad_body(f"Content-Type not acceptable: {media_type}")


def parse_arguments(raw: bytes) -> Body:
    """Read a function's named arguments; no body at all means none. Raises RestError PGRST102."""
    if not raw:
        return Body("{}")
    try:
        return Body(_text(raw), tuple(_object.decode(raw)))
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return _json_rows(raw)


def text_of(raw: bytes) -> str:
    """Read the whole body as one text argument. Raises RestError PGRST102 when it isn't UTF-8."""
    return _text(raw)


def _json_rows(raw: bytes) -> Body:
    try:
        return Body(_text(raw), tuple(sorted(_object.decode(raw))))
    except RecursionError:
        raise bad_body("Empty or invalid json") from None
    except (msgspec.DecodeError, msgspec.ValidationError):
        pass
    try:
        value = _objects.decode(raw)
    except msgspec.ValidationError:
        return _odd_json(raw)
    except (msgspec.DecodeError, RecursionError):
        raise bad_body("Empty or invalid json") from None
    if not value:
        return Body("[]", is_array=True)
    keys = value[0].keys()
    if any(one.keys() != keys for one in value):
        raise bad_body("All object keys must match")
    return Body(_text(raw), tuple(sorted(keys)), is_array=True)


def _odd_json(raw: bytes) -> Body:
    """JSON that is neither an object nor an array of them: PostgREST takes a plain value as no rows."""
    try:
        value = _anything.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise bad_body("Empty or invalid json") from None
    if isinstance(value, list):
        raise bad_body("All object keys must match")
    return Body("[]", is_array=True)


def _csv_rows(raw: bytes) -> Body:
    """CSV with a header line; an unquoted or quoted NULL is null, as in PostgREST."""
    try:
        lines = list(csv.reader(io.StringIO(_text(raw), newline=""), strict=True))
    except csv.Error as error:
        raise bad_body(str(error)) from None
    if not lines or not lines[0]:
        raise bad_body("Empty or invalid CSV")
    header = lines[0]
    # A short line leaves out its last keys, a long one loses its last fields; but all lines must agree.
    objects = [
        {name: None if value == "NULL" else value for name, value in zip(header, line, strict=False)}
        for line in lines[1:]
        if line
    ]
    if any(one.keys() != objects[0].keys() for one in objects):
        raise bad_body("All lines must have same number of fields")
    keys = tuple(sorted(objects[0])) if objects else ()
    return Body(msgspec.json.encode(objects).decode(), keys, is_array=True)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RestError(400, "PGRST102", "The request body isn't UTF-8") from None

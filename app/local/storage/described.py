"""What an upload says about the bytes it brings: type, cache control, user metadata.

storage3 and supabase-js say it in multipart fields, raw bodies in headers.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from app.local.storage import faults

if TYPE_CHECKING:
    from app.local.storage.exchange import Request
    from app.local.storage.multipart import FormFile


@dataclass(frozen=True, slots=True)
class Described:
    """The description, and the JSON that PostgreSQL gets of it."""

    mime: str
    cache_control: str
    user_metadata: str | None
    """JSON as given; None when there is none that can be read."""

    def check(self) -> None:
        """Refuse user metadata that reaches PostgreSQL as no JSON at all on the real server: arrays, strings.

        Raises
        ------
            StorageFault: InvalidParameter (400).

        """
        if self.user_metadata is not None and self.user_metadata.lstrip()[:1] in {"[", '"'}:
            raise faults.invalid_parameter("invalid input syntax for type json")

    def kept_user_metadata(self) -> str:
        """What is stored: an object, and {} for anything else. An overwrite without metadata resets it."""
        text = self.user_metadata
        return text if text is not None and text.lstrip().startswith("{") else "{}"

    def declared(self, request: Request) -> str:
        """What the policies see as `metadata`: the declared length includes multipart's overhead."""
        seen: dict[str, Any] = {"mimetype": self.mime}
        if request.declared_length is not None:
            seen["contentLength"] = request.declared_length
        return encode(seen)

    def metadata(self, *, md5: str, size: int) -> str:
        """storage.objects.metadata of the stored bytes."""
        return encode(
            {
                "eTag": f'"{md5}"',
                "size": size,
                "mimetype": self.mime,
                "cacheControl": self.cache_control,
                "lastModified": now_iso(),
                "contentLength": size,
                "httpStatusCode": 200,
            }
        )


def by_form(form: FormFile) -> Described:
    """The description in the fields before the file."""
    fields = form.fields
    seconds = fields.get("cacheControl")
    return Described(
        mime=fields.get("contentType") or form.mime or "",
        cache_control=f"max-age={seconds}" if seconds else "no-cache",
        user_metadata=_readable(fields.get("metadata", fields.get("userMetadata"))),
    )


def by_headers(request: Request) -> Described:
    """The description of a raw body; Cache-Control is kept to the letter."""
    return Described(
        mime=request.headers.get("content-type") or "application/octet-stream",
        cache_control=request.headers.get("cache-control", "no-cache"),
        user_metadata=user_metadata_of(request),
    )


def user_metadata_of(request: Request) -> str | None:
    """The JSON in x-metadata (base64), or None."""
    given = request.headers.get("x-metadata")
    if given is None:
        return None
    try:
        return _readable(base64.b64decode(given + "=" * (-len(given) % 4)).decode())
    except ValueError:  # no base64, or no UTF-8
        return None


def encode(value: Any) -> str:
    """JSON as a text for PostgreSQL."""
    return msgspec.json.encode(value).decode()


def now_iso() -> str:
    """Now, as JavaScript prints it: UTC with milliseconds."""
    now = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"


def _readable(text: str | None) -> str | None:
    """The JSON text, or None for what isn't JSON: the real server drops that silently."""
    if text is None:
        return None
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return text

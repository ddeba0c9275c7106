"""What kind of content a document has: as its writer says, or as its name suggests."""

from __future__ import annotations

from app.media_types import suggested_media_type
from app.model import normal_media_type

_UNSPOKEN = {"", "application/octet-stream", "application/x-www-form-urlencoded"}
"""Content types that clients such as curl send when nobody chose one."""


def media_type_of(claimed: str | None, path: str) -> str:
    """The claimed content type, or what the path's ending suggests when the client didn't choose one.

    Raises VersoError `bad_media_type`.
    """
    if claimed is not None and claimed.partition(";")[0].strip().lower() not in _UNSPOKEN:
        return normal_media_type(claimed)
    return suggested_media_type(path)

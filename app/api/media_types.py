"""What kind of content a document has: as its writer says, or as its name suggests."""

from __future__ import annotations

import mimetypes

from app.model import normal_media_type

_UNSPOKEN = {"", "application/octet-stream", "application/x-www-form-urlencoded"}
"""Content types that clients such as curl send when nobody chose one."""
_UNKNOWN = "application/octet-stream"
_BY_NAME = mimetypes.MimeTypes(filenames=())
"""Python's own table, not the machine's: the same name has the same type everywhere."""
for _ending, _kind in (
    (".json", "application/json"),
    (".md", "text/markdown"),
    (".markdown", "text/markdown"),
    (".toml", "application/toml"),
    (".webp", "image/webp"),
    (".yaml", "application/yaml"),  # RFC 9512
    (".yml", "application/yaml"),
):
    _BY_NAME.add_type(_kind, _ending)
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def media_type_of(claimed: str | None, path: str) -> str:
    """The claimed content type, or what the path's ending suggests when the client didn't choose one.

    Raises VersoError `bad_media_type`.
    """
    if claimed is not None and claimed.partition(";")[0].strip().lower() not in _UNSPOKEN:
        return normal_media_type(claimed)
    # A colon would make a URL of the name, and `data:` would choose its type.
    name = path.rpartition("/")[2].replace(":", "_")
    kind, compression = _BY_NAME.guess_type(name)
    if compression is not None:
        return _COMPRESSED.get(compression, _UNKNOWN)  # notes.md.gz is no Markdown
    return kind or _UNKNOWN

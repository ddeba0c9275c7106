"""What kind of content a name suggests: the same everywhere, whatever machine it is asked on."""

from __future__ import annotations

import mimetypes

UNKNOWN = "application/octet-stream"
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


def suggested_media_type(path: str) -> str:
    """The media type that a path's ending suggests; application/octet-stream when it suggests none."""
    # A colon would make a URL of the name, and `data:` would choose its type.
    name = path.rpartition("/")[2].replace(":", "_")
    kind, compression = _BY_NAME.guess_type(name)
    if compression is not None:
        return _COMPRESSED.get(compression, UNKNOWN)  # notes.md.gz is no Markdown
    return kind or UNKNOWN

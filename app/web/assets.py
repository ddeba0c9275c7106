"""The static files, read once: served compressed, at addresses that change when any of them does.

The digest stands in the address as a folder, so that scripts and stylesheets name each other without it.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath

from app.errors import VersoError

DIRECTORY = Path(__file__).with_name("static")
FOREVER = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Asset(msgspec.Struct, frozen=True):
    """One static file; `packed` is None where compressing gains nothing."""

    data: bytes
    packed: bytes | None
    media_type: str


class Assets(msgspec.Struct, frozen=True):
    """All static files, by their paths below the folder."""

    digest: str
    files: Mapping[str, Asset]

    @classmethod
    def read(cls, directory: Path = DIRECTORY) -> Assets:
        """Read and compress them."""
        files: dict[str, Asset] = {}
        digest = hashlib.sha256()
        for path in sorted(each for each in directory.rglob("*") if each.is_file()):
            name, data = path.relative_to(directory).as_posix(), path.read_bytes()
            digest.update(f"{name} {len(data)}\n".encode() + data)
            packed = gzip.compress(data, 9, mtime=0)
            media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "text/plain"
            files[name] = Asset(data, packed if len(packed) < len(data) else None, media_type)
        return cls(digest.hexdigest()[:12], files)

    def url(self, name: str) -> str:
        """The address of a file. Raises KeyError for one that isn't there."""
        if name not in self.files:
            raise KeyError(name)
        return f"/static/{self.digest}/{name}"


@get("/static/{digest:str}/{path:path}", exclude_from_auth=True)
async def read_asset(
    request: Request[Any, Any, Any], digest: FromPath[str], path: FromPath[Path]
) -> Response[bytes]:
    """A static file. At the address of other content, from before or after an update, it isn't kept."""
    assets: Assets = request.app.state.pages.assets
    asset = assets.files.get(path.as_posix().removeprefix("/"))
    if asset is None:
        raise VersoError("not_found", "There is no such file.")
    caching = FOREVER if digest == assets.digest else "no-cache"
    headers = {"Cache-Control": caching, "Vary": "Accept-Encoding"}
    data = asset.data
    if asset.packed is not None and accepts_gzip(request):
        data, headers["Content-Encoding"] = asset.packed, "gzip"
    return Response(data, media_type=asset.media_type, headers=headers)


def accepts_gzip(request: Request[Any, Any, Any]) -> bool:
    """Whether the answer may be compressed (RFC 9110, 12.5.3)."""
    for each in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = each.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "").lower() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False

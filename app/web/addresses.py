"""Documents' paths in pages' addresses, decoded strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from app.errors import VersoError
from app.model import normal_path

if TYPE_CHECKING:
    from litestar import Request


def path_after(request: Request[Any, Any, Any], word: str) -> str:
    """The document's path after /p/<project>/<word>/. Raises VersoError `bad_path`.

    The router folds // and the server mends what is not UTF-8; a path must be refused for these, so it is
    read from the address as it was sent. A slash at its end, as folders have it, is left out.
    """
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    found = re.match(rb"/p/+[^/]+/+" + word.encode() + rb"/(.*)", raw.partition(b"?")[0], re.DOTALL)
    try:
        return normal_path(unquote_to_bytes(found[1] if found else b"").decode().rstrip("/"))
    except UnicodeDecodeError:
        raise VersoError("bad_path", "The path in the address is not percent-encoded UTF-8.") from None

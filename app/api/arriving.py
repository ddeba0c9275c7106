"""Bodies on their way in: none stands still for ever, and none differs from the digest that came with it.

Here, and not where bodies are read: whoever reads one, and be it the framework, gets both.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from litestar.datastructures import Headers

from app.api.digests import check_digest, claimed_sha256
from app.errors import VersoError

if TYPE_CHECKING:
    from litestar.types import HTTPReceiveMessage, Receive


def arriving(scope: Any, receive: Receive, *, seconds: float) -> Receive:
    """A request's `receive` that looks after its body.

    It raises VersoError `unsupported_encoding` (Git's bodies alone may be gzipped), `body_timeout` when
    nothing comes for that many seconds, `bad_digest`, and at the body's end `digest_mismatch`. Beyond the end
    it waits for as long as the client stays.
    """
    arrived = False
    begun = False
    claimed: str | None = None
    digest = hashlib.sha256()

    async def take() -> HTTPReceiveMessage:
        nonlocal arrived, begun, claimed
        if arrived:
            return await receive()  # type: ignore[return-value]  # requests are HTTP's
        if not begun:
            begun, headers = True, Headers.from_scope(scope)
            if not scope["path"].startswith("/git/"):
                _check_plain(headers)
            claimed = claimed_sha256(headers)
        try:
            async with asyncio.timeout(seconds):
                message: Any = await receive()
        except TimeoutError:
            raise VersoError("body_timeout", "The body stood still for too long. Send it again.") from None
        arrived = message["type"] != "http.request" or not message.get("more_body", False)
        if claimed is not None and message["type"] == "http.request":
            digest.update(message.get("body", b""))
            if arrived:
                check_digest(claimed, digest.hexdigest())
        return message  # type: ignore[no-any-return]

    return take


def _check_plain(headers: Headers) -> None:
    if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise VersoError(
            "unsupported_encoding",
            "Send the bytes as they are, without Content-Encoding.",
            accepted="identity",
        )

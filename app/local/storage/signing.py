"""The tokens in signed URLs: HS256 with the project's JWT secret (wire/storage.md, sections 5 and 6).

A token names a key, not a version: it always opens the key's current bytes, and no policy is asked again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from app.local.keys import TokenError, TokenExpired
from app.local.storage import faults

if TYPE_CHECKING:
    from app.local.keys import Keys

Scope = Literal["download", "upload"]
UPLOAD_SECONDS = 7200
"""How long a signed upload URL lives."""
_COMPACT_PARTS = 3


def why_refused(error: TokenError | None, token: str) -> str:
    """The sentence that the real server's JWT library has for a token that doesn't hold."""
    if isinstance(error, TokenExpired):
        return '"exp" claim timestamp check failed'
    compact = token.count(".") == _COMPACT_PARTS - 1
    return "signature verification failed" if compact else "Invalid Compact JWS"


class Signer:
    """Signs and checks the tokens of signed URLs."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def sign(self, path: str, scope: Scope, *, seconds: int, extra: dict[str, Any] | None = None) -> str:
        """A token for `path` (bucket/name). The same second and the same arguments give the same token."""
        now = int(time.time())
        claims = {**(extra or {}), "url": path, "scope": scope, "iat": now, "exp": now + seconds}
        return self._keys.sign_hs256(claims)

    def verify(self, token: str, path: str, scope: Scope) -> dict[str, Any]:
        """The claims of a token that opens `path` for `scope`.

        Raises
        ------
            StorageFault: InvalidJWT (forged, expired, malformed) or InvalidSignature (another path or scope).

        """
        try:
            claims = self._keys.verify(token)
        except TokenError as error:
            raise faults.invalid_jwt(why_refused(error, token)) from error
        # Tokens of older servers carry no scope; an upload token then shows itself by `upsert`.
        scoped = claims.get("scope") or ("upload" if "upsert" in claims else "download")
        if scoped != scope:
            raise faults.invalid_signature(f"Token is not scoped for {scope}")
        if claims.get("url") != path:
            raise faults.invalid_signature()
        return claims

"""The project's keys, kept in the data directory: what signs tokens, and what the API's callers show.

A hosted project has an asymmetric signing key (ES256, published as a JWKS, RFC 7517), a legacy secret (HS256)
that still signs storage's signed URLs, a publishable and a secret key, and the legacy `anon` and
`service_role` JWTs. All of them are made once and stay the same for the life of the data directory.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.local.binaries import PostgresError
from app.local.private import private_dir, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LEGACY_KEY_SECONDS = 10 * 365 * 24 * 3600
CACHED_TOKENS = 4096


class TokenError(Exception):
    """A token can't be trusted; the message is the sentence that a server may show."""


class TokenMalformed(TokenError):  # noqa: N818 - it says what is the matter
    """It isn't a JWT, or names an algorithm or key that this project doesn't use."""


class TokenForged(TokenError):  # noqa: N818 - it says what is the matter
    """Its signature isn't ours."""


class TokenExpired(TokenError):  # noqa: N818 - it says what is the matter
    """It was ours, and its `exp` has passed (or its `nbf` hasn't come)."""


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """What the file holds."""

    private_key: str
    kid: str
    jwt_secret: str
    publishable_key: str
    secret_key: str
    anon_key: str
    service_role_key: str


class Keys:
    """The keys of one data directory. `Keys.load(data_dir)` reads them, or makes them the first time."""

    def __init__(self, stored: StoredKeys) -> None:
        self.publishable_key = stored.publishable_key
        self.secret_key = stored.secret_key
        self.anon_key = stored.anon_key
        self.service_role_key = stored.service_role_key
        self.kid = stored.kid
        self._secret = stored.jwt_secret
        loaded = serialization.load_pem_private_key(stored.private_key.encode(), password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TypeError("The private key is of no elliptic curve.")
        self._private = loaded
        self._public = loaded.public_key()
        self._trusted: dict[str, dict[str, Any]] = {}

    @classmethod
    def load(cls, data_dir: Path) -> Keys:
        """Read `keys.json` (0600) of the data directory; make it when there is none.

        Raises PostgresError when it can't be understood.
        """
        path = data_dir / "keys.json"
        with contextlib.suppress(FileNotFoundError):
            try:
                return cls(StoredKeys(**json.loads(path.read_text(encoding="utf-8"))))
            except (TypeError, ValueError) as error:
                raise PostgresError(
                    f"{path} holds no keys of ours. Put back the file that was there, or start with a new "
                    "data directory."
                ) from error
        private_dir(data_dir)
        stored = _make()
        fields = {name: getattr(stored, name) for name in StoredKeys.__slots__}
        write_private(path, json.dumps(fields, indent=2))
        return cls(stored)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Sign an access token with ES256, as Auth does."""
        return jwt.encode(dict(claims), self._private, algorithm="ES256", headers={"kid": self.kid})

    def sign_hs256(self, claims: Mapping[str, Any]) -> str:
        """Sign with the legacy secret, as storage does for signed URLs."""
        return jwt.encode(dict(claims), self._secret, algorithm="HS256")

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this project signed and that is valid now.

        The result is shared: don't change it. A token is proven once; later only its times are checked.
        Raises TokenMalformed, TokenForged or TokenExpired.
        """
        claims = self._trusted.get(token)
        if claims is None:
            claims = self._prove(token)
            if len(self._trusted) >= CACHED_TOKENS:
                self._trusted.clear()
            self._trusted[token] = claims
        now = time.time()
        if now >= claims.get("exp", now + 1):
            raise TokenExpired("JWT expired")
        if now < claims.get("nbf", now):
            raise TokenExpired("JWT not yet valid")
        return claims

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set; never the legacy secret."""
        numbers = self._public.public_numbers()
        return {
            "keys": [
                {
                    "alg": "ES256",
                    "crv": "P-256",
                    "ext": True,
                    "key_ops": ["verify"],
                    "kid": self.kid,
                    "kty": "EC",
                    "use": "sig",
                    "x": _b64(numbers.x.to_bytes(32, "big")),
                    "y": _b64(numbers.y.to_bytes(32, "big")),
                }
            ]
        }

    def _prove(self, token: str) -> dict[str, Any]:
        """Check the signature under the one key that the header's algorithm may use, and no other."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise TokenMalformed("Expected 3 parts in JWT") from None
        algorithm = header.get("alg")
        key: ec.EllipticCurvePublicKey | str
        if algorithm == "ES256" and header.get("kid") == self.kid:
            key = self._public
        elif algorithm == "HS256":
            key = self._secret
        else:
            raise TokenMalformed("No suitable key or wrong key type")
        options = {
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": False,
            "verify_sub": False,
        }
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm], options=options)  # type: ignore[arg-type]
        except jwt.InvalidSignatureError:
            raise TokenForged("JWT cryptographic operation failed") from None
        except jwt.InvalidTokenError:
            raise TokenMalformed("JWT couldn't be decoded") from None
        for name in ("exp", "nbf", "iat"):
            if not isinstance(claims.get(name, 0), (int, float)) or isinstance(claims.get(name), bool):
                raise TokenMalformed(f"The JWT '{name}' claim must be a number")
        return claims


def _make() -> StoredKeys:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    secret = secrets.token_urlsafe(48)
    now = int(time.time())

    def legacy(role: str) -> str:
        claims = {
            "iss": "supabase",
            "ref": "embedded",
            "role": role,
            "iat": now,
            "exp": now + LEGACY_KEY_SECONDS,
        }
        return jwt.encode(claims, secret, algorithm="HS256")

    return StoredKeys(
        private_key=pem.decode(),
        kid=secrets.token_hex(16),
        jwt_secret=secret,
        publishable_key=f"sb_publishable_{secrets.token_urlsafe(24)}",
        secret_key=f"sb_secret_{secrets.token_urlsafe(24)}",
        anon_key=legacy("anon"),
        service_role_key=legacy("service_role"),
    )


def _b64(raw: bytes) -> str:
    return jwt.utils.base64url_encode(raw).decode()

"""Signatures as Standard Webhooks 1.0.0 has them (github.com/standard-webhooks/standard-webhooks, spec).

`webhook-signature` holds one `v1,<base64>` for each key, over `<id>.<timestamp>.<body>` by HMAC-SHA256: a
receiver that knows one of them is served through a change of keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key of a secret as it is shown. Raises ValueError for what is none."""
    if not secret.startswith(PREFIX):
        raise ValueError("A secret begins with whsec_.")
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("A secret is base64 after whsec_.") from error


def signed_headers(secrets: Sequence[str], *, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message. `timestamp` is in seconds of Unix time; `message` holds no dot."""
    signed = f"{message}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }

"""Signatures, held to the example of the Standard Webhooks specification and to the page for receivers."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from app.webhooks.signing import key_of, signed_headers
from tests.stack import REPOSITORY

# The secret, message and signature of the specification's own reference tests.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'


def test_a_signature_is_that_of_the_specification() -> None:
    headers = signed_headers([SECRET], message=MESSAGE, timestamp=1614265330, body=BODY)
    assert headers == {
        "webhook-id": MESSAGE,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def documented() -> Any:
    """The function that docs/webhooks.md tells receivers to use."""
    page = (REPOSITORY / "docs" / "webhooks.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    return names["is_ours"]


def test_what_receivers_are_told_to_do_finds_out_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    is_ours = documented()
    now = 1_800_000_000
    monkeypatch.setattr("time.time", lambda: float(now))
    old = "whsec_" + base64.b64encode(b"the one before it").decode()
    headers = signed_headers([SECRET, old], message="msg_1", timestamp=now, body=BODY)
    assert is_ours(SECRET, headers, BODY)
    assert is_ours(old, headers, BODY)
    assert not is_ours(SECRET, headers, BODY + b" ")
    assert not is_ours(SECRET, {**headers, "webhook-id": "msg_2"}, BODY)
    assert not is_ours(SECRET, {**headers, "webhook-timestamp": str(now - 1)}, BODY)
    assert not is_ours("whsec_" + base64.b64encode(b"another").decode(), headers, BODY)
    late = signed_headers([SECRET], message="msg_1", timestamp=now - 301, body=BODY)
    assert not is_ours(SECRET, late, BODY)


@pytest.mark.parametrize("secret", ["", "abc", "whsec_%%%", "whsec_a"])
def test_what_is_no_secret_is_said(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        key_of(secret)

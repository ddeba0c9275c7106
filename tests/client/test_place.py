"""Which server a command talks to, as whom: what can be none is refused before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.client.credentials import Logins
from app.client.place import choose_server, token_source
from app.errors import VersoError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    return Logins.of_this_machine({"VERSO_CONFIG_DIR": str(tmp_path)})


@pytest.mark.parametrize(
    "address",
    [
        *("http://[::1", "http://\udcff", "https://", "http://x:port", "http://a b", "http://x:99999"),
        *("http://..", f"http://{'a' * 64}", "https://me:word@x", "https://x/?y", "https://x/#y"),
    ],
    ids=ascii,
)
def test_what_is_no_address_is_told(logins: Logins, address: str) -> None:
    with pytest.raises(VersoError, match="is no server's address") as refused:
        choose_server(address, place=None, environment={}, logins=logins)
    assert refused.value.code == "no_server"


@pytest.mark.parametrize(
    "address", ["http://[::1]:8000/", "https://bücher.example", "https://x.example/verso/"], ids=ascii
)
def test_what_is_one_is_taken_without_its_last_slash(logins: Logins, address: str) -> None:
    assert choose_server(address, place=None, environment={}, logins=logins) == address.rstrip("/")


@pytest.mark.parametrize("token", ["é", "\udcff", "a\nb", "a b"], ids=ascii)
def test_a_token_that_can_be_none_is_told(logins: Logins, token: str) -> None:
    with pytest.raises(VersoError, match="VERSO_TOKEN") as refused:
        token_source("http://x", environment={"VERSO_TOKEN": token}, logins=logins)
    assert refused.value.code == "not_signed_in"
    assert token not in refused.value.sentence

"""Which keyring of the system is used, and what happens when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringError

from app.client.vault import Vault, system_ring
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Working(KeyringBackend):
    """A keyring that keeps things, until it is locked."""

    priority = 5.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringError("the keyring is locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringError("the keyring is locked")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring])
def test_a_keyring_that_keeps_nothing_is_none(backend: type[KeyringBackend]) -> None:
    keyring.set_keyring(backend())
    assert system_ring() is None


def test_what_is_written_opens_only_with_the_key_of_the_keyring(tmp_path: Path) -> None:
    backend = Working()
    keyring.set_keyring(backend)
    vault = Vault(tmp_path, find_ring=system_ring)
    vault.write("a", b"secret")
    assert b"secret" not in (tmp_path / "a").read_bytes()
    assert vault.read("a") == b"secret"
    # One small key, whatever the number and the length of what is kept: some keyrings hold little.
    assert [len(key) for key in backend.kept.values()] == [44]

    backend.locked = True
    with pytest.raises(VersoError) as closed:
        vault.read("a")
    assert closed.value.code == "not_signed_in"
    backend.locked, backend.kept = False, {}
    with pytest.raises(VersoError, match="can't be asked"):
        vault.read("a")


def test_a_keyring_that_refuses_to_keep_a_key_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    backend = Working()
    backend.locked = True
    keyring.set_keyring(backend)
    with pytest.raises(VersoError) as refused:
        Vault(tmp_path, find_ring=system_ring).write("a", b"secret")
    assert refused.value.code == "login_not_stored"
    assert not [each for each in tmp_path.iterdir() if b"secret" in each.read_bytes()]
    assert not (tmp_path / "a").exists()

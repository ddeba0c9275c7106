"""Files with secrets: 0600, replaced whole, encrypted where the system has a keyring to keep the key in.

A keyring (Keychain, Credential Locker, Secret Service, KWallet) keeps one key of Verso's, and the files are
encrypted with it: sessions are longer than some keyrings hold, and change every hour. Without a keyring the
files are readable by their owner only, as those of ssh and git are.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SERVICE = "verso"
ACCOUNT = "logins"
LOCK_SECONDS = 60.0
_SEALED = b"verso-sealed-1\n"


class KeyRing(Protocol):
    """Where the key is kept: the part of `keyring` that is used."""

    def get_password(self, service: str, username: str) -> str | None:
        """What is kept under a name."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep something under a name."""


class Vault:
    """A directory of secret files. `find_ring` gives the keyring, or None when there is none to be used."""

    def __init__(self, directory: Path, *, find_ring: Callable[[], KeyRing | None]) -> None:
        self.directory = directory
        self._find_ring = find_ring

    @cached_property
    def _ring(self) -> KeyRing | None:
        # Looked for when it is needed: finding it costs more than most commands.
        return self._find_ring()

    @property
    def is_sealed(self) -> bool:
        """Whether what is written is encrypted."""
        return self._ring is not None

    def read(self, name: str) -> bytes | None:
        """A file's content; None when there is none. Raises VersoError `not_signed_in` if unreadable."""
        try:
            data = (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(name, str(error)) from None
        return self._opened(name, data) if data.startswith(_SEALED) else data

    def write(self, name: str, data: bytes) -> None:
        """Replace a file in one step: a reader sees the old one or the new one. Raises VersoError."""
        written = self.directory / f".{name}.{secrets.token_hex(4)}"
        sealed = self._sealed(data)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(sealed)
                file.flush()
                # A refresh token that is lost is a session that is lost.
                os.fsync(file.fileno())
            written.replace(self.directory / name)
        except OSError as error:
            written.unlink(missing_ok=True)
            raise self._unwritable(error) from None

    def remove(self, name: str) -> None:
        """Remove a file, if it is there. Raises VersoError `login_not_stored`."""
        try:
            (self.directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """No other process and no other thread changes this file meanwhile; a killed one's lock ends with it.

        Raises VersoError `login_busy` after LOCK_SECONDS, `login_not_stored`.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite's lock works alike on every system.
            lock = sqlite3.connect(
                self.directory / f"{name}.lock", timeout=LOCK_SECONDS, isolation_level=None
            )
        except (OSError, sqlite3.OperationalError) as error:
            raise self._unwritable(error) from None
        try:
            try:
                lock.execute("begin exclusive")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise self._unwritable(error) from None
                raise VersoError(
                    "login_busy", "Another `verso` is signing in or out. Wait for it, and try again."
                ) from None
            yield
        finally:
            lock.close()

    def _unwritable(self, error: Exception) -> VersoError:
        why = getattr(error, "strerror", None) or error
        return VersoError(
            "login_not_stored",
            f"{self.directory} can't be written ({why}). Mend that, or set VERSO_CONFIG_DIR.",
        )

    def _sealed(self, data: bytes) -> bytes:
        if self._ring is None:
            return data
        from cryptography.fernet import Fernet  # noqa: PLC0415 - only who has a keyring pays for it

        key = self._ring.get_password(SERVICE, ACCOUNT)
        if key is None:
            # Two first sign-ins at once must not make two keys.
            with self.locked("key"):
                key = self._ring.get_password(SERVICE, ACCOUNT)
                if key is None:
                    key = Fernet.generate_key().decode()
                    self._ring.set_password(SERVICE, ACCOUNT, key)
        return _SEALED + Fernet(key).encrypt(data)

    def _opened(self, name: str, data: bytes) -> bytes:
        from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415 - only who has a keyring pays for it

        key = None if self._ring is None else self._ring.get_password(SERVICE, ACCOUNT)
        if key is None:
            raise _unreadable(name, "the keyring that keeps its key can't be asked here")
        try:
            return Fernet(key).decrypt(data.removeprefix(_SEALED))
        except (InvalidToken, ValueError):
            raise _unreadable(name, "the keyring has another key") from None


def system_ring() -> KeyRing | None:
    """The system's keyring, or None when it has none, or none that keeps anything."""
    # Slow to load, and of no use to a command that finds its login in a plain file.
    import keyring  # noqa: PLC0415
    from keyring.errors import KeyringError  # noqa: PLC0415

    class Careful:
        """The keyring of this session. Its own failures are an unreadable login, not a trace."""

        def get_password(self, service: str, username: str) -> str | None:
            try:
                return keyring.get_password(service, username)
            except KeyringError:
                return None

        def set_password(self, service: str, username: str, password: str) -> None:
            try:
                keyring.set_password(service, username, password)
            except KeyringError as error:
                raise VersoError(
                    "login_not_stored", f"The keyring refuses to keep a key ({error})."
                ) from None

    backend = keyring.get_keyring()
    # `fail` and `null` have no priority to speak of; a chain is worth what its best link is.
    chained = getattr(backend, "backends", [backend])
    usable = [each for each in chained if each.priority >= 1]
    return Careful() if usable else None


def _unreadable(name: str, why: str) -> VersoError:
    return VersoError(
        "not_signed_in",
        f"The stored login ({name}) can't be read: {why}. Run `verso login` again, or set VERSO_TOKEN.",
    )

"""The accounts of another system, as its CSV or JSON tells them: read with patience, taken with care.

What isn't understood is told with its line and left out; nothing is guessed that gives somebody a right. Only
the plain words for yes make an address a verified one, and only a bcrypt or argon2 hash a password.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 64 * 1024 * 1024
"""The most bytes of a file."""
_FIELDS = {
    "id": ("id", "user_id", "uid", "uuid"),
    "email": ("email", "e-mail", "mail", "email_address"),
    "name": ("name", "display_name", "full_name"),
    "username": ("username", "handle", "login", "user"),
    "roles": ("roles", "role"),
    "verified": ("verified", "email_verified", "is_verified", "email_confirmed", "confirmed"),
    "password_hash": (
        "password_hash",
        "hashed_password",
        "encrypted_password",
        "bcrypt",
        "argon2",
        "password",
    ),
}
_YES = frozenset({"true", "yes", "y", "1", "t"})
_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\\\]]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*")
_LONGEST_EMAIL = 255
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")
# What GoTrue checks: argon2i and argon2id of version 19.
_ARGON2 = re.compile(r"\$argon2id?\$v=19\$m=\d+,t=\d+,p=\d+(,\w+=[^,$]*)*\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+=*")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONGEST_NAME = 200


class OldUser(msgspec.Struct, frozen=True, kw_only=True):
    """One account of the old system."""

    line: int
    """Its line in a CSV, its place in a JSON list: from 1."""
    id: str | None
    email: str
    """In lower case."""
    name: str | None
    username: str | None
    roles: list[str]
    verified: bool
    """Whether the old system had proof that the address is theirs."""
    password_hash: str | None
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """All that the old system's files may call them."""
        return [each for each in (self.name, self.username, self.id, self.email) if each]


class LeftOutUser(msgspec.Struct, frozen=True):
    """A line that becomes no account, and why."""

    line: int
    why: str


def read_users(data: bytes) -> tuple[list[OldUser], list[LeftOutUser]]:
    """The users of a file: a JSON list (or `{"users": […]}`), or CSV with a header.

    Raises VersoError `bad_users_file` when it is neither.
    """
    if len(data) > LONGEST:
        raise VersoError("bad_users_file", f"The file has more than {LONGEST // 1024 // 1024} MiB. Split it.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise VersoError("bad_users_file", "The file is no UTF-8 text.") from None
    users: list[OldUser] = []
    left_out: list[LeftOutUser] = []
    for line, row in _rows(text):
        read = _user(line, row)
        if isinstance(read, str):
            left_out.append(LeftOutUser(line, read))
        else:
            users.append(read)
    # An address is one account's, an id one person's: which of two lines is meant can't be told from here,
    # and whoever shows the older system's token for an id must not become somebody else of the same id.
    emails, ids = _lines_of(users, "email"), _lines_of(users, "id")
    kept: list[OldUser] = []
    for user in users:
        if others := _others(emails, user.email, user.line):
            left_out.append(LeftOutUser(user.line, f"its address {user.email} is also in line {others}"))
        elif others := _others(ids, user.id, user.line):
            left_out.append(LeftOutUser(user.line, f"its id {user.id} is also in line {others}"))
        else:
            kept.append(user)
    return kept, sorted(left_out, key=lambda each: each.line)


def _lines_of(users: list[OldUser], field: str) -> dict[str | None, list[int]]:
    found: dict[str | None, list[int]] = {}
    for user in users:
        found.setdefault(getattr(user, field), []).append(user.line)
    return found


def _others(lines: dict[str | None, list[int]], value: str | None, line: int) -> int | None:
    """Another line that says the same, or None."""
    return None if value is None else next((each for each in lines[value] if each != line), None)


def _rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    if text.lstrip()[:1] in {"[", "{"}:
        try:
            found = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise VersoError("bad_users_file", f"The JSON can't be read ({error}).") from None
        rows = found.get("users") if isinstance(found, dict) else found
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise VersoError("bad_users_file", "The JSON must be a list of objects, or have one as `users`.")
        yield from enumerate(rows, 1)
        return
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if not any(name and _key(name) in _FIELDS["email"] for name in reader.fieldnames or ()):
            raise VersoError(
                "bad_users_file",
                "The file is no JSON, and as CSV its first line names no column `email`. "
                "Columns are divided by commas.",
            )
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name is not None}
    except csv.Error as error:
        raise VersoError("bad_users_file", f"The CSV can't be read ({error}).") from None


def _user(line: int, row: dict[str, Any]) -> OldUser | str:
    """A row as a user, or why it is none."""
    by_key = {_key(str(name)): value for name, value in row.items()}
    given = {
        field: next((by_key[key] for key in keys if by_key.get(key) not in (None, "", [])), None)
        for field, keys in _FIELDS.items()
    }
    email = str(given["email"] or "").strip().lower()
    if not email:
        return "it has no e-mail address"
    if len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        return f"{email[:100]!r} is no e-mail address"
    notes: list[str] = []
    return OldUser(
        line=line,
        id=_text(given["id"]),
        email=email,
        name=_text(given["name"]),
        username=_text(given["username"]),
        roles=_roles(given["roles"]),
        verified=str(given["verified"]).strip().lower() in _YES,
        password_hash=_hash(given["password_hash"], notes),
        notes=notes,
    )


def _hash(given: Any, notes: list[str]) -> str | None:
    text = str(given or "").strip()
    if _BCRYPT.fullmatch(text) or _ARGON2.fullmatch(text):
        return text
    if text:
        # Never said: it may be the password itself.
        notes.append(
            "what it has for a password is no bcrypt, argon2i or argon2id hash, and is not taken over"
        )
    return None


def _roles(given: Any) -> list[str]:
    parts = given if isinstance(given, list) else re.split(r"[,;|]", str(given or ""))
    return [text for each in parts if (text := _text(each))]


def _text(given: Any) -> str | None:
    return (
        (_SPACES.sub(" ", str(given)).strip()[:_LONGEST_NAME].strip() or None) if given is not None else None
    )


def _key(name: str) -> str:
    return name.strip().lower().replace(" ", "_")

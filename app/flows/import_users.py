"""Accounts of another system become accounts of Supabase Auth: made once, never changed, confirmed if proven.

1. Every account that is there is read; who is there already (by the id that an earlier run noted, or by
   address) stays as they are.
2. The others are made, with the old id where it is a UUID: history that was put back from a bundle knows them
   by it. An address that wasn't verified stays unconfirmed, and its password is left behind: else who signed
   up there with somebody else's address would have a way in once that person confirms it.
3. The names that the old files use are matched with handles, for `verso import idse --people`. A name counts
   only for an account of this import, or when the old system had verified the address.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError
from app.flows.old_users import LeftOutUser
from app.flows.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.flows.old_users import OldUser
    from app.progress import Progress
    from app.supabase.accounts import Account, Accounts

AT_ONCE = 8
MOST_ROLES = 20
"""They travel in each of the account's tokens."""
_HANDLE = re.compile(r"[^a-z0-9_.-]+")


class ImportedUser(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one user."""

    line: int
    email: str
    name: str | None
    outcome: str
    """`made`, `there` (already), or `refused` (by Auth)."""
    account: str | None
    handle: str | None
    confirmed: bool
    """Whether the address counts as proven: of those that are there, what Auth says."""
    password: bool
    """Whether the old password works on."""
    roles: list[str]
    """As the old system says. They give no rights here: those are each project's."""
    notes: list[str]


class UsersImported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import of users did, or would do."""

    dry_run: bool
    made: int
    there: int
    refused: int
    users: list[ImportedUser]
    left_out: list[LeftOutUser]
    people: dict[str, str]
    """Names of the old files, and whose handle each is."""
    unclear: list[str]
    """Names that more than one account has; nobody gets them."""


async def import_users(
    accounts: Accounts,
    users: Sequence[OldUser],
    left_out: Sequence[LeftOutUser],
    *,
    dry_run: bool,
    progress: Progress,
) -> UsersImported:
    """Make accounts of those who have none. Raises VersoError; what was made till then is there next time.

    `progress` is told how many of how many are done: Auth hashes a password for each, some ten a second.
    """
    known = await accounts.all()
    by_email = {each.email.lower(): each for each in known if each.email}
    by_old_id = {each.old_id: each for each in known if each.old_id is not None}
    by_id = {each.id: each for each in known}
    finished = 0

    async def one(user: OldUser) -> tuple[ImportedUser, bool]:
        there = by_old_id.get(user.id or "") or by_email.get(user.email) or by_id.get(_uuid(user.id) or "")
        if there is not None:
            return _there(user, there)
        return (_planned(user) if dry_run else await _made(accounts, user)), True

    async def told_of(user: OldUser) -> tuple[ImportedUser, bool]:
        nonlocal finished
        done = await one(user)
        finished += 1
        progress(finished, len(users), "accounts")
        return done

    done = await side_by_side(told_of, users, most=AT_ONCE)
    handles = await accounts.handles([each.account for each, _ in done if each.account])
    told = [msgspec.structs.replace(each, handle=handles.get(each.account or "")) for each, _ in done]
    names = [
        (name, each.handle)
        for user, each, (_, is_theirs) in zip(users, told, done, strict=True)
        if is_theirs and each.handle
        for name in user.names
    ]
    people, unclear = _people(names)
    outcomes = [each.outcome for each in told]
    return UsersImported(
        dry_run=dry_run,
        made=outcomes.count("made"),
        there=outcomes.count("there"),
        refused=outcomes.count("refused"),
        users=told,
        left_out=list(left_out),
        people=people,
        unclear=unclear,
    )


def people_file(done: UsersImported) -> str:
    """The names and handles as `verso import idse --people` reads them."""
    lines = [f"{name} = {handle}" for name, handle in done.people.items()]
    unclear = [f"# more than one account: {name}" for name in done.unclear]
    return "\n".join(["# Written by `verso users import`.", *lines, *unclear]) + "\n"


def _people(names: list[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    found: dict[str, set[str]] = {}
    spelled: dict[str, str] = {}
    for name, handle in names:
        # What the file's form can't hold is no name there: `#` begins a remark.
        if "#" in name:
            continue
        found.setdefault(name.casefold(), set()).add(handle)
        spelled.setdefault(name.casefold(), name)
    people = {spelled[key]: next(iter(each)) for key, each in found.items() if len(each) == 1}
    return dict(sorted(people.items())), sorted(spelled[key] for key, each in found.items() if len(each) > 1)


def _there(user: OldUser, account: Account) -> tuple[ImportedUser, bool]:
    """Somebody who is there, and whether that is surely who the old system meant."""
    notes = list(user.notes)
    is_theirs = user.id is not None and account.old_id == user.id
    if not is_theirs:
        is_theirs = user.verified and account.email.lower() == user.email and bool(account.email_confirmed_at)
        if not is_theirs:
            notes.append(
                "an account has that address or id already; nothing proves that it is the same person"
            )
    return (
        ImportedUser(
            line=user.line,
            email=user.email,
            name=user.name,
            outcome="there",
            account=account.id,
            handle=None,
            confirmed=account.email_confirmed_at is not None,
            password=False,
            roles=user.roles,
            notes=notes,
        ),
        is_theirs,
    )


def _planned(user: OldUser) -> ImportedUser:
    notes = list(user.notes)
    if not user.verified:
        notes.append(
            "the address was not verified, so it has to be confirmed first, and no password comes along"
        )
    return ImportedUser(
        line=user.line,
        email=user.email,
        name=user.name,
        outcome="made",
        account=None,
        handle=None,
        confirmed=user.verified,
        password=user.verified and user.password_hash is not None,
        roles=user.roles,
        notes=notes,
    )


async def _made(accounts: Accounts, user: OldUser) -> ImportedUser:
    planned = _planned(user)
    fields: dict[str, Any] = {
        "email": user.email,
        "email_confirm": user.verified,
        "app_metadata": {"verso_imported": {"id": user.id, "roles": user.roles[:MOST_ROLES]}},
        "user_metadata": {
            key: value
            for key, value in {
                "full_name": user.name,
                "handle": _HANDLE.sub("-", user.username.lower()) if user.username else None,
            }.items()
            if value
        },
    }
    if (own_id := _uuid(user.id)) is not None:
        fields["id"] = own_id
    hashed = {"password_hash": user.password_hash} if planned.password else {}
    try:
        try:
            account = await accounts.add(**fields, **hashed)
        except VersoError as error:
            # An Auth that can't check this kind of hash (the embedded one: argon2): they get in another way.
            if not hashed or error.detail.get("reason") != "validation_failed":
                raise
            account = await accounts.add(**fields)
            planned = msgspec.structs.replace(
                planned, password=False, notes=[*planned.notes, f"without its password: {error.sentence}"]
            )
    except VersoError as error:
        if error.code != "account_refused" or error.detail.get("reason") in {
            "401",
            "403",
            "not_admin",
            "bad_jwt",
        }:
            raise
        return msgspec.structs.replace(planned, outcome="refused", notes=[*planned.notes, error.sentence])
    return msgspec.structs.replace(planned, account=account.id)


def _uuid(text: str | None) -> str | None:
    try:
        return str(uuid.UUID(text or ""))
    except ValueError:
        return None

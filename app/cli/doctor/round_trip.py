"""A version written and read back by the service's own code, and the refusal to overwrite its bytes."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.cli.doctor.connection import APPLY
from app.cli.doctor.examination import Check, UnwellError
from app.errors import VersoError
from app.flows.add_change import Item, add_change
from app.flows.read_content import read_content
from app.model import hash_of, version_canonical
from app.supabase.blobs import Blobs
from app.supabase.cache import BlobCache
from app.supabase.intake import Intake
from app.supabase.ledger import Ledger
from app.supabase.pool import BUCKET

if TYPE_CHECKING:
    from app.cli.doctor.examination import Examined
    from app.model import VersionRead
    from app.supabase.identity import Actor

PROJECT = "verso-doctor"
PATH = "round-trip.md"
MOST_BYTES = 1024
DIFFERENT = (
    "Something between here and storage changes bytes (a proxy, a filter, another Storage). Find it before "
    "documents go through it."
)


async def round_trip(examined: Examined) -> str:
    """Write a version, read it back by hash and by path, find it in the history."""
    actor = _actor(examined)
    ledger = Ledger(examined.pool)
    cache = BlobCache(None, limit=MOST_BYTES)
    try:
        await _project(ledger, actor)
        examined.content = f"{datetime.now(UTC).isoformat()} {secrets.token_hex(8)}\n".encode()
        await _write(ledger, Blobs(examined.pool, cache), actor, examined.content)
        examined.written = read = await ledger.read_file(actor.token, project=PROJECT, path=PATH)
        # Without the cache's memory of the upload: the bytes are to come out of storage.
        if await _read(examined, read) != examined.content:
            raise UnwellError("What was read back isn't what was written.", fix=DIFFERENT)
        history = await ledger.list_versions(
            actor.token, document=read.version.document, before=None, page_size=1
        )
    finally:
        cache.close()
    if [version.hash for version in history] != [read.version.hash]:
        raise UnwellError("The history doesn't begin with the version that was just written.", fix=APPLY)
    if hash_of(version_canonical(read.version)) != read.version.hash:
        raise UnwellError(
            "The database and this Verso compute different hashes for one version.",
            fix="The schema in the database was altered, or is from another Verso. " + APPLY,
        )
    return f"Version {read.version.number} of {PATH} in the project {PROJECT} was written and read back."


async def overwriting(examined: Examined) -> str:
    """The object that a version points to can be neither overwritten nor removed."""
    read = examined.written
    if read is None:  # the needed check wrote one
        raise AssertionError("unreachable")
    name = read.copies[0].name
    overwritten = await examined.ask(
        "POST",
        f"/storage/v1/object/{BUCKET}/{name}",
        as_user=True,
        headers={"x-upsert": "true", "Content-Type": "text/plain"},
        content=b"something else",
    )
    await examined.ask("DELETE", f"/storage/v1/object/{BUCKET}", as_user=True, json={"prefixes": [name]})
    if overwritten.is_success or await _read(examined, read) != examined.content:
        raise UnwellError(
            "An object that a version points to could be overwritten or removed.",
            fix="The trigger verso_refuse_overwrite on storage.objects or the foreign key from public.blobs "
            f"is missing, or a policy allows UPDATE or DELETE there. {APPLY}",
        )
    return "What a version points to can't be overwritten or removed."


def _actor(examined: Examined) -> Actor:
    if examined.actor is None:  # the needed check found out
        raise AssertionError("unreachable")
    return examined.actor


async def _project(ledger: Ledger, actor: Actor) -> None:
    try:
        project = await ledger.read_project(actor.token, project=PROJECT)
    except VersoError as error:
        if error.code != "project_not_found":
            raise
        about = "Written by `verso doctor` and by nobody else. It may be archived; then the doctor says so."
        await ledger.create_project(actor.token, slug=PROJECT, name="Verso doctor", description=about)
        return
    if project.archived_at is not None:
        raise UnwellError(
            f"Your project {PROJECT} is archived and takes no writes.",
            fix=f'Reopen it: PATCH /v1/projects/{PROJECT} with {{"archived": false}}.',
        )


async def _write(ledger: Ledger, blobs: Blobs, actor: Actor, content: bytes) -> None:
    try:
        read = await ledger.read_file(actor.token, project=PROJECT, path=PATH)
        base: str | None = read.version.hash
    except VersoError as error:
        if not error.code.startswith("document_"):
            raise
        base = error.detail.get("head")
    with Intake(None, limit=MOST_BYTES) as intake:
        await intake.write(content)
        upload = await intake.finish()
    await add_change(
        ledger,
        blobs,
        actor=actor,
        project=PROJECT,
        items=[Item(path=PATH, base=base, media_type="text/markdown", upload=upload)],
        message="verso doctor: a round trip",
        idempotency_key=None,
        concurrency=1,
    )


async def _read(examined: Examined, read: VersionRead) -> bytes:
    """The version's bytes out of storage, through a cache that has never seen them."""
    cache = BlobCache(None, limit=MOST_BYTES)
    try:
        with await read_content(Blobs(examined.pool, cache), actor=_actor(examined), read=read) as content:
            return await content.read()
    finally:
        cache.close()


CHECKS = (
    Check("round trip", ("profile", "bucket"), round_trip),
    Check("overwriting", ("round trip",), overwriting),
)

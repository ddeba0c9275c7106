"""What must be refused is refused: to strangers, to direct writes, to uploads outside of one's projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from app.cli.doctor.connection import APPLY
from app.cli.doctor.examination import Check, UnwellError
from app.supabase.pool import BUCKET

if TYPE_CHECKING:
    from app.cli.doctor.examination import Examined

TABLES = ("projects", "members", "documents", "blobs", "changes", "versions", "events", "profiles")
HISTORY = ("changes", "versions", "blobs")
# No object of Verso's is ever called that: it has no project's folder.
OUTSIDE = "verso-doctor-outside"
NOWHERE = "00000000-0000-0000-0000-000000000000"


async def strangers(examined: Examined) -> str:
    """The publishable key alone reads nothing."""
    for table in TABLES:
        response = await examined.ask("GET", f"/rest/v1/{table}?select=*&limit=1")
        if response.status_code == httpx.codes.OK:
            raise UnwellError(
                f"A stranger may ask for the table {table}.",
                fix=f"As postgres: revoke all on public.{table} from anon; and find out who granted it. "
                "The migrations grant nothing to anon.",
            )
    response = await examined.ask("GET", "/rest/v1/x", headers={"Accept-Profile": "private"})
    if response.status_code != httpx.codes.NOT_ACCEPTABLE:
        raise UnwellError(
            "The schema `private` is exposed over HTTP.",
            fix="Remove it from the exposed schemas (Settings → API): its functions have owners' rights.",
        )
    return f"Strangers read none of {len(TABLES)} tables, and `private` isn't exposed."


async def direct_writes(examined: Examined) -> str:
    """History is safe from a signed-in person who goes around the functions."""
    for table in HISTORY:
        attempts = {
            "insert into": ("POST", f"/rest/v1/{table}", {"project_id": NOWHERE}),
            "update": ("PATCH", f"/rest/v1/{table}?project_id=eq.{NOWHERE}", {"project_id": NOWHERE}),
            "delete from": ("DELETE", f"/rest/v1/{table}?project_id=eq.{NOWHERE}", None),
        }
        for verb, (method, target, body) in attempts.items():
            response = await examined.ask(method, target, as_user=True, json=body)
            if response.status_code not in {401, 403}:
                raise UnwellError(
                    f"A signed-in person may {verb} the table {table}.",
                    fix=f"As postgres: revoke all on public.{table} from authenticated; "
                    f"grant select on public.{table} to authenticated; and find out who granted more.",
                )
    return "Nobody writes history except through the functions."


async def bucket(examined: Examined) -> str:
    """The bucket is there, private, and closed outside of one's projects."""
    response = await examined.ask(
        "POST",
        f"/storage/v1/object/{BUCKET}/{OUTSIDE}",
        as_user=True,
        headers={"Content-Type": "text/plain"},
        content=b"This should have been refused.",
    )
    if response.status_code == httpx.codes.OK:
        raise UnwellError(
            "A signed-in person may upload outside of their projects.",
            fix="Look for further INSERT policies on storage.objects: one of them allows it. "
            f"Then remove the object {BUCKET}/{OUTSIDE}.",
        )
    if "Bucket not found" in response.text:
        raise UnwellError(f"The bucket `{BUCKET}` is missing.", fix=_make_bucket())
    if "row-level security" not in response.text:
        raise UnwellError(
            f"Storage answers an upload that must be refused with something else: {response.text[:200]}",
            fix="Look at Storage's log. The API needs Storage with row-level security on storage.objects.",
        )
    public = await examined.ask("GET", f"/storage/v1/object/public/{BUCKET}/{OUTSIDE}")
    if "Bucket not found" not in public.text:
        raise UnwellError(
            f"The bucket `{BUCKET}` is public: whoever knows a name reads the bytes.",
            fix=f"Make it private (Storage → {BUCKET} → Edit), or as postgres: {_make_bucket()}",
        )
    return f"The bucket `{BUCKET}` is there, private, and takes nothing from outside of a project."


def _make_bucket() -> str:
    return (
        # What a person is told to run, not what anybody runs here.
        "insert into storage.buckets (id, name, public) values ('documents', 'documents', false) "  # noqa: S608
        "on conflict (id) do update set public = false; "
        f"If nothing of Verso is there yet: {APPLY}"
    )


CHECKS = (
    Check("strangers", ("schema",), strangers),
    Check("direct writes", ("schema", "token"), direct_writes),
    Check("bucket", ("token",), bucket),
)

"""`verso doctor` finds what is missing or wrong in a real Supabase, and says how to mend it."""

from __future__ import annotations

import contextlib
import json
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.cli.doctor import Credentials, examination
from app.settings import Settings
from tests.cli.running import REPOSITORY, clean_environment, verso
from tests.client.inside import run_inside
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from click.testing import Result

    from app.cli.doctor.examination import Finding

PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("doctor")) as running:
        yield running


@pytest.fixture
async def person(stack: Stack) -> str:
    """The e-mail address of an account of the test's own."""
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    await stack.user(email, PASSWORD)
    return email


async def examine(stack: Stack, email: str | None = None, **variables: str) -> dict[str, Finding]:
    """The findings by check, with some of the settings changed."""
    settings = Settings.from_environment(stack.env | variables)
    password = variables.get("PASSWORD", PASSWORD)
    findings = await examination.examine(settings, Credentials(email=email, password=password))
    return {finding.check: finding for finding in findings}


def inside(*arguments: str, **variables: str) -> Result:
    """The command in this process."""
    return run_inside(("doctor", *arguments), clean_environment(**variables), REPOSITORY)


def remedy(finding: Finding) -> str:
    assert finding.fix is not None
    return finding.fix


def failed(findings: dict[str, Finding]) -> list[str]:
    return [name for name, finding in findings.items() if finding.state == "failed"]


@contextlib.asynccontextmanager
async def broken(stack: Stack, breaking: str, mending: str) -> AsyncIterator[None]:
    """The database as somebody's mistake left it, and mended afterwards."""
    await stack.psql(breaking, role="supabase_admin")
    await stack.psql("notify pgrst, 'reload schema'")
    try:
        yield
    finally:
        await stack.psql(mending, role="supabase_admin")


async def test_a_sound_supabase_passes_every_check_again_and_again(stack: Stack, person: str) -> None:
    for number in (1, 2):
        findings = await examine(stack, person)
        assert {finding.state for finding in findings.values()} == {"passed"}
        assert f"Version {number} of" in findings["round trip"].sentence


async def test_the_round_trip_really_wrote_a_version(stack: Stack, person: str) -> None:
    await examine(stack, person)
    rows = await stack.psql(
        "select c.message, v.path from public.versions v "
        "join public.changes c on c.project_id = v.project_id and c.sequence = v.change_sequence "
        "join public.projects p on p.id = v.project_id join auth.users u on u.id = p.created_by "
        "where p.slug = 'verso-doctor' and u.email = $1",
        person,
    )
    assert [tuple(row) for row in rows] == [("verso doctor: a round trip", "round-trip.md")]


def test_the_command_ends_with_0_when_all_is_well_and_with_1_when_not(stack: Stack) -> None:
    sound = verso("doctor", "--json", **stack.env)
    assert sound.returncode == 0
    assert json.loads(sound.stdout)["ok"] is True
    unsound = inside("--json", **{**stack.env, "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_other"})
    assert unsound.exit_code == 1
    assert json.loads(unsound.stdout)["ok"] is False


async def test_an_access_token_does_instead_of_a_password(stack: Stack, person: str) -> None:
    session = await stack.user()
    done = verso("doctor", "--json", **stack.env, VERSO_DOCTOR_TOKEN=session["access_token"])
    assert done.returncode == 0
    assert session["access_token"] not in done.stdout


async def test_without_a_person_it_checks_what_a_stranger_can(stack: Stack) -> None:
    findings = await examine(stack)
    assert findings["schema"].state == "passed"
    assert findings["round trip"].state == "skipped"
    assert "--email" in findings["sign-in"].sentence


async def test_sessions_that_the_functions_may_not_see(stack: Stack, person: str) -> None:
    grants = ("select on auth.sessions", "pg_read_all_data")
    breaking = "; ".join(f"revoke {grant} from postgres" for grant in grants)
    mending = "; ".join(f"grant {grant} to postgres" for grant in reversed(grants))
    async with broken(stack, breaking, mending):
        findings = await examine(stack, person)
    assert failed(findings) == ["agents' sessions"]
    assert "grant select on auth.sessions" in remedy(findings["agents' sessions"])


async def test_addresses_that_count_unseen_are_warned_of(
    stack: Stack, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = examination.Examined.ask

    async def hosted(self: examination.Examined, method: str, target: str, **more: Any) -> httpx.Response:
        if target == "/auth/v1/health":
            answer = await asked(self, method, target, **more)
            return httpx.Response(200, json={"version": "v2.190.0"}, headers={"date": answer.headers["date"]})
        return await asked(self, method, target, **more)

    monkeypatch.setattr(examination.Examined, "ask", hosted)
    findings = await examine(stack, person)
    assert [name for name, finding in findings.items() if finding.state == "warned"] == ["addresses"]
    assert "Confirm email" in remedy(findings["addresses"])
    assert failed(findings) == []


def test_people_get_marks_and_a_closing_sentence(stack: Stack) -> None:
    done = inside(**stack.env)
    assert "✓ schema" in done.stdout
    assert "No check failed" in done.stdout


def test_without_settings_it_says_which_one_is_missing(tmp_path: Path) -> None:
    done = inside("--data", str(tmp_path))
    assert done.exit_code == 2
    assert "SUPABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_address_where_nothing_answers(stack: Stack) -> None:
    findings = await examine(stack, SUPABASE_URL="http://127.0.0.1:9")
    assert failed(findings) == ["address"]
    assert "SUPABASE_URL" in remedy(findings["address"])


class _Site(BaseHTTPRequestHandler):
    """Says the same page to everybody."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<p>Welcome!</p>")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def test_an_address_where_something_else_answers(stack: Stack) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as site:
        Thread(target=site.serve_forever, daemon=True).start()
        try:
            findings = await examine(stack, SUPABASE_URL=f"http://127.0.0.1:{site.server_port}")
        finally:
            site.shutdown()
    assert failed(findings) == ["key", "signing keys"]
    assert "not as Supabase does" in findings["key"].sentence
    assert "it wasn't JSON" in findings["signing keys"].sentence


async def test_a_wrong_key(stack: Stack) -> None:
    findings = await examine(stack, SUPABASE_PUBLISHABLE_KEY="sb_publishable_of_another_project")
    assert failed(findings)[0] == "key"
    assert "SUPABASE_PUBLISHABLE_KEY" in remedy(findings["key"])


@pytest.mark.parametrize("name", ["secret_key", "service_role_key"])
async def test_a_secret_key_where_a_publishable_one_belongs(stack: Stack, name: str) -> None:
    findings = await examine(stack, SUPABASE_PUBLISHABLE_KEY=getattr(stack, name))
    assert failed(findings)[0] == "key"
    assert "never needs a secret" in remedy(findings["key"])


async def test_the_old_anon_key_is_as_good_as_the_publishable_one(stack: Stack) -> None:
    findings = await examine(stack, SUPABASE_PUBLISHABLE_KEY=stack.anon_key)
    assert failed(findings) == []


async def test_a_wrong_password(stack: Stack, person: str) -> None:
    findings = await examine(stack, person, PASSWORD="incorrect-horse")
    assert failed(findings) == ["sign-in"]
    assert "password" in remedy(findings["sign-in"])
    assert "incorrect-horse" not in str(findings)


async def test_a_token_of_another_issuer(stack: Stack, person: str) -> None:
    findings = await examine(stack, person, VERSO_JWT_ISSUER="https://elsewhere.example/auth/v1")
    assert failed(findings) == ["token"]
    assert "VERSO_JWT_ISSUER" in remedy(findings["token"])
    assert stack.supabase_url in remedy(findings["token"])


async def test_a_database_without_the_migrations(tmp_path: Path) -> None:
    with Stack(tmp_path / "empty", migrations=None) as empty:
        await empty.user("someone@example.com", PASSWORD)
        findings = await examine(empty, "someone@example.com")
    assert findings["schema"].state == "failed"
    assert "db push" in remedy(findings["schema"])
    assert "verso migrate" in remedy(findings["schema"])
    assert findings["bucket"].state == "failed"
    assert "storage.buckets" in remedy(findings["bucket"])


@pytest.mark.parametrize(
    ("version", "advice"), [("20200101", "db push"), ("29990101", "Upgrade Verso")], ids=["older", "newer"]
)
async def test_a_schema_of_another_age(stack: Stack, version: str, advice: str) -> None:
    [row] = await stack.psql("select public.schema_version() as it")
    replace = "create or replace function public.schema_version() returns text language sql stable as"
    async with broken(stack, f"{replace} $$ select '{version}' $$", f"{replace} $$ select '{row['it']}' $$"):
        findings = await examine(stack)
    assert failed(findings) == ["schema"]
    assert advice in remedy(findings["schema"])


async def test_a_public_bucket(stack: Stack, person: str) -> None:
    public = "update storage.buckets set public = {} where id = 'documents'"
    async with broken(stack, public.format("true"), public.format("false")):
        findings = await examine(stack, person)
    assert failed(findings) == ["bucket"]
    assert "is public" in findings["bucket"].sentence
    assert "private" in remedy(findings["bucket"])


async def test_a_policy_that_lets_everybody_upload_anywhere(stack: Stack, person: str) -> None:
    async with broken(
        stack,
        'create policy "too wide" on storage.objects for insert to authenticated with check (true)',
        'drop policy "too wide" on storage.objects',
    ):
        findings = await examine(stack, person)
    assert failed(findings) == ["bucket"]
    assert "INSERT policies" in remedy(findings["bucket"])


async def test_a_table_that_strangers_may_read(stack: Stack) -> None:
    async with broken(
        stack, "grant select on public.versions to anon", "revoke select on public.versions from anon"
    ):
        findings = await examine(stack)
    assert failed(findings) == ["strangers"]
    assert "revoke all on public.versions from anon" in remedy(findings["strangers"])


@pytest.mark.parametrize(
    ("right", "rule"),
    [("insert", "with check (true)"), ("update", "using (true)"), ("delete", "using (true)")],
    ids=["insert", "update", "delete"],
)
async def test_history_that_a_signed_in_person_may_write(
    stack: Stack, person: str, right: str, rule: str
) -> None:
    async with broken(
        stack,
        f"grant {right} on public.blobs to authenticated; "
        f"create policy w on public.blobs for {right} to authenticated {rule}",
        f"revoke {right} on public.blobs from authenticated; drop policy w on public.blobs",
    ):
        findings = await examine(stack, person)
    assert failed(findings) == ["direct writes"]
    assert f"{right}" in findings["direct writes"].sentence


async def test_an_account_without_a_profile(stack: Stack) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    async with broken(
        stack,
        "alter table auth.users disable trigger verso_follow_account",
        "alter table auth.users enable trigger verso_follow_account",
    ):
        await stack.user(email, PASSWORD)
    findings = await examine(stack, email)
    assert failed(findings) == ["profile"]
    assert "add_profile" in remedy(findings["profile"])


async def test_objects_that_can_be_overwritten(tmp_path: Path) -> None:
    with Stack(tmp_path / "soft") as soft:
        await soft.user("someone@example.com", PASSWORD)
        await soft.psql(
            "alter table storage.objects disable trigger verso_refuse_overwrite; "
            "create policy u on storage.objects for update to authenticated using (true) with check (true)",
            role="supabase_admin",
        )
        findings = await examine(soft, "someone@example.com")
    assert failed(findings) == ["overwriting"]
    assert "verso_refuse_overwrite" in remedy(findings["overwriting"])


async def test_an_archived_doctor_project_says_how_to_reopen_it(stack: Stack, person: str) -> None:
    await examine(stack, person)
    await stack.psql(
        "update public.projects p set archived_at = now() from auth.users u "
        "where u.id = p.created_by and u.email = $1 and p.slug = 'verso-doctor'",
        person,
    )
    findings = await examine(stack, person)
    assert failed(findings) == ["round trip"]
    assert "Reopen it" in remedy(findings["round trip"])

"""`verso audit`: operators read the trail and let old entries go, with the secret key and not without it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from tests.api.world import sign_in
from tests.cli.running import verso
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def audit(stack: Stack, *arguments: str, key: str | None = None):
    environment = {"SUPABASE_URL": stack.supabase_url, "SUPABASE_SECRET_KEY": key or stack.secret_key}
    return verso("audit", *arguments, **environment)


def test_operators_read_everybodys_sessions_in_three_forms(stack: Stack) -> None:
    people = [sign_in(stack, name)["user"]["id"] for name in ("one", "two", "three")]
    shown = audit(stack, "--kind", "account", "--json", "--limit", "3")
    assert shown.returncode == 0, shown.stderr
    entries = json.loads(shown.stdout)["items"]
    assert [each["person"]["id"] for each in entries] == people[::-1]
    assert [each["kind"] for each in entries] == ["account.session_started"] * 3
    rows = list(csv.DictReader(io.StringIO(audit(stack, "--csv", "--limit", "2").stdout)))
    assert [row["person"] for row in rows] == people[:0:-1]
    handle = entries[0]["person"]["handle"]
    text = audit(stack, "--person", handle).stdout
    assert f"account.session_started {handle} from 127.0.0.1 (database)" in text
    assert "nothing" in audit(stack, "--until", "2020-01-01").stdout


def test_a_publishable_key_reads_nothing_and_what_is_wrong_is_said(stack: Stack) -> None:
    assert audit(stack, key=stack.publishable_key).returncode == 1
    assert audit(stack, key=" ").returncode == 2
    wrong = audit(stack, key="sb_secret_wrong")
    assert (wrong.returncode, "doesn't take the API key" in wrong.stderr) == (1, True)
    assert audit(stack, "--project", "a-slug").returncode == 2
    kind = audit(stack, "--kind", "acount")
    assert (kind.returncode, "account.session_started" in kind.stderr) == (1, True)


def test_old_entries_go_and_young_ones_stay(stack: Stack) -> None:
    asyncio.run(
        stack.psql(
            """insert into private.audit_entries (kind, witness, at, last_at)
               select 'account.session_started', 'database', t, t from generate_series(now() - interval '20 years', now() - interval '1 year', '6 hours') t"""
        )
    )
    young = audit(stack, "--expire-before", "2099-01-01")
    assert (young.returncode, "90 days" in young.stderr) == (1, True)
    gone = audit(stack, "--expire-before", "2025-01-01", "--json")
    assert json.loads(gone.stdout)["expired"] > 20_000
    assert audit(stack, "--until", "2024-12-31").stdout.startswith("There is nothing")
    assert len(json.loads(audit(stack, "--kind", "audit.expired", "--json").stdout)["items"]) == 3

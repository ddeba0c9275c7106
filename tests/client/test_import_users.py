"""`verso users import` against the real Auth: made once, nothing confirmed unproven, passwords that work on."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import bcrypt
import httpx
import pytest

from app.client.idse.metadata import read_people
from tests.api.world import sign_in
from tests.client.test_import_commands import Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack import Stack

ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b0WlqYm1yBhZuFmsFKfTLvZbhA"


@pytest.fixture
def operator(stack: Stack, tmp_path: Path) -> Shell:
    home = tmp_path / "home"
    home.mkdir()
    return Shell(home, SUPABASE_URL=stack.supabase_url, SUPABASE_SECRET_KEY=stack.secret_key)


def file_of(tmp_path: Path, *users: dict[str, Any]) -> str:
    path = tmp_path / "users.json"
    path.write_text(json.dumps(users))
    return str(path)


def token(stack: Stack, email: str, password: str) -> httpx.Response:
    return httpx.post(
        f"{stack.supabase_url}/auth/v1/token?grant_type=password",
        headers={"apikey": stack.publishable_key},
        json={"email": email, "password": password},
        trust_env=False,
    )


def account(stack: Stack, account_id: str) -> dict[str, Any]:
    answer = httpx.get(
        f"{stack.supabase_url}/auth/v1/admin/users/{account_id}",
        headers={"apikey": stack.secret_key},
        trust_env=False,
    )
    return dict(answer.json())


def count(stack: Stack) -> int:
    answer = httpx.get(
        f"{stack.supabase_url}/auth/v1/admin/users", headers={"apikey": stack.secret_key}, trust_env=False
    )
    return int(answer.headers["x-total-count"])


def address(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}@example.com"


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def test_people_are_told_made_once_and_sign_in_with_their_old_password(stack, operator, tmp_path):
    own_id, proven, unproven, argon = str(uuid.uuid4()), address("zoe"), address("bob"), address("ann")
    file = file_of(
        tmp_path,
        {"id": own_id, "email": proven, "name": f"Zo\u00eb {own_id[:6]}", "username": "Zoe A", "verified": True,
         "roles": ["admin"], "password_hash": hashed("old-secret-1")},
        {"id": 7, "email": unproven, "name": "Bob", "verified": False, "password_hash": hashed("old-secret-2")},
        {"email": argon, "verified": "yes", "password_hash": ARGON2},
        {"name": "nobody"},
    )  # fmt: skip
    before = count(stack)
    planned = operator.json("users", "import", file, "--dry-run")
    assert (planned["dry_run"], planned["made"], len(planned["left_out"])) == (True, 3, 1)
    assert count(stack) == before

    people = tmp_path / "people"
    done = operator.json("users", "import", file, "--people", str(people))
    assert [each["outcome"] for each in done["users"]] == ["made"] * 3
    assert [(each["confirmed"], each["password"]) for each in done["users"]] == [
        (True, True), (False, False), (True, False),
    ]  # fmt: skip
    assert "argon2" in done["users"][2]["notes"][0]
    assert done["users"][0]["account"] == own_id

    assert token(stack, proven, "old-secret-1").status_code == 200
    assert token(stack, unproven, "old-secret-2").status_code == 400
    zoe, bob = account(stack, own_id), account(stack, done["users"][1]["account"])
    assert "email_confirmed_at" in zoe
    assert "email_confirmed_at" not in bob
    assert zoe["app_metadata"]["verso_imported"] == {"id": own_id, "roles": ["admin"]}
    handle = done["users"][0]["handle"]
    assert handle.startswith("zoe-a")
    assert read_people(people.read_text())[f"zo\u00eb {own_id[:6]}"] == handle

    again = operator.json("users", "import", file, "--people", str(people))
    assert (again["made"], again["there"]) == (0, 3)
    assert again["people"] == {
        name: who for name, who in done["people"].items() if who != done["users"][2]["handle"]
    } | {argon: done["users"][2]["handle"]}
    assert count(stack) == before + 3


def test_somebody_who_is_there_stays_as_they_are(stack, operator, tmp_path):
    there = sign_in(stack, "there")["user"]
    file = file_of(
        tmp_path,
        {"email": there["email"].upper(), "name": "An impostor", "password_hash": hashed("mine-now")},
    )
    done = operator.json("users", "import", file)
    assert (done["there"], done["people"]) == (1, {})
    assert "nothing proves" in done["users"][0]["notes"][0]
    assert token(stack, there["email"], "mine-now").status_code == 400
    assert token(stack, there["email"], "correct-horse").status_code == 200
    assert "verso_imported" not in account(stack, there["id"])["app_metadata"]
    verified = file_of(tmp_path, {"email": there["email"], "name": f"T {there['id']}", "verified": True})
    assert f"T {there['id']}" in operator.json("users", "import", verified)["people"]


def test_a_name_that_two_have_is_nobodys(operator, tmp_path):
    name = f"Sam {uuid.uuid4().hex[:6]}"
    file = file_of(
        tmp_path,
        *({"email": address("sam"), "name": each, "verified": True} for each in (name, name.upper())),
    )
    done = operator.json("users", "import", file)
    assert (done["unclear"], [each for each in done["people"] if each.startswith("Sam")]) == ([name], [])


def test_one_whom_auth_refuses_is_told_and_the_others_are_made(stack, operator, tmp_path):
    gone = sign_in(stack, "gone")["user"]
    httpx.request(
        "DELETE",
        f"{stack.supabase_url}/auth/v1/admin/users/{gone['id']}",
        headers={"apikey": stack.secret_key},
        json={"should_soft_delete": True},
        trust_env=False,
    ).raise_for_status()
    good = address("good")
    file = file_of(tmp_path, {"id": gone["id"], "email": address("again")}, {"email": good})
    done = operator.json("users", "import", file, code=1)
    assert [each["outcome"] for each in done["users"]] == ["refused", "made"]
    assert "Supabase Auth refused" in done["users"][0]["notes"][-1]
    assert done["users"][1]["email"] == good


def test_the_key_is_needed_and_never_told(stack, tmp_path):
    shell = Shell(tmp_path, SUPABASE_URL=stack.supabase_url)
    file = file_of(tmp_path, {"email": address("x")})
    assert shell("users", "import", file).returncode == 2
    wrong = shell("users", "import", file, "--secret-key-stdin", stdin="sb_secret_wrong\n")
    assert (wrong.returncode, "doesn't take that key" in wrong.stderr) == (1, True)
    plain = shell(
        "users", "import", file, "--secret-key-stdin", "--supabase", "http://example.com", stdin="k\n"
    )
    assert (plain.returncode, "https" in plain.stderr) == (2, True)
    assert "sb_secret_wrong" not in wrong.stdout + wrong.stderr

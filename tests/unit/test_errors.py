"""Codes: raised in Python, mapped to a status once, explained in docs/errors.md. tests/schema compares the SQL."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from app.api.problems import PROBLEMS, problem_body
from app.errors import VersoError
from tests.stack import MIGRATIONS, REPOSITORY

ROW = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \| .+ \| .+ \|$", re.MULTILINE)
# The API stores the bytes itself: the database's 422 is there storage's 502.
STORED_BY_THE_API = {"blob_missing", "blob_unproven", "blob_altered"}


# What reads and writes repositories on people's machines tells its errors there; of what the service does with
# a repository, GitSync answers for all of them (tests/api/test_git.py breaks one). A file of old users is read by an
# operator's command only.
NOT_ANSWERED = {"local", "cli", "client", "git", "old_users.py"}


@cache
def service_modules() -> tuple[ast.Module, ...]:
    return tuple(
        ast.parse(path.read_text())
        for path in (REPOSITORY / "app").rglob("*.py")
        if not NOT_ANSWERED & set(path.parts)
    )


@cache
def named_anywhere() -> frozenset[str]:
    """Every string of the service that could be a code, and every code of the migrations."""
    found = {
        node.value
        for module in service_modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    found |= {f"{service}_unavailable" for service in ("storage", "supabase")}  # faults.from_transport
    in_sql = re.findall(r"'([a-z_]+)'", "".join(path.read_text() for path in MIGRATIONS.glob("*.sql")))
    return frozenset(found | set(in_sql))


def raised() -> set[str]:
    return {
        node.args[0].value
        for module in service_modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "VersoError"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_code_that_is_raised_has_a_status() -> None:
    assert len(raised()) > 30
    assert raised() <= set(PROBLEMS)


def test_the_page_explains_every_code_with_its_status() -> None:
    rows = {code: int(status) for code, status in ROW.findall((REPOSITORY / "docs/errors.md").read_text())}
    assert set(rows) == set(PROBLEMS)
    told = {code: status for code, status in rows.items() if code not in STORED_BY_THE_API}
    assert told == {code: PROBLEMS[code].status for code in told}


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_a_code_is_raised_somewhere_and_has_a_title(code: str) -> None:
    assert code in named_anywhere()
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert 400 <= PROBLEMS[code].status < 600
    assert PROBLEMS[code].title[0].isupper()
    assert not PROBLEMS[code].title.endswith(".")


def test_details_never_hide_the_problem_itself() -> None:
    body = problem_body(VersoError("stale_base", "No.", status=200, title="fine", head="h"), "id")
    assert (body["status"], body["title"], body["head"]) == (412, PROBLEMS["stale_base"].title, "h")


def test_an_unknown_code_is_a_fault_of_ours() -> None:
    assert problem_body(VersoError("invented", "No."), None)["status"] == 500

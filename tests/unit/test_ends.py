"""How commands end when the system, not Verso, says no: one sentence, the documented exit code, no trace."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli.commands import verso
from app.cli.exits import telling
from app.cli.system import refusal_of
from app.client.auth import Session, Where
from app.client.credentials import Login, Logins
from app.client.vault import Vault

FULL = Path("/dev/full")


def run(*arguments: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    """A command as a shell runs it, with its redirections."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-m", "app.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=kept,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["completion", "bash"]])
def test_output_onto_a_full_disk_is_one_sentence(arguments: list[str]) -> None:
    ended = run(*arguments, shell=f">{FULL}")
    assert ended.returncode == 1
    assert ended.stderr.startswith("verso: The output can't be written (No space left on device).")
    assert ended.stderr.count("\n") == 1


def test_a_service_that_cannot_begin_says_why_and_no_more() -> None:
    settings = {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_PUBLISHABLE_KEY": "k"}
    ended = CliRunner().invoke(
        verso, ["serve", "--port", "0"], env=settings | {"VERSO_CACHE_DIR": "/dev/null/x"}
    )
    assert ended.exit_code == 1
    assert ended.output == (
        "verso: The system refuses it: /dev/null/x: Not a directory. Mend that, and run the command again.\n"
    )


def test_what_is_no_bundle_is_told_in_a_line() -> None:
    ended = CliRunner().invoke(verso, ["verify", __file__])
    assert ended.exit_code == 1
    assert ended.output.startswith("the file: This is no bundle")


def test_streams_that_the_shell_closed_are_nobodys_files() -> None:
    ended = run("whoami", "--json", "--api", "http://127.0.0.1:1", shell="<&- >&-")
    assert (ended.returncode, ended.stdout, ended.stderr) == (5, "", "")


def test_a_failure_that_cannot_be_told_as_json_is_told_on_stderr() -> None:
    ended = run("whoami", "--json", "--api", "http://127.0.0.1:1", shell=f">{FULL}")
    assert ended.returncode == 5
    assert ended.stderr.startswith("verso: http://127.0.0.1:1 can't be reached")
    assert ended.stderr.count("\n") == 1


def test_what_the_system_refuses_is_told_with_its_name() -> None:
    refused = refusal_of(OSError(errno.EROFS, "Read-only file system", "/srv/x"))
    assert refused is not None
    assert refused.code == "system_refused"
    assert "/srv/x: Read-only file system" in refused.sentence
    assert refusal_of(BrokenPipeError(errno.EPIPE, "Broken pipe")) is None


def test_of_sqlite_the_disks_refusals_only(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError) as unopened:
        sqlite3.connect(tmp_path / "nowhere" / "x.db")
    refused = refusal_of(unopened.value)
    assert refused is not None
    assert refused.code == "system_refused"
    with pytest.raises(sqlite3.OperationalError) as wrong:
        sqlite3.connect(":memory:").execute("select from")
    assert refusal_of(wrong.value) is None


def test_a_bug_still_shows_its_trace() -> None:
    with pytest.raises(ZeroDivisionError), telling(as_json=False):
        _ = 1 // 0


def test_names_that_are_no_text_are_refused_or_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    odd = os.fsdecode(b"a\xffb")
    with pytest.raises(SystemExit) as ended, telling(as_json=False):
        odd.encode()
    assert ended.value.code == 2
    assert "is not text in UTF-8" in capsys.readouterr().err
    with telling(as_json=True) as out:
        out.tell({odd: odd})
        out.line([odd], "")
    *document, line = capsys.readouterr().out.splitlines()
    assert json.loads("".join(document)) == {odd: odd}
    assert os.fsencode(json.loads(line)[0]) == b"a\xffb"


def test_a_wrong_command_line_is_json_where_json_was_asked_for() -> None:
    ended = CliRunner().invoke(verso, ["log", "--limit", "few", "--json"])
    assert ended.exit_code == 2
    assert json.loads(ended.output)["error"]["code"] == "bad_usage"
    assert "Did you mean 'status'?" in CliRunner().invoke(verso, ["stauts"]).output


def test_interrupted_at_a_question_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise click.Abort

    monkeypatch.setattr("app.cli.members.connect", interrupt)
    ended = CliRunner().invoke(verso, ["members", "list", "x"])
    assert ended.exit_code == 130
    assert "interrupted" in ended.output


def test_who_could_not_sign_out_everywhere_can_try_again(tmp_path: Path) -> None:
    logins = Logins(Vault(tmp_path / "logins", find_ring=lambda: None))
    session = Session(access_token="x", refresh_token="y", expires_at=time.time() + 3600)
    where = Where(supabase_url="http://127.0.0.1:9", publishable_key="k")
    server = "http://127.0.0.1:8"
    logins.store(Login(server=server, where=where, session=session, account="1", name="zoe"))
    out = ["logout", "--api", server]
    ended = CliRunner().invoke(verso, [*out, "--everywhere"], env={"VERSO_CONFIG_DIR": str(tmp_path)})
    assert (ended.exit_code, logins.servers()) == (5, [server])
    ended = CliRunner().invoke(verso, out, env={"VERSO_CONFIG_DIR": str(tmp_path)})
    assert (ended.exit_code, logins.servers()) == (0, [])
    assert "could not be ended" in ended.output


def test_every_command_has_its_place_in_the_help() -> None:
    told = CliRunner().invoke(verso, ["--help"]).output
    rest = told[told.index("─ Commands ─") :]
    assert [line.split()[1] for line in rest.splitlines() if line.startswith("│") and line[2] != " "] == [
        "completion"
    ]


SUPABASE = {"SUPABASE_URL": "http://supabase.example", "SUPABASE_SECRET_KEY": "sb_secret_x"}


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["import", "bundle", __file__], {}, "https:// only"),
        (["users", "import", __file__], {"SUPABASE_SECRET_KEY": "sb_secret_\u00e9"}, "no secret key"),
        # Whoever names a person shall not have everybody's entries go.
        (["audit", "--expire-before", "2025-01-01", "--person", "zoe"], {}, "--expire-before is for all"),
        (["audit", "--csv", "--json"], {}, "--json or for --csv"),
        (["users", "import", __file__, "--people", "/nowhere/people"], {}, "no folder /nowhere"),
        (["export", "bundle", "--force", "/dev/null", "-p", "x"], {}, "/dev/null is no ordinary file"),
        (["verify", __file__, "--rows-only"], {}, "a file is checked whole"),
    ],
)
def test_what_an_operator_must_not_do_is_refused_before_anything_is_asked(
    arguments: list[str], variables: dict[str, str], said: str
) -> None:
    ended = CliRunner().invoke(verso, arguments, env=SUPABASE | variables)
    assert ended.exit_code == 2
    assert said in ended.output

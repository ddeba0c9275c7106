"""What commands print: characters, never control sequences of whoever wrote a message or a name."""

from __future__ import annotations

import json

import pytest

from app.cli.characters import safe_lines
from app.cli.exits import telling
from app.cli.following import told_event
from app.cli.working_told import Status, told_status
from app.errors import VersoError

EVIL = "\x1b]0;mine\x07\x9b2J\r\u202e"
EVENT = {
    "sequence": 1,
    "kind": "change.added",
    "actor": {"handle": "zoe"},
    "at": "2026-11-22T10:00:00Z",
    "change": {"sequence": 1, "message": EVIL, "version_count": 0, "versions": []},
}


def test_what_others_wrote_moves_nobodys_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    with telling(as_json=False) as out:
        out.tell(EVIL, f"first\n\t{EVIL}")
        out.line(EVENT, told_event(EVENT))
        out.note(EVIL)
    with pytest.raises(SystemExit), telling(as_json=False):
        raise VersoError("bad_usage", EVIL)
    said, told = capsys.readouterr()
    harmless = "␛]0;mine␇<U+009B>2J␍<RIGHT-TO-LEFT OVERRIDE>"
    assert said.splitlines()[:2] == ["first", f"\t{harmless}"]
    assert said.splitlines()[2].endswith(f"#1 : {harmless}")
    assert told.splitlines() == [harmless, f"verso: {harmless}"]


def test_people_are_sent_to_a_command_where_programs_are_sent_to_an_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sentence = "There is no such project, or you are not a member of it. GET /v1/projects lists yours."
    for as_json in (False, True):
        with pytest.raises(SystemExit), telling(as_json=as_json):
            raise VersoError("project_not_found", sentence)
    said, told = capsys.readouterr()
    assert (
        told
        == "verso: There is no such project, or you are not a member of it. `verso whoami` lists yours.\n"
    )
    assert json.loads(said)["error"]["sentence"] == sentence


def test_programs_get_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    with telling(as_json=True) as out:
        out.tell({"message": EVIL})
    assert json.loads(capsys.readouterr().out) == {"message": EVIL}


def test_a_files_name_is_one_line_of_a_status() -> None:
    status = Status(
        folder="/x", project="p", change=1, edited=[], added=[], deleted=[], moved={}, conflicts=[],
        problems={"a\n  conflict  b": "can't be a document"}, unfinished=False,
    )  # fmt: skip
    assert "  left out  a␊  conflict  b can't be a document\n" in told_status(status)


def test_lines_stay_lines() -> None:
    assert safe_lines("a\n\n b\n") == "a\n\n b\n"

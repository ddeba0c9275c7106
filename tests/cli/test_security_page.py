"""SECURITY.md promises nothing that isn't attacked: the tests and settings that it names are there."""

from __future__ import annotations

import re

import msgspec

from app.settings import Settings, variable_name
from tests.cli.running import REPOSITORY

PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")


def test_the_tests_that_it_names_are_there() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", PAGE))
    assert len(named) > 15
    assert [path for path in sorted(named) if not (REPOSITORY / path).is_file()] == []


def test_each_promise_names_who_attacks_it() -> None:
    promises = PAGE.partition("## What each layer promises")[2].partition("## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 8
    assert [row[:60] for row in rows if "`tests/" not in row.split("|")[3]] == []


def test_the_settings_that_it_names_are_settings() -> None:
    known = {variable_name(field.name) for field in msgspec.structs.fields(Settings)}
    assert set(re.findall(r"`((?:VERSO|SUPABASE)_[A-Z_]+)`", PAGE)) <= known


def test_the_readme_leads_there() -> None:
    assert "](SECURITY.md)" in (REPOSITORY / "README.md").read_text(encoding="utf-8")

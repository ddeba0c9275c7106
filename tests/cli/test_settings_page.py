"""docs/settings.md lists the settings, all of them and no others, with the defaults that they have."""

from __future__ import annotations

import re

import msgspec

from app.cli.commands import verso
from app.settings import Settings, variable_name
from tests.cli.running import REPOSITORY

ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+) \| (.+) \|$", re.MULTILINE)
PAGE = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
SETTINGS, _, COMMANDS = PAGE.partition("## Of the commands only")


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    return "not set" if field.default is None else f"`{field.default}`"


def test_every_setting_is_listed_with_its_default() -> None:
    listed = {name: default for name, default, _ in ROW.findall(SETTINGS)}
    assert listed == {
        variable_name(field.name): default_of(field) for field in msgspec.structs.fields(Settings)
    }


def test_the_variables_of_the_commands_are_listed() -> None:
    listed = {(name, command) for name, command, _ in ROW.findall(COMMANDS)}
    settings = {variable_name(field.name) for field in msgspec.structs.fields(Settings)}
    assert listed == {
        (option.envvar, f"`verso {name}`")
        for name, command in verso.commands.items()
        for option in command.params
        if option.envvar is not None and option.envvar not in settings
    }

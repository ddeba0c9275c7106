"""docs/settings.md lists the settings, all of them and no others, with the defaults that they have."""

from __future__ import annotations

import re

import click
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


def variables(command: click.Command) -> set[str]:
    """What a command's options, and those of the commands below it, read from the environment."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = {option.envvar for option in command.params if isinstance(option.envvar, str)}
    return own.union(*(variables(each) for each in below))


def test_the_variables_of_the_commands_are_listed() -> None:
    listed = {
        (name, each)
        for name, which, _ in ROW.findall(COMMANDS)
        for each in re.findall(r"`verso (\w+)`", which)
    }
    settings = {variable_name(field.name) for field in msgspec.structs.fields(Settings)}
    assert listed == {
        (variable, name) for name, each in verso.commands.items() for variable in variables(each) - settings
    }


def test_the_variables_that_every_client_command_reads_are_listed() -> None:
    sources = "".join(each.read_text(encoding="utf-8") for each in REPOSITORY.glob("app/client/*.py"))
    read = set(re.findall(r'get\("(VERSO_\w+)"', sources))
    assert read
    assert read == {name for name, which, _ in ROW.findall(COMMANDS) if "`verso" not in which}

"""The maps in packages' docstrings name what there is: a reader goes by them."""

from __future__ import annotations

import ast
import re

import pytest

from tests.stack import REPOSITORY

APP = REPOSITORY / "app"
WHOLE = (
    "",
    "client",
    "client/bundle",
    "client/looking",
    "model",
    "sources",
    "sources/git",
    "supabase",
    "text",
)
"""Packages whose maps name every module."""
PARTS = ("api", "client/idse", "flows", "git/read", "web", "webhooks")
_COLUMN = re.compile(r"^(?: {4})?((?:`?[a-z_]+(?:\.py)?`?(?:, )?)+)(?: {2,}|$)", re.MULTILINE)


def here(package: str) -> set[str]:
    found = {each.stem for each in (APP / package).glob("*.py")} - {"__init__", "__main__"}
    return found | {each.parent.name for each in (APP / package).glob("*/__init__.py")}


def named(package: str) -> set[str]:
    words = ast.get_docstring(ast.parse((APP / package / "__init__.py").read_text()), clean=False) or ""
    names = [name for entry in _COLUMN.findall(words) for name in re.findall(r"[a-z_]+(?:\.py)?", entry)]
    return {name.removesuffix(".py") for name in names}


@pytest.mark.parametrize("package", WHOLE)
def test_a_map_names_every_module(package: str) -> None:
    assert here(package) - named(package) == set()


@pytest.mark.parametrize("package", WHOLE + PARTS)
def test_a_map_names_nothing_that_is_not_there(package: str) -> None:
    assert named(package) - here(package) == set()

"""What the project's pages name is there: files, headings, commands with their options, settings, routes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click
import msgspec
import pytest

from app.cli.commands import verso
from app.settings import Settings, variable_name
from tests.cli.running import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("fixtures/*/README.md"),
        *REPOSITORY.glob("tests/benchmarks/*.md"),
    ]
)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
OURS = re.compile(r"`((?:app|tests|fixtures|storage_schema|\.ci)/[\w./-]*)`")
VARIABLE = re.compile(r"(?<![\w{])(?:VERSO|SUPABASE)_[A-Z_]*[A-Z]\b(?!\*)")
COMMAND = re.compile(r"(?:^|[`/(;|&]|\$\(|[A-Z]=\S+) *verso ([a-z][^\n`]*)", re.MULTILINE)
ROUTE = re.compile(r"(?<!/auth)/v1(/(?!\$)[^\s`\"'|)?;:]*)")
APP = REPOSITORY / "app"
REFUSED = re.compile(r"VersoError\(\s*\"([a-z_]+)\"")
CODE = re.compile(r"`([a-z_]+)`")
MAKE = {"SUPABASE_PORT"}
"""Variables of the Makefile, not of the environment."""

on_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def headings(page: Path) -> set[str]:
    """The anchors that a reader of the page on the web can be led to: GitHub's rule."""
    found = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def commands(page: Path) -> Iterator[list[str]]:
    """The words behind each `verso` of a page, up to a remark, a pipe or the line's end."""
    for line in COMMAND.findall(page.read_text(encoding="utf-8").replace("\\\n", " ")):
        quoted = re.sub(r"'[^']*'|\"[^\"]*\"|<[^>]*>", "X", line.replace("\\|", "/"))
        yield re.split(r"\s#|&&|\s[|><]|[);,…]", quoted)[0].split()


def unknown(words: list[str], command: click.Command = verso) -> str | None:
    """What of the words isn't in the command line, or None. `add/list` stands for each of both."""
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = [command.commands.get(name) for name in words[0].split("/")]
        if None in found:
            return words[0]
        if len(found) > 1:
            return next(filter(None, (unknown(words[1:], each) for each in found if each)), None)
        command, words = found[0] or command, words[1:]
    known = {"--help", "--version"}.union(*(param.opts for param in command.params))
    given = [re.match(r"\[?(--?[a-z][a-z-]*)", word) for word in words[: [*words, "--"].index("--")]]
    return next((each[1] for each in given if each and each[1] not in known), None)


@on_each_page
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, heading in LINK.findall(page.read_text(encoding="utf-8")):
        file = page.parent / unquote(target) if target else page
        assert file.exists(), target
        assert not heading or heading in headings(file), f"{target}#{heading}"


@on_each_page
def test_every_file_of_ours_that_a_page_names_is_there(page: Path) -> None:
    named = OURS.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not (REPOSITORY / path).exists() and "<" not in path] == []


@on_each_page
def test_every_command_of_a_page_is_one(page: Path) -> None:
    assert [words for words in commands(page) if unknown(words)] == []


@on_each_page
def test_every_variable_of_a_page_is_in_the_page_of_settings(page: Path) -> None:
    listed = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    named = set(VARIABLE.findall(page.read_text(encoding="utf-8"))) - MAKE
    settings = {variable_name(field.name) for field in msgspec.structs.fields(Settings)}
    assert {name for name in named - settings if not name.startswith("VERSO_TEST_")} <= set(
        re.findall(r"^\| `(\w+)`", listed, re.MULTILINE)
    )


@on_each_page
def test_every_route_of_a_page_is_one(page: Path) -> None:
    matrix = (REPOSITORY / "tests" / "attacks" / "matrix.txt").read_text(encoding="utf-8")
    routes = set(re.findall(r"^[A-Z]+ +/v1(/\S+)", matrix, re.MULTILINE)) | {"/sign-in"}
    known = [
        re.compile(re.sub(r"\{path[^}]*\}", ".+", re.sub(r"\{(?!path)\w+\}", "[^/]+", each)))
        for each in routes
    ]
    named = [path for path in ROUTE.findall(page.read_text(encoding="utf-8")) if "…" not in path]
    assert [path for path in named if not any(each.fullmatch(path) for each in known)] == []


def test_the_pages_of_errors_and_of_the_command_line_explain_what_the_client_refuses() -> None:
    docs = REPOSITORY / "docs"
    told = (docs / "errors.md").read_text(encoding="utf-8")
    told += (docs / "cli.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    explained = {
        code for row in re.findall(r"^\| (`[a-z_`, ]+`) \|", told, re.MULTILINE) for code in CODE.findall(row)
    }
    sources = [each for part in ("cli", "client", "git", "sources") for each in APP.glob(f"{part}/**/*.py")]
    refused = {code for each in sources for code in REFUSED.findall(each.read_text(encoding="utf-8"))}
    assert len(refused) > 60
    assert refused - explained == set()


def test_the_readme_is_found_to_have_links_and_commands() -> None:
    readme = REPOSITORY / "README.md"
    assert len(LINK.findall(readme.read_text(encoding="utf-8"))) >= 5
    assert len(list(commands(readme))) >= 5

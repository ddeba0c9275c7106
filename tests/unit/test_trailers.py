"""Co-authors are those whom Git's own parser of trailers finds."""

from __future__ import annotations

import random
import subprocess

import pytest

from app.trailers import MAX_CO_AUTHORS, CoAuthor, co_authors

LINES = (
    "",
    "",
    "A sentence.",
    "Co-authored-by: Ann <ann@example.com>",
    "co-AUTHORED-by:Bob <bob@example.com>",
    "Co-authored-by: Cy",
    "  continued <cy@example.com>",
    "Signed-off-by: Dee <dee@example.com>",
    "(cherry picked from commit abc)",
    "Fixes: 12",
    "not a trailer at all",
    "https://example.com/a",
    "   ",
    "key with blank: value",
)


def named(key: str, value: str) -> bool:
    return key.casefold() == "co-authored-by" and bool(value.strip())


def by_git(message: str) -> list[str]:
    found = subprocess.run(
        ["git", "interpret-trailers", "--parse", "--no-divider"],
        input=message.encode(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    pairs = (line.partition(":") for line in found.splitlines())
    return [value.strip() for key, _, value in pairs if named(key.strip(), value)]


@pytest.mark.parametrize("seed", range(60))
def test_the_trailers_are_those_that_git_finds(seed):
    dice = random.Random(seed)
    message = "\n".join(["Subject", *(dice.choice(LINES) for _ in range(dice.randrange(12)))]) + "\n"
    theirs = list(dict.fromkeys(by_git(message)))
    ours = [f"{each.name} <{each.email}>" if each.email else each.name for each in co_authors(message)]
    assert ours == theirs, message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", []),
        ("Co-authored-by: Ann <a@x>", []),
        ("S\n\nCo-authored-by: Ann <a@x>", [("Ann", "a@x")]),
        ("S\r\n\r\nCo-authored-by: Ann <a@x>\r\n", [("Ann", "a@x")]),
        ("S\n\nCo-authored-by: <a@x>\n", [("a@x", "a@x")]),
        ("S\n\nCo-authored-by: Ann <a@x>\nCo-authored-by: Ann B <A@x>\n", [("Ann", "a@x")]),
        ("S\n\nCo-authored-by: Ann <a@x>\n\nmore text\n", []),
        ("S\n\nCo-authored-by:\n", []),
    ],
)
def test_who_is_named(message, expected):
    assert [(each.name, each.email) for each in co_authors(message)] == expected


def test_there_is_an_end_to_them():
    message = "S\n\n" + "\n".join(f"Co-authored-by: P{n} <p{n}@x>" for n in range(500))
    assert len(co_authors(message)) == MAX_CO_AUTHORS
    assert co_authors(message)[0] == CoAuthor(name="P0", email="p0@x")


def test_a_hostile_message_takes_no_time():
    assert co_authors("Co-authored-by " + "<" * 60_000) == []
    long = "S\n\n" + "Co-authored-by: " + "<" * 60_000 + "\n" + "x" * 5
    assert co_authors(long) == []
    assert co_authors("S\n\nCo-authored-by: " + " " * 60_000 + "x>")[0].email is None

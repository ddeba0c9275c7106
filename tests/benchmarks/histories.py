"""Histories to measure with, made by a seeded generator: no file of anybody else's is needed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = [
    "the",
    "a",
    "of",
    "to",
    "and",
    "in",
    "for",
    "with",
    "on",
    "by",
    "is",
    "are",
    "was",
    "be",
    "that",
    "this",
    "it",
    "as",
    "from",
    "when",
    "now",
    "no",
    "not",
    "only",
    "also",
    "which",
    "any",
    "schema",
    "function",
    "request",
    "response",
    "header",
    "query",
    "column",
    "table",
    "view",
    "role",
    "user",
    "error",
    "message",
    "type",
    "value",
    "config",
    "option",
    "server",
    "client",
    "cache",
    "connection",
    "pool",
    "transaction",
    "index",
    "order",
    "limit",
    "filter",
    "select",
    "insert",
    "update",
    "delete",
    "upsert",
    "embed",
    "relation",
    "foreign",
    "key",
    "path",
    "parse",
    "return",
    "add",
    "fix",
    "remove",
    "change",
    "allow",
    "support",
    "improve",
    "rename",
    "show",
    "reload",
    "startup",
    "log",
    "level",
    "json",
    "text",
    "binary",
    "token",
    "claim",
    "anonymous",
    "default",
    "empty",
    "null",
    "missing",
    "invalid",
    "duplicate",
    "performance",
    "memory",
    "timeout",
    "retry",
    "listener",
    "channel",
    "socket",
    "port",
    "host",
    "version",
    "release",
    "breaking",
    "deprecated",
]
PEOPLE = tuple(
    f"@{name}" for name in ("ada", "grace", "linus", "barbara", "edsger", "margaret", "donald", "hedy")
)
KINDS = ("Added", "Fixed", "Changed", "Deprecated")


def changelog(versions: int, *, seed: int = 7, growth: float = 0.8) -> Iterator[bytes]:
    """Yield a changelog as it grows, version by version: shaped like the one of PostgREST.

    Most versions add an entry near the top (`growth`), some reword one, a few begin a release, remove an
    entry, or touch something old. 800 versions end with about 1,400 lines.
    """
    chance = random.Random(seed)
    lines = [
        "# Change Log",
        "",
        "All notable changes to this project are documented in this file.",
        "",
        "## Unreleased",
        "",
    ]
    lines += [line for kind in KINDS[:2] for line in (f"### {kind}", "")]
    for number in range(1, versions + 1):
        act = chance.random()
        entries = [at for at, line in enumerate(lines) if line.startswith(" - ")]
        recent = [at for at in entries if at < 60] or [lines.index("### Added") + 1]
        if act < growth or len(entries) < 5:
            at = chance.choice(recent) + 1
            lines[at:at] = [_entry(chance, number)] * 1 + ["   + " + _words(chance, 6, 16)] * (
                chance.random() < 0.4
            )
        elif act < growth + 0.08:
            at = chance.choice(recent)
            words = lines[at].split(" ")
            words[chance.randrange(3, len(words))] = chance.choice(WORDS)
            lines[at] = " ".join(words)
        elif act < growth + 0.12:
            head = lines.index("## Unreleased")
            lines[head : head + 1] = [
                "## Unreleased",
                "",
                "### Added",
                "",
                "### Fixed",
                "",
                f"## [{number // 10}.{number % 10}] - 2026-{number % 12 + 1:02}-01",
            ]
        elif act < growth + 0.16:
            del lines[chance.choice(recent)]
        else:
            at = chance.choice(entries)
            lines[at] += " " + _words(chance, 2, 6)
        yield ("\n".join(lines) + "\n").encode()


def _entry(chance: random.Random, number: int) -> str:
    return f" - #{number}, {_words(chance, 4, 14)} - {chance.choice(PEOPLE)}"


def _words(chance: random.Random, fewest: int, most: int) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randrange(fewest, most + 1)))

"""The people whom a message names beside its author: the trailers of its last paragraph. Pure text."""

from __future__ import annotations

import re

import msgspec

MAX_CO_AUTHORS = 100
_TRAILER = re.compile(r"([A-Za-z0-9-]+)[ \t]*:[ \t]*(.*)\Z")
_PERSON = re.compile(r"([^<>]*)<([^<>]*)>\s*\Z")
_BY_GIT = ("signed-off-by: ", "(cherry picked from commit ")


class CoAuthor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom a message names in a `Co-authored-by:` trailer."""

    name: str
    email: str | None = None


def co_authors(message: str) -> list[CoAuthor]:
    """Those named by `Co-authored-by: Name <address>`, in their order, each once; at most 100.

    Only in the last paragraph, and only when it is one of trailers as git-interpret-trailers(1) has it: all
    of its lines are, or a quarter of them with one that Git itself writes. A message's first is none.
    """
    if "co-authored-by" not in message.casefold():
        return []
    found: dict[str, CoAuthor] = {}
    for key, value in _trailers(message):
        if key.casefold() != "co-authored-by" or not value:
            continue
        person = _PERSON.match(value)
        name, email = (person[1].strip(), person[2].strip()) if person else (value, "")
        made = CoAuthor(name=name or email, email=email or None)
        if made.name and len(found) < MAX_CO_AUTHORS:
            found.setdefault(email.casefold() or name, made)
    return list(found.values())


def _trailers(message: str) -> list[tuple[str, str]]:
    lines = [line.rstrip() for line in message.rstrip().split("\n")]
    start = len(lines)
    while start and lines[start - 1]:
        start -= 1
    if start == 0:
        return []
    trailers: list[tuple[str, str]] = []
    others = by_git = 0
    for line in lines[start:]:
        trailer = _TRAILER.match(line)
        by_git += line.casefold().startswith(_BY_GIT)
        if line[0] in " \t" and trailers and not others:
            trailers[-1] = (trailers[-1][0], f"{trailers[-1][1]} {line.strip()}".strip())
        elif trailer:
            trailers.append((trailer[1], trailer[2].strip()))
        elif not line.casefold().startswith(_BY_GIT):
            others += 1
    if others and not (by_git and len(trailers) * 3 >= others):
        return []
    return trailers

"""docs/events.md names every kind of event that the migrations write, with its fields, and none else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.stack import MIGRATIONS, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

KIND = re.compile(r"'([a-z]+\.[a-z_]+)'")
ROW = re.compile(r"^\| `([a-z]+\.[a-z_]+)` \| (.+?) \| (.*?) ?\|$", re.MULTILINE)
WRITES = re.compile(r"private\.add_event\(|insert into public\.events \(")
BY_VARIABLE = {
    "project.rules_set": {
        "tags_need_approval",
        "completion_needs_approval",
        "completion_needs_document",
        "completion_needs_validation",
    }
}
"""Fields that a variable holds."""
OF_READING = {"path", "tagged"}
"""Fields that reading adds or renames (migration 2400)."""


def inside(text: str, start: int) -> str:
    """What stands in the parenthesis that opens before `start`."""
    depth, quoted = 1, False
    for at in range(start, len(text)):
        quoted ^= text[at] == "'"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    raise AssertionError(text[start : start + 200])


def parts(text: str) -> list[str]:
    """Arguments, apart."""
    found, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == "'"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not quoted and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [each.strip() for each in found]


def written() -> Iterator[tuple[str, set[str]]]:
    """Each kind that some statement writes, with its fields there."""
    for path in sorted(MIGRATIONS.glob("*.sql")):
        text = path.read_text()
        for call in WRITES.finditer(text):
            said = text[call.end() : text.index(";", call.end())]
            if call[0].startswith("private"):
                said = inside(text, call.end())
            fields: set[str] = set()
            for built in re.finditer(r"jsonb_build_object\(", said):
                fields |= {each.strip("'") for each in parts(inside(said, built.end()))[::2]}
            for kind in KIND.findall(said):
                yield kind, fields


def test_the_table_names_every_kind_with_its_fields_and_nothing_else() -> None:
    expected: dict[str, set[str]] = {kind: set(fields) for kind, fields in BY_VARIABLE.items()}
    for kind, fields in written():
        expected.setdefault(kind, set()).update(fields)
    expected["change.added"] -= {"versions"}
    expected["tag.added"] -= {"change"}
    page = (REPOSITORY / "docs" / "events.md").read_text()
    told = {
        kind: set(re.findall(r"`([a-z0-9_]+)`", fields)) - OF_READING for kind, _, fields in ROW.findall(page)
    }
    assert told == expected


def test_pages_listen_to_every_kind_that_can_happen_while_they_are_open() -> None:
    script = (REPOSITORY / "app" / "web" / "static" / "live.js").read_text()
    listened = set(
        re.findall(r'"([a-z]+\.[a-z_]+)"', script.partition("const KINDS = [")[2].partition("]")[0])
    )
    happens = {kind for kind, _ in written()} | set(BY_VARIABLE)
    assert listened == happens - {"project.added"}


def test_the_guard_sees_what_it_guards() -> None:
    kinds = dict(written())
    assert len(kinds) > 25
    assert kinds["tag.added"] == {"name", "change", "version"}
    assert {"member.added", "invitation.declined", "comment.retracted", "project.reopened"} <= set(kinds)

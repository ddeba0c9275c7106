"""What changed, who wrote it, when did it go, and back with it: a real changelog, and HTTP alone."""

from __future__ import annotations

import lzma
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api.world import Project

STREAM = Path(__file__).parents[2] / "fixtures" / "histories" / "postgrest-changelog.fast-export.xz"
PART = slice(720, 733)
LINE = "- Add config `client_error_verbosity` to customize error verbosity by @taimoorzaeem in #4088, #3980, #3824"
CAME, GONE = 4, 10
"""Numbers of the version that LINE came with, and of the first one without it."""


@pytest.fixture(scope="module")
def texts() -> list[bytes]:
    stream = lzma.decompress(STREAM.read_bytes())
    header, at = re.compile(rb"M 100644 inline CHANGELOG\.md\ndata (\d+)\n"), 0
    found: list[bytes] = []
    while len(found) < PART.stop and (said := header.search(stream, at)) is not None:
        at = said.end() + int(said[1])
        found.append(stream[said.end() : at])
    return found[PART]


@pytest.fixture
def written(project: Project, texts: list[bytes]) -> list[dict[str, Any]]:
    """Every version by one of two people, in turn."""
    versions: list[dict[str, Any]] = []
    for n, text in enumerate(texts):
        base = versions[-1]["hash"] if versions else None
        by = project.people.owner if n % 2 else project.people.editor
        versions.append(project.written("CHANGELOG.md", text, base=base, by=by))
    return versions


def test_a_reviewer_finds_who_wrote_a_line_when_it_went_and_brings_it_back(
    project: Project, written: list[dict[str, Any]]
) -> None:
    reader, document = project.people.reader, written[0]["document"]

    # What changed between two moments?
    times = {
        "since": written[CAME - 1]["change"]["committed_at"],
        "until": written[GONE - 1]["change"]["committed_at"],
    }
    log = reader.get(f"{project.url}/changes", params=times).json()["items"]
    assert [each["sequence"] for each in log] == list(range(GONE - 1, CAME - 1, -1))
    patch = reader.get(f"{project.url}/diff", params={"from": str(CAME - 1), "to": times["until"]}).text
    assert patch.startswith("diff --git a/CHANGELOG.md b/CHANGELOG.md\n")
    assert LINE not in patch, "it came and went in between"
    for number, mark in ((CAME, "+"), (GONE, "-")):
        assert f"\n{mark}{LINE}\n" in reader.get(f"{project.url}/changes/{number}/diff").text
        stat = reader.get(f"{project.url}/changes/{number}").json()["diffstat"]
        assert stat["added" if mark == "+" else "removed"] >= 1

    # Who wrote it?
    assert blamed(project, document, at=f"v{GONE - 1}") == (CAME, written[CAME - 1]["change"]["author"]["id"])

    # When did it vanish?
    answer = reader.get(f"/v1/documents/{document}/occurrences", params={"text": LINE}).json()
    assert (answer["present"], answer["complete"]) == (False, True)
    (span,) = answer["spans"]
    assert (span["appeared"]["number"], span["disappeared"]["number"]) == (CAME, GONE)

    # Back with it.
    old = reader.get(f"/v1/documents/{document}/versions/{GONE - 1}/content").text.split("\n")
    restored = project.people.editor.post(
        f"/v1/documents/{document}/restore",
        json={"version": GONE - 1, "lines": str(old.index(LINE) + 1)},
        headers={"If-Match": reader.get(project.file("CHANGELOG.md")).headers["etag"]},
    )
    assert restored.is_success, restored.text
    assert blamed(project, document) == (CAME, written[CAME - 1]["change"]["author"]["id"])


def blamed(project: Project, document: str, **at: str) -> tuple[int, str]:
    """Number and author of the version that LINE is from."""
    text = project.people.reader.get(project.file("CHANGELOG.md"), params=at).text
    lines = {"lines": str(text.split("\n").index(LINE) + 1)}
    blame = project.people.reader.get(f"/v1/documents/{document}/blame", params=lines | at).json()
    (origin,) = blame["origins"]
    return origin["number"], origin["author"]["id"]

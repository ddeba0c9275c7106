"""A live project checked through its API without believing the server: all hashes, and all bytes if asked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from app.client.bulk import batches
from app.client.bundle.export import stream_contents
from app.client.bundle.history import Findings, HistoryCheck
from app.client.bundle.verify import Report
from app.client.history import home_of
from app.errors import VersoError
from app.progress import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.client.api import Api

_NAMES_NONE = frozenset({"content_altered", "content_missing", "content_erased", "unreachable"})


def verify_project(
    api: Api, project: str, *, contents: bool = True, progress: Progress = no_progress
) -> Report:
    """Check a project's history as it is now. Raises VersoError when the server refuses or can't be reached.

    With `contents` every byte of every version is fetched and hashed; without, only rows are read.
    """
    findings = Findings()
    rows = f"{home_of(project)}/rows"
    head: dict[str, Any] = api.get(f"{rows}/project")["items"][0]
    newest = head["change_sequence"]
    with HistoryCheck(head["id"], findings) as history:
        for row in _all(api, f"{rows}/erasures"):
            history.erase(row["sha256"], row["size"])
        for row in _all(api, f"{rows}/changes"):
            # What is written from here on is another check's business.
            if row["sequence"] > newest:
                break
            history.add(row)
            progress(history.sequence, newest, "changes")
        if (history.sequence, history.hash) != (newest, head["change_hash"]):
            findings.note("project", "Its newest change is not the one that the history ends with.")
        for row in _all(api, f"{rows}/documents"):
            state = history.head_of(row["id"])
            said = (row["head"], row["head_number"], row["head_sequence"], row["path"], row["live"])
            if row["head_sequence"] <= newest and (
                state is None or (state.hash, state.number, state.sequence, state.path, state.live) != said
            ):
                findings.note(f"documents {row['path']}", "It is not where its newest version puts it.")
        count, size = history.count("present")
        if contents:
            _check_contents(api, head["id"], history, findings, progress)
        return Report(
            whole=not findings.count,
            project=head["id"],
            slug=head["slug"],
            changes=history.sequence,
            change_hash=history.hash,
            versions=history.versions,
            documents=history.count("heads")[0],
            contents=count if contents else 0,
            content_bytes=size if contents else 0,
            erased=history.count("absent")[0],
            events=head["event_sequence"],
            findings=findings.first,
            finding_count=findings.count,
        )


def _all(api: Api, path: str) -> Iterator[dict[str, Any]]:
    yield from api.pages(path, kind=dict[str, Any], limit=None)


def _check_contents(
    api: Api, project: str, history: HistoryCheck, findings: Findings, progress: Progress
) -> None:
    total, done = history.count("present")[1], 0
    for batch in batches(history.contents()):
        left = dict(batch)
        try:
            for sha256, _, _ in stream_contents(api, project, batch.items()):
                del left[sha256]
        except VersoError as error:
            if error.code not in _NAMES_NONE:
                raise
            # Together they fail without saying which: one by one, each that is wrong is named.
            for sha256, size in left.items():
                _check_one(api, project, (sha256, size), findings)
        done += sum(batch.values())
        progress(done, total, "bytes")


def _check_one(api: Api, project: str, content: tuple[str, int], findings: Findings) -> None:
    sha256, size = content
    digest, came = hashlib.sha256(), 0
    try:
        with api.stream("GET", f"{home_of(project)}/contents/{sha256}") as answer:
            for piece in api.pieces(answer):
                digest.update(piece)
                came += len(piece)
    except VersoError as error:
        if error.code not in _NAMES_NONE or error.code == "unreachable":
            raise
        findings.note(f"content {sha256}", error.sentence)
        return
    if came != size or digest.hexdigest() != sha256:
        findings.note(f"content {sha256}", "The bytes are not those that the name says.")

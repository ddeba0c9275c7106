"""The rows beside the history: they name people, versions and events that there are, and nothing else.

The chain doesn't cover them, so nobody can tell from a bundle alone whether a comment was left out with its
event. That they hang together, and that the file is the one that was made, can be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.client.bundle.parts import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.client.bundle.history import Findings, HistoryCheck
    from app.client.bundle.parts import Manifest, Row

_PEOPLE = {
    "project": ("created_by",),
    "acquaintances": ("user_id",),
    "members": ("user_id", "added_by"),
    "sessions": ("created_by",),
    "erasures": ("erased_by",),
    "finished_erasures": ("finished_by",),
    "changes": ("author_id", "attributed_to", "on_behalf_of"),
    "events": ("actor_id",),
    "tags": ("created_by",),
    "comments": ("author_id", "on_behalf_of"),
    "comment_acts": ("actor_id", "on_behalf_of"),
    "reviews": ("reviewer_id", "on_behalf_of"),
    "stage_events": ("actor_id", "on_behalf_of"),
}
"""Which fields of a part name people."""


class References:
    """Takes the rows of all parts in their order."""

    def __init__(self, manifest: Manifest, history: HistoryCheck, findings: Findings) -> None:
        self._manifest = manifest
        self._history = history
        self._findings = findings
        # What people made by hand is few beside the history: ids of it fit into memory.
        self._people: set[str] = set()
        self._sessions: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._comments: dict[str, str] = {}
        self._texts: set[str] = set()
        self._retracted: set[str] = set()
        self._erasures: dict[int, tuple[str, str]] = {}
        self._erasure_ids: set[str] = set()
        self._documents = 0
        self._events = 0
        self._project: Row = {}
        self._take: dict[str, Callable[[Row, Callable[[str], None]], None]] = {
            "project": self._take_project,
            "profiles": lambda row, _: self._people.add(str(row.get("id"))),
            "sessions": self._take_session,
            "erasures": self._take_erasure,
            "finished_erasures": self._take_finished,
            "changes": lambda row, _: self._history.add(row),
            "documents": self._take_document,
            "events": self._take_event,
            "tags": self._take_tag,
            "comments": self._take_comment,
            "comment_texts": self._take_text,
            "comment_acts": self._take_act,
            "reviews": self._take_review,
            "stage_events": self._take_report,
        }

    def add(self, part: str, row: Row) -> None:
        """The next row of a part."""

        def wrong(what: str) -> None:
            name = row.get("sequence") or row.get("id") or row.get("name") or row.get("user_id") or ""
            self._findings.note(f"{part} {name}".strip(), what)

        try:
            self._look_at(part, row, wrong)
        except (TypeError, ValueError):
            # A number where a name belongs, and the like: whoever altered the file chose it.
            wrong("It is not what such a row is.")

    def _look_at(self, part: str, row: Row, wrong: Callable[[str], None]) -> None:
        # The project comes before the profiles; who made it is looked at in the end.
        for field in _PEOPLE.get(part, ()) if part != "project" else ():
            if row.get(field) is not None and row[field] not in self._people:
                wrong(f"It names somebody ({field}) whose profile isn't here.")
        take = self._take.get(part)
        if take is not None:
            take(row, wrong)

    def finish(self) -> None:
        """All parts came: what only the whole can tell."""
        manifest, project, wrong = self._manifest, self._project, self._findings.note
        if project.get("created_by") not in self._people:
            wrong("project", "The profile of who made it isn't here.")
        if (self._history.sequence, self._history.hash) != (manifest.change.sequence, manifest.change.hash):
            wrong(MANIFEST, "Its newest change is not the one that the history ends with.")
        if self._events != manifest.events:
            wrong(MANIFEST, "It counts other events than there are.")
        if self._documents != self._history.count("heads")[0]:
            wrong("documents", "There are other documents than the versions are of.")
        for sequence in self._erasures:
            wrong(f"erasures {sequence}", "No event tells of it.")
        for sha256 in self._history.erased_for_nothing():
            wrong(f"content {sha256}", "It was erased, as is said, and no version has it.")
        for session, parent in self._parents.items():
            if self._sessions.get(parent) != "blueprint":
                wrong(f"sessions {session}", "Its parent is no blueprint session.")
        for comment in self._comments.keys() - self._texts - self._retracted:
            wrong(f"comments {comment}", "Its text isn't here, and nobody retracted it.")

    def _take_project(self, row: Row, wrong: Callable[[str], None]) -> None:
        facts = self._manifest
        named = (facts.project.id, facts.project.slug, facts.project.name, facts.events)
        if (row.get("id"), row.get("slug"), row.get("name"), row.get("event_sequence")) != named or (
            row.get("change_sequence"),
            row.get("change_hash"),
        ) != (facts.change.sequence, facts.change.hash):
            wrong("It is not the project that the manifest names.")
        if self._project:
            wrong("There is one already.")
        self._project = row

    def _take_session(self, row: Row, wrong: Callable[[str], None]) -> None:
        self._sessions[str(row.get("id"))] = str(row.get("type"))
        if row.get("parent_id") is not None:
            self._parents[str(row.get("id"))] = str(row["parent_id"])
        if (row.get("type") == "feature") != (row.get("parent_id") is not None):
            wrong("A feature session, and no other, has a parent.")

    def _take_erasure(self, row: Row, wrong: Callable[[str], None]) -> None:
        named = (str(row.get("id")), str(row.get("sha256")))
        if row.get("sequence") in self._erasures or named in self._erasures.values():
            wrong("There is one already.")
        self._erasures[int(row["sequence"])] = named
        self._erasure_ids.add(named[0])
        self._history.erase(named[1], int(row["size"]))

    def _take_finished(self, row: Row, wrong: Callable[[str], None]) -> None:
        if row.get("erasure_id") not in self._erasure_ids:
            wrong("Its erasure isn't here.")

    def _take_document(self, row: Row, wrong: Callable[[str], None]) -> None:
        self._documents += 1
        head = self._history.head_of(str(row.get("id")))
        said = tuple(row.get(name) for name in ("head", "head_number", "head_sequence", "path", "live"))
        if head is None or (head.hash, head.number, head.sequence, head.path, head.live) != said:
            wrong("It is not where its newest version puts it.")
        if row.get("session_id") is not None and row["session_id"] not in self._sessions:
            wrong("It names a session that isn't here.")

    def _take_event(self, row: Row, wrong: Callable[[str], None]) -> None:
        self._events += 1
        if row.get("sequence") != self._events:
            wrong("Events are numbered without gaps.")
        erasure = self._erasures.pop(self._events, None)
        told = (row.get("payload") or {}).get("sha256") if row.get("kind") == "content.erased" else None
        if told != (erasure[1] if erasure else None):
            wrong("It and the record of an erasure don't agree.")
        change = row.get("change_sequence")
        if change is not None and not 1 <= change <= self._history.sequence:
            wrong("It tells of a change that isn't here.")

    def _take_tag(self, row: Row, wrong: Callable[[str], None]) -> None:
        change, version = row.get("change_sequence") or 0, row.get("version")
        if not 1 <= change <= self._history.sequence or (
            version is not None and self._history.sequence_of(version) != change
        ):
            wrong("It names what isn't here.")

    def _take_comment(self, row: Row, wrong: Callable[[str], None]) -> None:
        self._comments[str(row.get("id"))] = str(row.get("version"))
        self._about_version(row, wrong)
        if self._history.document_of(str(row.get("version"))) != row.get("document_id"):
            wrong("Its version is not one of its document.")
        if row.get("thread_id") not in self._comments:
            wrong("Its thread isn't here.")

    def _take_text(self, row: Row, wrong: Callable[[str], None]) -> None:
        self._texts.add(str(row.get("comment_id")))
        if row.get("comment_id") not in self._comments:
            wrong("Its comment isn't here.")

    def _take_act(self, row: Row, wrong: Callable[[str], None]) -> None:
        if row.get("act") == "retract":
            self._retracted.add(str(row.get("comment_id")))
        if row.get("comment_id") not in self._comments:
            wrong("Its comment isn't here.")
        self._told(row, wrong)

    def _take_review(self, row: Row, wrong: Callable[[str], None]) -> None:
        self._about_version(row, wrong)
        if row.get("comment_id") is not None and row["comment_id"] not in self._comments:
            wrong("Its comment isn't here.")

    def _take_report(self, row: Row, wrong: Callable[[str], None]) -> None:
        if row.get("session_id") not in self._sessions:
            wrong("Its session isn't here.")
        for used in row["versions"]:
            if self._history.document_of(str(used.get("version"))) is None:
                wrong("It used a version that isn't here.")
        self._told(row, wrong)

    def _about_version(self, row: Row, wrong: Callable[[str], None]) -> None:
        if self._history.document_of(str(row.get("version"))) is None:
            wrong("Its version isn't here.")
        self._told(row, wrong)

    def _told(self, row: Row, wrong: Callable[[str], None]) -> None:
        sequence: Any = row.get("sequence")
        if not isinstance(sequence, int) or not 1 <= sequence <= self._events:
            wrong("Its event isn't here.")

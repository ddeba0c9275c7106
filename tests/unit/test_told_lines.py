"""Lines of the terminal about events and the audit trail: people are told from agents."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.cli.auditing import told_entry
from app.cli.following import told_event
from app.model import Person
from app.supabase.audit import AuditEntry

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZOE = Person(id="1", handle="zoe")


@pytest.mark.parametrize(
    ("actor", "who"),
    [
        ({"id": "1", "handle": "zoe"}, "zoe"),
        ({"id": "2", "handle": "planner-x", "agent": "planner"}, "planner-x (agent planner)"),
        (None, "-"),
    ],
)
def test_an_event_says_which_agent_it_was(actor: dict[str, str] | None, who: str) -> None:
    event = {
        "sequence": 7,
        "at": NOON.isoformat(),
        "kind": "comment.resolved",
        "actor": actor,
        "change": None,
    }
    line = told_event({**event, "path": "a.md"})
    assert line.split("comment.resolved")[1].split("a.md")[0].strip() == who


@pytest.mark.parametrize(
    ("person", "whom"), [({"id": "2", "handle": "mia", "name": "Mia"}, "mia"), ({"id": "2"}, "2")]
)
def test_an_event_about_a_person_says_whom(person: dict[str, str], whom: str) -> None:
    told = {"sequence": 7, "at": NOON.isoformat(), "kind": "member.removed", "actor": None, "change": None}
    assert told_event({**told, "person": person, "role": "editor"}).endswith(f"person={whom} role=editor")


@pytest.mark.parametrize(
    ("agent", "behalf", "who"),
    [
        (None, None, "bot"),
        ("planner", None, "bot (agent planner)"),
        ("planner", ZOE, "bot (agent planner for zoe)"),
    ],
)
def test_an_entry_says_which_agent_it_was_and_for_whom(
    agent: str | None, behalf: Person | None, who: str
) -> None:
    entry = AuditEntry(
        id="x", at=NOON, last_at=NOON, count=3, kind="refused.password", witness="database",
        person=Person(id="2", handle="bot"), agent=agent, on_behalf_of=behalf, place="",
    )  # fmt: skip
    assert told_entry(entry) == f"2026-03-02 12:00:00 refused.password x3 {who} from - (database)"

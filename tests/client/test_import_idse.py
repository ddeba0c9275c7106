"""IDSE trees of three layouts become projects with sessions, whose documents belong to them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from app.client.api import Api
from app.client.idse.layout import slug_of, spot_of
from app.client.idse.metadata import read_names, read_people, read_state
from app.client.idse.run import IdseImported, import_idse
from app.errors import VersoError
from app.model import SessionStatus, SessionType
from app.sources.filters import Filter
from app.sources.listing import Limits
from app.sources.opening import open_source
from tests.api.world import Person, sign_in
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack

TREES = REPOSITORY / "fixtures" / "idse"


@pytest.fixture
def owner(stack: Stack, server: Server) -> Iterator[Person]:
    """Somebody new each time, so that each test's slugs are free."""
    with Person(server, sign_in(stack, "importer"), None) as person:
        yield person


@pytest.fixture
def people(stack: Stack, server: Server) -> dict[str, str]:
    made = {}
    for name in ("Ada Lovelace", "grace@example.com", "linus"):
        with Person(server, sign_in(stack, "somebody"), None) as person:
            made[name.casefold()] = person.handle
    return made


def bring(server: Server, owner: Person, path: Path, **how: Any) -> IdseImported:
    with Api(server.url, owner.token) as api, open_source(path, Filter(), Limits()) as source:
        return import_idse(api, source, **{"people": {}, **how})


def documents(owner: Person, project: str) -> dict[str, tuple[str | None, str | None]]:
    """Each path with its session's slug and its stage."""
    sessions = {s["id"]: s["slug"] for s in owner.get(f"/v1/projects/{project}/sessions").json()["items"]}
    tree = owner.get(f"/v1/projects/{project}/tree?limit=200").json()["items"]
    return {e["path"]: (sessions.get(e.get("session")), e.get("stage")) for e in tree}


def test_the_present_layout(server, owner, people):
    done = bring(server, owner, TREES / "present", people=people)
    (project,) = done.projects
    assert (project.slug, project.is_new) == ("editor", True)
    assert documents(owner, "editor") == {
        ".owner": (None, None),
        "README.md": (None, None),
        "sessions/blueprint/contexts/context.md": ("blueprint", "context"),
        "sessions/blueprint/intents/intent.md": ("blueprint", "intent"),
        "sessions/blueprint/session_state.json": ("blueprint", None),
        "sessions/blueprint/specs/spec.md": ("blueprint", "spec"),
        "sessions/milkdown-crepe/.collaborators": ("milkdown-crepe", None),
        "sessions/milkdown-crepe/implementation/README.md": ("milkdown-crepe", "implementation"),
        "sessions/milkdown-crepe/intents/intent.md": ("milkdown-crepe", "intent"),
        "sessions/milkdown-crepe/notes/2026-03-01.md": ("milkdown-crepe", None),
        "sessions/milkdown-crepe/plans/test-plan.md": ("milkdown-crepe", "plan"),
        "sessions/milkdown-crepe/session_state.json": ("milkdown-crepe", None),
    }
    sessions = {s["slug"]: s for s in owner.get("/v1/projects/editor/sessions").json()["items"]}
    crepe = sessions["milkdown-crepe"]
    assert (crepe["type"], crepe["status"], crepe["title"]) == ("feature", "in_progress", "Milkdown: Crêpe")
    assert crepe["parent"] == sessions["blueprint"]["id"]
    assert (sessions["blueprint"]["type"], sessions["blueprint"]["status"]) == ("blueprint", "complete")
    told = {session.slug: session for session in project.sessions}
    assert told["milkdown-crepe"].stages == {
        "intent": "complete",
        "context": "complete",
        "spec": "in_progress",
    }
    assert "tasks" in told["milkdown-crepe"].notes[0]
    assert [each.path for each in done.left_out] == ["README.md"]


def test_the_stages_of_a_tree_are_reported_once_and_never_over_what_is_known(server, owner):
    would = bring(server, owner, TREES / "present", dry_run=True)
    bring(server, owner, TREES / "present")
    url = "/v1/projects/editor/sessions/milkdown-crepe/stages"

    def standing() -> dict[str, tuple[str, str | None]]:
        stages = owner.get(url).json()["stages"]
        return {each["stage"]: (each["state"], (each["report"] or {}).get("actor")) for each in stages}

    assert standing() == {
        "intent": ("complete", "import"),
        "context": ("complete", "import"),
        "spec": ("in_progress", "import"),
    } | dict.fromkeys(("plan", "tasks", "implementation", "feedback"), ("pending", None))
    told = {session.slug: session.reported for session in would.projects[0].sessions}
    assert told["milkdown-crepe"] == {"intent": "complete", "context": "complete", "spec": "in_progress"}
    owner.post(f"{url}/spec/reports", json={"state": "failed"}).raise_for_status()
    again = bring(server, owner, TREES / "present")
    assert {session.slug: session.reported for session in again.projects[0].sessions} == {
        "blueprint": {},
        "milkdown-crepe": {},
    }
    assert standing()["spec"] == ("failed", "human")
    assert len(owner.get(f"{url}/history").json()["items"]) == 4


def test_what_a_rule_refuses_of_a_stage_is_a_note(server, owner):
    made = owner.post("/v1/projects", json={"slug": "editor"}).json()
    owner.patch(f"/v1/projects/{made['id']}/rules", json={"completion_needs_document": True})
    done = bring(server, owner, TREES / "present")
    crepe = next(each for each in done.projects[0].sessions if each.slug == "milkdown-crepe")
    assert crepe.reported == {"intent": "complete", "spec": "in_progress"}
    assert any("contexts/context.md" in note for note in crepe.notes)


def test_people_become_members_and_unknown_names_are_told(server, owner, people):
    done = bring(server, owner, TREES / "present", people=people)
    ada, grace, linus = people["ada lovelace"], people["grace@example.com"], people["linus"]
    assert done.projects[0].people.added == {ada: "owner", grace: "editor", linus: "editor"}
    assert done.projects[0].people.unknown == ["Somebody Unknown"]
    members = {
        m["person"]["handle"]: m["role"] for m in owner.get("/v1/projects/editor/members").json()["items"]
    }
    assert members == {owner.handle: "owner", ada: "owner", grace: "editor", linus: "editor"}


def test_the_hidden_layout_with_names_that_are_no_slugs(server, owner):
    done = bring(server, owner, TREES / "hidden", people={"ada lovelace": "nobody-has-this"})
    (project,) = done.projects
    assert (project.name, project.slug) == ("Offline Drafts", "offline-drafts")
    told = {session.slug: session for session in project.sessions}
    assert (told["first-look"].type, told["first-look"].status) == (
        SessionType.exploratory,
        SessionStatus.review,
    )
    assert told["first-look"].stages == {"intent": "in_progress"}
    assert told["orphan"].type is SessionType.exploratory
    assert len(told["orphan"].notes) == 3
    assert "no JSON" in told["broken"].notes[0]
    assert documents(owner, "offline-drafts")["sessions/first look/intents/intent.md"] == (
        "first-look",
        "intent",
    )
    assert project.people.unknown == ["Ada Lovelace (nobody-has-this is nobody's handle there)"]


def test_the_oldest_layout_and_a_move_that_stopped_half_way(server, owner):
    done = bring(server, owner, TREES / "stage-first")
    assert {path: stage for path, (_, stage) in documents(owner, "editor").items()} == {
        "sessions/blueprint/intents/intent.md": "intent",
        "sessions/blueprint/contexts/context.md": "context",
        "sessions/blueprint/specs/spec.md": "spec",
        "sessions/blueprint/plans/plan.md": "plan",
        "sessions/blueprint/tasks/tasks.md": "tasks",
        "sessions/blueprint/implementation/README.md": "implementation",
        "sessions/blueprint/feedback/feedback.md": "feedback",
        "sessions/blueprint/session_state.json": None,
    }
    intent = owner.get("/v1/projects/editor/files/sessions/blueprint/intents/intent.md").text
    assert "Moved to the present layout" in intent
    assert [each.path for each in done.left_out] == ["intents/projects/editor/sessions/blueprint/intent.md"]
    assert done.projects[0].sessions[0].status is SessionStatus.in_progress


@pytest.mark.parametrize("tree", ["present", "hidden", "stage-first"])
def test_a_dry_run_says_the_same_and_makes_nothing_and_a_second_run_makes_nothing_more(server, owner, tree):
    planned = bring(server, owner, TREES / tree, dry_run=True)
    assert owner.get("/v1/projects").json()["items"] == []
    done = bring(server, owner, TREES / tree)
    for before, after in zip(planned.projects, done.projects, strict=True):
        assert before.sessions == after.sessions
        assert before.documents.added == after.documents.added
    again = bring(server, owner, TREES / tree)
    for before, after in zip(done.projects, again.projects, strict=True):
        assert not after.is_new
        assert not any(session.is_new for session in after.sessions)
        assert (after.documents.added, after.documents.changes) == ([], [])
        assert after.documents.unchanged == len(before.documents.added)


def test_what_is_new_in_the_tree_is_all_that_a_second_run_brings(server, owner, tmp_path):
    tree = shutil.copytree(TREES / "present", tmp_path / "tree")
    bring(server, owner, tree)
    later = tree / "projects" / "editor" / "sessions" / "later"
    (later / "intents").mkdir(parents=True)
    (later / "intents" / "intent.md").write_text("# Later\n")
    (later / "session_state.json").write_text(json.dumps({"type": "feature", "parent": "editor::blueprint"}))
    (again,) = bring(server, owner, tree).projects
    assert [session.slug for session in again.sessions if session.is_new] == ["later"]
    assert documents(owner, "editor")["sessions/later/intents/intent.md"] == ("later", "intent")
    assert len(again.documents.added) == 2


def test_a_tree_of_one_project_may_become_another_one(server, owner):
    owner.post("/v1/projects", json={"slug": "mine"})
    bring(server, owner, TREES / "stage-first", into="mine")
    assert "sessions/blueprint/tasks/tasks.md" in documents(owner, "mine")


def test_other_folders_are_no_trees(server, owner, tmp_path):
    (tmp_path / "a.md").write_text("one\n")
    with pytest.raises(VersoError, match="no_idse_layout"):
        bring(server, owner, tmp_path)


def test_names_that_give_one_slug_stay_two(server, owner, tmp_path):
    for name in ("A b", "a-b"):
        (tmp_path / "projects" / "p" / "sessions" / name).mkdir(parents=True)
        (tmp_path / "projects" / "p" / "sessions" / name / "x.md").write_text(f"{name}\n")
    (project,) = bring(server, owner, tmp_path).projects
    assert sorted((session.slug, session.root) for session in project.sessions) == [
        ("a-b", "sessions/A b"),
        ("a-b-2", "sessions/a-b"),
    ]


# What is read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "project", "session", "home"),
    [
        ("projects/p/sessions/s/intents/intent.md", "p", "s", "sessions/s/intents/intent.md"),
        (".idse/projects/p/sessions/s/x", "p", "s", "sessions/s/x"),
        ("plans/projects/p/sessions/s/test-plan.md", "p", "s", "sessions/s/plans/test-plan.md"),
        ("projects/p/README.md", "p", None, "README.md"),
        ("projects/p/sessions/file", "p", None, "sessions/file"),
    ],
)
def test_where_a_path_belongs(path, project, session, home):
    spot = spot_of(path)
    assert spot is not None
    assert (spot.project, spot.session, spot.path) == (project, session, home)


@pytest.mark.parametrize(
    "path", ["README.md", "projects/README.md", "other/projects/p/x", ".idse/config", "intents/a.md"]
)
def test_what_belongs_nowhere(path):
    assert spot_of(path) is None


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("milkdown-crepe", "milkdown-crepe"),
        ("Ärger & Söhne", "arger-sohne"),
        ("日本", None),
        ("..", None),
        ("x" * 99, "x" * 64),
    ],
)
def test_names_as_slugs(name, slug):
    assert slug_of(name) == slug


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"[]", b"7", b'{"type": 7, "stages": "no"}', b'{"stages": [7]}', b'{"a":' * 9_000],
    ids=range(7),
)
def test_whatever_a_state_file_holds_nothing_breaks(data):
    assert read_state(data).type is None


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"ada\n", ["ada"]),
        (b"owner: Ada Lovelace\n", ["Ada Lovelace"]),
        (b"# nobody\n\n- @grace # writes\n", ["grace"]),
        (b'["ada", {"user": "grace"}]', ["ada", "grace"]),
        (b'{"collaborators": [{"email": "a@b.c", "role": "editor"}]}', ["a@b.c"]),
        (b"\xff\xfe", ["\ufffd\ufffd"]),
        (b"{", []),
        (b"[" * 9_000, []),
        (b"\xef\xbb\xbfada\n", ["ada"]),
        (b"", []),
    ],
    ids=range(10),
)
def test_names_in_their_forms(data, names):
    assert read_names(data) == names


def test_a_people_file_maps_names_whatever_their_case():
    assert read_people("# x\nAda = ada\n a = b = @c # d\n") == {"ada": "ada", "a = b": "c"}
    with pytest.raises(VersoError, match="Line 2"):
        read_people("a = b\nnothing\n")


def test_what_windows_puts_before_a_text_is_no_part_of_it():
    assert read_state(b'\xef\xbb\xbf{"status": "done"}').status is SessionStatus.complete


def test_a_title_that_nobody_could_be_shown_is_mended():
    assert read_state(json.dumps({"title": "a\u202e\n" + "b" * 300}).encode()).title == "a  " + "b" * 197

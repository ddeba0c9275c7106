"""Reading history from the command line: in a working folder without the server, outside of one with it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.cli.characters import safe
from app.cli.looking_told import told_pair
from app.client.looking.blaming import blame
from app.client.looking.compare import Pair, Side
from app.client.looking.source import History
from app.client.mirror import Mirror
from app.client.place import HIDDEN
from tests.api.world import sign_in
from tests.client.inside import run_inside
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack

OLD, NEW = "docs/old.md", "docs/guide.md"
FIRST = "# Guide\n\nOne quick brown fox.\nIt stays.\n"
SECOND = "# Guide\n\nOne slow brown fox.\nIt stays.\n"
THIRD = "# Guide\n\nOne slow brown fox.\nIt stays.\nIt ends.\n"


@dataclass
class Project:
    """A project with five changes, and a terminal in a folder."""

    server: Server
    token: str
    slug: str
    cwd: Path
    home: Path
    heads: dict[str, str] = field(default_factory=dict)

    def write(self, message: str, *items: dict[str, Any]) -> None:
        based = [
            item
            | ({"base": self.heads[old]} if (old := item.get("from", item["path"])) in self.heads else {})
            for item in items
        ]
        made = [item if "base" in item else item | {"create": True} for item in based]
        answer = httpx.post(
            f"{self.server.url}/v1/projects/{self.slug}/changes",
            json={"message": message, "items": made},
            headers={"Authorization": f"Bearer {self.token}"},
        )
        assert answer.status_code == 201, answer.text
        for version in answer.json()["change"]["versions"]:
            self.heads[version["path"]] = version["hash"]

    def run(
        self, *arguments: str, code: int = 0, typed: str = "", cwd: Path | None = None, **variables: str
    ) -> str:
        """What a command prints."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("VERSO_")}
        environment = kept | {
            "VERSO_API": self.server.url,
            "VERSO_TOKEN": self.token,
            "VERSO_CONFIG_DIR": str(self.home),
            "XDG_CACHE_HOME": str(self.home),
            "NO_COLOR": "1",
            "TZ": "UTC",
        }
        ran = run_inside(arguments, environment | variables, cwd or self.cwd, typed)
        assert ran.exit_code == code, f"{ran.stdout}\n{ran.stderr}"
        return ran.stdout if code == 0 else ran.stdout + ran.stderr

    def json(self, *arguments: str, **options: Any) -> Any:
        command, *rest = arguments
        return json.loads(self.run(command, "--json", *rest, **options))


@pytest.fixture(scope="module")
def told(stack: Stack, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The history: written, edited, moved with an edit, another one added and deleted."""
    session = sign_in(stack, "teller")
    home = tmp_path_factory.mktemp("home")
    slug = f"told-{home.name}"
    project = Project(server, session["access_token"], slug, home, home)
    headers = {"Authorization": f"Bearer {project.token}"}
    httpx.post(f"{server.url}/v1/projects", json={"slug": slug}, headers=headers).raise_for_status()
    project.write("Begin the guide", {"path": OLD, "text": FIRST})
    project.write("Slow it down\n\nFoxes tire.", {"path": OLD, "text": SECOND})
    project.write("A better name", {"path": NEW, "from": OLD, "text": THIRD})
    project.write("A note", {"path": "note.txt", "text": "remember the milk\n"})
    project.write("No note", {"path": "note.txt", "delete": True})
    return project


@pytest.fixture(scope="module")
def folder(told: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone of it, and a terminal there that can't reach the server."""
    where = tmp_path_factory.mktemp("clones")
    told.run("clone", told.slug, "clone", cwd=where)
    cloned = Project(told.server, told.token, told.slug, where / "clone", told.home)
    cloned.server = Unreachable()  # type: ignore[assignment]
    return cloned


class Unreachable:
    url = "http://127.0.0.1:9"


# --- log -------------------------------------------------------------------------------------------------------


def test_the_log_is_read_without_the_server(folder: Project) -> None:
    lines = folder.run("log", "--oneline").splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["#5", "#4", "#3", "#2", "#1"]
    assert "A better name" in lines[2]
    assert "    Foxes tire." in folder.run("log", "--grep", "slow")
    changes = folder.json("log")
    assert [change["sequence"] for change in changes] == [5, 4, 3, 2, 1]
    assert changes[0]["versions"][0]["action"] == "delete"


def test_the_log_of_a_document_crosses_its_moves_and_that_of_a_folder_does_not(folder: Project) -> None:
    def numbers(*arguments: str, **options: Any) -> list[int]:
        return [change["sequence"] for change in folder.json("log", *arguments, **options)]

    assert numbers(NEW) == [3, 2, 1]
    assert numbers("guide.md", cwd=folder.cwd / "docs") == [3, 2, 1]
    assert numbers("docs") == [3, 2, 1]
    assert numbers("note.txt") == [5, 4]
    assert numbers(OLD) == [3, 2, 1]
    assert numbers("--at", "head~2", "-n", "2") == [3, 2]
    assert numbers("--reverse", "-n", "2") == [1, 2]
    assert numbers("--since", "2001-01-01", "--author", "teller") == [5, 4, 3, 2, 1]
    assert numbers("--until", "2001-01-01") == numbers("--author", "nobody") == []


def test_a_path_that_never_was_and_one_outside_are_told(folder: Project) -> None:
    assert "Nothing was ever at" in folder.run("log", "nothing.md", code=1)
    assert "outside of the working folder" in folder.run("log", "../x", code=2)
    for time in ("yesterday", "0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00"):
        assert "is not a time" in folder.run("log", "--since", time, code=2)
        assert "is no change" in folder.run("log", "--at", time, code=1)


# --- diff ------------------------------------------------------------------------------------------------------


def test_piped_a_diff_is_a_patch_that_git_takes(folder: Project, tmp_path: Path) -> None:
    patch = folder.run("diff", "1", "3")
    assert "rename from docs/old.md" in patch
    (tmp_path / "docs").mkdir()
    (tmp_path / OLD).write_text(FIRST)
    subprocess.run(["git", "apply"], input=patch, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / NEW).read_text() == THIRD
    assert folder.run("diff", "1..3") == patch
    assert folder.run("diff", "1..head", "docs") == patch
    assert folder.run("diff", "1", "3", "note.txt") == ""


def test_diff_compares_the_files_as_they_are(folder: Project) -> None:
    file = folder.cwd / NEW
    assert folder.run("diff") == ""
    try:
        file.write_text(THIRD.replace("It stays.", "It goes."))
        (folder.cwd / "new.txt").write_text("x\n")
        patch = folder.run("diff")
        assert "-It stays.\n+It goes.\n" in patch
        assert "+++ b/new.txt" in patch
        assert folder.run("diff", "docs").count("diff --git") == 1
        against_first = folder.run("diff", "1", "docs")
        assert "-One quick brown fox.\n" in against_first
        assert "+It goes.\n" in against_first
        stats = folder.run("diff", "--stat")
        assert "docs/guide.md  +1 -1" in stats
        assert "2 documents, 2 lines added, 1 removed" in stats
    finally:
        file.write_text(THIRD)
        (folder.cwd / "new.txt").unlink()


def test_diff_as_json_has_hunks_with_the_changed_words(folder: Project) -> None:
    (document,) = folder.json("diff", "1", "2")["documents"]
    assert (document["added"], document["removed"]) == (1, 1)
    lines = document["diff"]["hunks"][0]["lines"]
    removed = next(line for line in lines if line["kind"] == "removed")
    (span,) = removed["spans"]
    assert removed["text"][slice(*span)] == "quick"


def test_what_is_neither_a_point_nor_a_path_is_told(folder: Project) -> None:
    assert "neither a point" in folder.run("diff", "nonsense", code=2)
    assert "only one PATH" in folder.run("diff", "1", "2", "3", "4", code=2)


def test_on_a_terminal_changed_words_stand_out_and_control_characters_do_nothing(
    folder: Project,
) -> None:
    pair = Pair(Side("a.md", "1"), Side("a.md", "2"))
    lines = list(told_pair(pair, b"one \x1b]0;owned\x07 two\n", b"one \x1b]0;owned\x07 three\n", context=3))
    assert not any("\x1b" in line.plain or "\x07" in line.plain for line in lines)
    assert lines[2].plain == "-one ␛]0;owned␇ two"
    marked = [
        lines[2].plain[span.start : span.end] for span in lines[2].spans if "reverse" in str(span.style)
    ]
    assert marked == ["two"]
    assert safe("a\u202eb\u200fc\td") == "a<RIGHT-TO-LEFT OVERRIDE>b<RIGHT-TO-LEFT MARK>c\td"


def test_through_a_pager_on_a_terminal(folder: Project) -> None:
    script = terminal()
    command = f"{shlex.quote(sys.executable)} -m app.cli diff 1 2"
    ran = subprocess.run(
        [script, "-qec", command, "/dev/null"],
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith("VERSO_")},
            "PYTHONPATH": str(REPOSITORY), "PAGER": "cat", "TERM": "xterm-256color",
        },
        cwd=folder.cwd, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\x1b[" in ran.stdout
    assert "diff --git" not in ran.stdout


def terminal() -> str:
    """script(1), which runs a command on a terminal."""
    found = shutil.which("script")
    if found is None:
        pytest.skip("script(1) is missing")
    return found


# --- show, blame, when -----------------------------------------------------------------------------------------


def test_show_gives_a_change_with_what_it_did_or_a_documents_bytes(folder: Project) -> None:
    shown = folder.run("show", "2")
    assert "Slow it down" in shown
    assert "-One quick brown fox.\n+One slow brown fox.\n" in shown
    assert folder.run("show", f"1:{OLD}") == FIRST
    assert folder.run("show", f"1:{OLD}", cwd=folder.cwd / "docs") == FIRST
    assert folder.run("show", NEW) == THIRD
    assert folder.run("show", "guide.md", "--at", "3", cwd=folder.cwd / "docs") == THIRD
    assert folder.run("show", NEW, "--at", "1") == FIRST, (
        "a document by today's name, before it had that name"
    )
    assert "up to change #3" in folder.run("show", "note.txt", "--at", "3", code=1)
    assert "deleted in #5" in folder.run("show", "note.txt", code=1)
    assert folder.json("show", "#5")["change"]["message"] == "No note"
    deleted = folder.json("show", "5")["documents"]
    assert deleted[0]["to"] is None
    assert deleted[0]["removed"] == 1


def test_blame_says_which_change_each_line_came_with(folder: Project) -> None:
    found = folder.json("blame", NEW)
    origins = found["origins"]
    assert [origins[line["version"]]["change"]["sequence"] for line in found["lines"]] == [1, 1, 2, 1, 3]
    text = folder.run("blame", NEW, "-L", "3-4").splitlines()
    assert [line.partition(" ")[0] for line in text] == ["#2", "#1"]
    assert text[0].endswith("3  One slow brown fox.")
    assert folder.run("blame", NEW, "-L", "3,4").splitlines() == text
    assert "has 5 lines" in folder.run("blame", NEW, "-L", "9", code=2)
    assert "--at 4" in folder.run("blame", "note.txt", code=1)
    assert "remember" in folder.run("blame", "note.txt", "--at", "4")


def test_blame_here_is_blame_there(told: Project, folder: Project) -> None:
    tree = httpx.get(
        f"{told.server.url}/v1/projects/{told.slug}/tree", headers={"Authorization": f"Bearer {told.token}"}
    ).json()["items"]
    (document,) = [entry["document"] for entry in tree if entry["path"] == NEW]
    there = httpx.get(
        f"{told.server.url}/v1/documents/{document}/blame", headers={"Authorization": f"Bearer {told.token}"}
    ).json()
    lines = {
        number: (each["version"], each["line"] + number - each["first"])
        for each in there["ranges"]
        for number in range(each["first"], each["last"] + 1)
    }
    here = folder.json("blame", NEW)["lines"]
    assert {each["line"]: (each["version"], each["number"]) for each in here} == lines


def test_blame_agrees_with_the_server_across_merges_and_restores(
    stack: Stack, server: Server, tmp_path: Path
) -> None:
    session = sign_in(stack, "merger")
    project = Project(server, session["access_token"], f"merged-{tmp_path.name}", tmp_path, tmp_path)
    headers = {"Authorization": f"Bearer {project.token}"}
    httpx.post(f"{server.url}/v1/projects", json={"slug": project.slug}, headers=headers).raise_for_status()
    lines = [f"line {number}" for number in range(12)]

    def text(**changed: str) -> str:
        return "".join(f"{changed.get(f'n{at}', line)}\n" for at, line in enumerate(lines))

    project.write("One", {"path": "m.md", "text": text()})
    base = project.heads["m.md"]
    project.write("Two", {"path": "m.md", "text": text(n1="first changed")})
    merged = httpx.put(
        f"{server.url}/v1/projects/{project.slug}/files/m.md?merge=auto",
        content=text(n10="last changed"),
        headers={**headers, "If-Match": f'"{base}"'},
    )
    assert merged.status_code == 200, merged.text
    document = merged.json()["version"]["document"]
    project.heads["m.md"] = merged.json()["version"]["hash"]
    project.write("Lose it", {"path": "m.md", "text": "gone\n"})
    project.write("Bring it back", {"path": "m.md", "restore": 3})
    project.write("And on", {"path": "m.md", "text": text(n1="first changed", n10="last changed", n5="x")})
    there = httpx.get(f"{server.url}/v1/documents/{document}/blame", headers=headers).json()
    expected = [
        (each["number"], each["line"] + number - each["first"])
        for each in there["ranges"]
        for number in range(each["first"], each["last"] + 1)
    ]
    here = project.json("blame", "m.md", "-p", project.slug)
    numbers = [here["origins"][each["version"]]["number"] for each in here["lines"]]
    assert list(zip(numbers, (each["number"] for each in here["lines"]), strict=True)) == expected
    assert {1, 2, 3, 6} == set(numbers)


def test_blame_goes_on_from_what_it_found_before(long: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = History.bytes_of

    def counted(history: History, version: Any) -> bytes:
        read.append(version.hash)
        return real(history, version)

    monkeypatch.setattr(History, "bytes_of", counted)
    hidden = long.cwd / HIDDEN
    (hidden / "lines.db").unlink(missing_ok=True)
    with Mirror(hidden) as mirror:
        history = History(mirror, project="", connect=nullcontext)  # type: ignore[arg-type]
        earlier = blame(history, "a.txt", at=15)
        assert len(set(read)) == 15
        read.clear()
        first = blame(history, "a.txt")
        assert len(set(read)) == 6
        read.clear()
        assert blame(history, "a.txt") == first
        assert len(set(read)) == 1
        (hidden / "lines.db").write_bytes(b"no database at all, but long enough to be taken for one" * 20)
        assert blame(history, "a.txt", at=15) == earlier
    (hidden / "lines.db").unlink()


def test_contents_that_stayed_on_the_server_are_fetched_when_they_are_needed(
    told: Project, tmp_path: Path
) -> None:
    told.run("clone", told.slug, "late", "--latest", cwd=tmp_path)
    late = Project(told.server, told.token, told.slug, tmp_path / "late", told.home)
    offline = Project(Unreachable(), told.token, told.slug, late.cwd, told.home)  # type: ignore[arg-type]
    assert len(offline.json("log")) == 5
    assert "can't be reached" in offline.run("show", f"1:{OLD}", code=5)
    assert late.run("show", f"1:{OLD}") == FIRST
    assert offline.run("show", f"1:{OLD}") == FIRST


def test_when_a_text_came_and_went(folder: Project) -> None:
    gone = folder.json("when", "quick  brown\nfox", NEW)["spans"]
    assert [
        (span["appeared"]["change"]["sequence"], span["disappeared"]["change"]["sequence"]) for span in gone
    ] == [(1, 2)]
    assert "it is there now" in folder.run("when", "It ends.", NEW)
    assert "never stood" in folder.run("when", "purple", NEW)
    note = folder.json("when", "milk", "note.txt")["spans"]
    assert note[0]["disappeared"]["change"]["sequence"] == 5


# --- bisect ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long(stack: Stack, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A document of twenty versions, broken from the thirteenth on, and a clone of it."""
    session = sign_in(stack, "long")
    home = tmp_path_factory.mktemp("long")
    project = Project(server, session["access_token"], f"long-{home.name}", home, home)
    headers = {"Authorization": f"Bearer {project.token}"}
    httpx.post(f"{server.url}/v1/projects", json={"slug": project.slug}, headers=headers).raise_for_status()
    for number in range(1, 21):
        state = "broken" if number >= 13 else "fine"
        project.write(f"Version {number}", {"path": "a.txt", "text": f"{number} {state}\nindeed\n"})
    project.run("clone", project.slug, "clone")
    project.cwd = home / "clone"
    return project


def test_a_command_finds_the_first_bad_version_in_few_looks(long: Project) -> None:
    judge = [sys.executable, "-c", "import sys; sys.exit('broken' in open(sys.argv[1]).read())"]
    found = long.json("bisect", "a.txt", "--", *judge)
    assert found["first_bad"]["change"]["sequence"] == 13
    assert found["looked_at"] <= 5
    assert found["suspects"] == []
    ranged = long.json("bisect", "a.txt", "--good", "11", "--bad", "14", "--", *judge, "{}")
    assert ranged["first_bad"]["change"]["sequence"] == 13
    assert ranged["looked_at"] <= 2
    assert "first bad one is #13" in long.run("bisect", "a.txt", "--", *judge)


def test_what_cannot_be_told_makes_suspects(long: Project) -> None:
    script = (
        "import sys; text = open(sys.argv[1]).read(); number = int(text.split()[0])\n"
        "sys.exit(125 if number in (12, 13) else 'broken' in text)"
    )
    judge = [sys.executable, "-c", script]
    found = long.json("bisect", "a.txt", "--", *judge)
    assert [each["change"]["sequence"] for each in found["suspects"]] == [12, 13, 14]


def test_a_person_is_asked_and_may_stop(long: Project) -> None:
    answers = "good\nbad\n"
    asked = long.json("bisect", "a.txt", "--good", "10", "--bad", "13", typed=answers)
    assert asked["first_bad"]["change"]["sequence"] in {11, 12, 13}
    assert "Stopped" in long.run("bisect", "a.txt", code=1, typed="quit\n")
    assert "Stopped" in long.run("bisect", "a.txt", code=1)


def test_a_command_that_fails_itself_is_no_verdict(long: Project) -> None:
    assert "can't be run" in long.run("bisect", "a.txt", "--", "/no/such/command", code=1)
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    assert "no verdict" in long.run("bisect", "a.txt", "--", *killed, code=1)
    assert "nothing to halve" in long.run("bisect", "a.txt", "--good", "13", "--bad", "13", code=2)


# --- outside of a folder, and what only the server knows -------------------------------------------------------


def test_outside_of_a_folder_a_project_is_named(told: Project) -> None:
    assert len(told.json("log", "-p", told.slug)) == 5
    assert told.run("show", f"1:{OLD}", "-p", told.slug) == FIRST
    assert "rename from" in told.run("diff", "1", "3", "--project", told.slug)
    assert told.json("blame", NEW, "-p", told.slug)["lines"][2]["text"] == "One slow brown fox.\n"
    assert "Say which project" in told.run("log", code=2)
    assert "between which points" in told.run("diff", "-p", told.slug, code=2)
    assert "no such project" in told.run("log", "-p", "nobody-has-this", code=1)


def test_tags_are_given_once_and_listed(long: Project) -> None:
    assert long.run("tag", "rc-1", "--at", "head~3", "-m", "First") == "rc-1 is #17.\n"
    assert "rc-1  #17" in long.run("tag")
    assert long.json("tag")[0]["message"] == "First"
    assert long.json("show", "rc-1")["change"]["sequence"] == 17
    assert "tags don't move" in long.run("tag", "rc-1", code=1)


def test_search_shows_where_words_stand(long: Project) -> None:
    found = long.json("search", "broken")
    assert found["items"][0]["version"]["path"] == "a.txt"
    said = long.run("search", "broken")
    assert said.startswith("a.txt  #20\n")
    assert "broken indeed\n" in said
    assert (
        long.json("search", "broken", "--all", "-n", "3")["items"][2]["version"]["change"]["sequence"] == 18
    )
    assert long.json("search", "broken", "--path", "other/")["items"] == []


def test_open_says_where_the_page_is(long: Project) -> None:
    assert long.run("open", "a.txt", "--print") == f"{long.server.url}/p/{long.slug}/files/a.txt\n"


# --- completion ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_gets_its_completion(folder: Project, shell: str) -> None:
    assert "_VERSO_COMPLETE" in folder.run("completion", shell)


def test_paths_and_projects_are_completed_as_they_are_typed(folder: Project, told: Project) -> None:
    def complete(project: Project, line: str, **options: Any) -> list[str]:
        words = line.split(" ")
        out = project.run(
            _VERSO_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), **options
        )
        return [each.partition(",")[2] for each in out.splitlines() if each]

    assert complete(folder, "verso blame do") == ["docs/"]
    assert complete(folder, "verso blame docs/g") == [NEW]
    assert complete(folder, "verso log gui", cwd=folder.cwd / "docs") == ["guide.md"]
    assert complete(folder, "verso log ../d", cwd=folder.cwd / "docs") == ["../docs/"]
    assert complete(told, "verso log -p told") == [told.slug]
    assert complete(folder, "verso log -p told") == []

"""Git histories into a real server: each tree equal, each byte equal, whatever a history holds."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from app.client.api import Api as Client
from app.client.import_git import import_into
from app.errors import VersoError
from app.sources.filters import Filter
from tests.git.making import START, File, link, module, script
from tests.git.reading import read
from tests.git.test_planning import text

if TYPE_CHECKING:
    from app.sources.git.report import Report
    from tests.git.making import Maker

LONG = b"x" * 26_000 + b"\n"
KEY = b"-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 64 + b"\n-----END RSA PRIVATE KEY-----\n"


def run(server: Client, project: str, git: Maker, **choices: Any) -> Report:
    """Import, and prove it by every byte."""
    report = import_into(server, project, read(git.path, **choices), source=str(git.path)).run(proof="full")
    assert report.proof is not None
    assert report.proof.differences == []
    return report


def log(server: Client, project: str) -> list[Any]:
    return list(server.get(f"/v1/projects/{project}/history")["items"])


def content(server: Client, project: str, path: str, at: str | None = None) -> bytes:
    return server.ask("GET", f"/v1/projects/{project}/files/{path}", query={"at": at}).body


HARD = (
    {"a.md": b"one\ntwo\n", "empty.md": b""},
    {"a.md": b"one\r\ntwo\r\n", "empty.md": b""},  # only line endings
    {"a.md": link("empty.md"), "empty.md": b""},
    {"a.md": b"one\r\ntwo\r\n", "empty.md": b"not any more\n"},  # and back
    {"empty.md": b""},  # delete, restore, delete
    {"a.md": b"one\r\ntwo\r\n", "empty.md": b""},
    {"empty.md": b""},
    {"empty.md": b""},  # nothing changes
    {"empty.md": b"", "notes: *draft* [1]?.md": b"colons\n", "x/nul.md": b"a\0b\n", "x/long.md": LONG},
    {"empty.md": b"", "x": b"a file where a folder was\n", "binary.png": bytes(range(256)) * 40},
    {"empty.md": script(b"#!/bin/sh\n"), "x/y/z": text(1), "swap": text(2), "module": module("1" * 40)},
    {"empty.md": b"#!/bin/sh\n", "x/y/z": text(2), "swap": text(1), "module": module("2" * 40)},
    {"empty.md": b"no newline", "über/çà.md": b"in NFC\n", "module/now/a/folder": b"\n"},
    {"\N{GRINNING FACE}.md": b"\xff\xfe not text", "only\u200bhere.md": b"\r\r\n\n\x0c\x85\xe2\x80\xa8"},
)


def test_hard_cases_come_through_byte_by_byte(server, project, git):
    made = git.line(*HARD)
    report = run(server, project, git)
    assert report.commits == len(made)
    assert report.proof.identical == len(made)
    assert report.proof.filtered == 0
    assert report.left_out == report.rewritten == []
    history = log(server, project)
    assert [each["origin"]["id"] for each in history] == made
    assert history[7]["version_count"] == 0
    assert [v["action"] for each in history for v in each["versions"] if v["path"] == "a.md"] == [
        "add", "edit", "edit", "edit", "delete", "add", "delete",
    ]  # fmt: skip
    assert len({v["document"] for each in history for v in each["versions"] if v["path"] == "a.md"}) == 1
    assert content(server, project, "x/nul.md", at=made[8]) == b"a\0b\n"
    assert content(server, project, "a.md", at=made[2]) == b"empty.md"


def test_swapped_documents_keep_their_histories(server, project, git):
    one, other = text(1), text(2)
    git.line({"a": one, "b": other}, {"a": other + b"x\n", "b": one + b"y\n"})
    run(server, project, git)
    first, second = log(server, project)
    was = {v["path"]: v["document"] for v in first["versions"]}
    now = {v["path"]: v["document"] for v in second["versions"]}
    assert now == {"a": was["b"], "b": was["a"]}
    assert {v["action"] for v in second["versions"]} == {"move"}


def test_an_octopus_and_criss_cross_merges(server, project, git):
    base = git.commit({"a": text(1), "b": text(2), "c": text(3)})
    arms = [
        git.commit({"a": text(1) + b"1\n", "b": text(2), "c": text(3)}, base),
        git.commit({"a": text(1), "moved": text(2), "c": text(3)}, base),
        git.commit({"a": text(1), "b": text(2)}, base),
    ]
    octopus = git.commit({"a": text(1) + b"1\n", "moved": text(2)}, *arms)
    left = git.commit({"a": b"left\n" + text(1), "moved": text(2)}, octopus, arms[1])
    right = git.commit({"a": text(1) + b"right\n", "other": text(2)}, octopus, arms[0])
    one = git.commit({"a": b"left\n" + text(1) + b"right\n", "other": text(2)}, left, right)
    two = git.commit({"a": b"left\n" + text(1) + b"right\n", "moved": text(2)}, right, left)
    git.commit({"a": b"left\n" + text(1) + b"right\n", "moved": text(2)}, one, two)
    report = run(server, project, git)
    assert report.proof.identical == report.commits == 10
    assert report.merges == 6


def test_who_and_when_is_as_the_commit_says_whatever_its_encoding(server, project, git):
    raw = "José Müller <jose@example.com>"
    git.commit(
        {"a": b"1"}, author=raw.encode(), message="Grüße\n\nCo-authored-by: Bot <bot@example.com>\n".encode()
    )
    latin = git.commit(
        {"a": b"2"},
        git.repository.head.target.__str__(),
        author=raw.encode("latin-1"),
        message="Grüße, zweitens\n".encode("latin-1"),
        encoding=b"ISO-8859-1",
    )
    bare = git.commit(
        {"a": b"3"}, latin, author="Łukasz <l@x>".encode("iso-8859-2"), message=b"\xb3\n\0 more\n"
    )
    git.commit(
        {"a": b"4"}, bare, author=b" <>", committer=b"C <c@x>", message=b"", encoding=b"no-such-encoding"
    )
    run(server, project, git)
    first, second, third, fourth = log(server, project)
    assert (first["author_name"], first["origin"]["author_email"]) == ("José Müller", "jose@example.com")
    assert first["co_authors"] == [{"name": "Bot", "email": "bot@example.com"}]
    assert (second["author_name"], second["message"]) == ("José Müller", "Grüße, zweitens\n")
    assert third["message"] == "³\n more\n"
    assert fourth["author_name"] == "unknown"
    for each in (first, second, third, fourth):
        kept = git.repository.read(each["origin"]["id"])[1]
        assert each["origin"]["sha256"] == hashlib.sha256(kept).hexdigest()


def test_clocks_that_are_wrong_do_not_turn_history_around(server, project, git):
    times = [START, START + 500, START + 100, START + 200, 4_000_000_000, START + 300, 0, START + 400]
    last: list[str] = []
    for number, at in enumerate(times):
        last = [git.commit({"a": b"%d\n" % number}, *last, at=at)]
    report = run(server, project, git)
    history = log(server, project)
    written = [datetime.fromisoformat(each["authored_at"]) for each in history]
    committed = [datetime.fromisoformat(each["committed_at"]) for each in history]
    assert written == [datetime.fromtimestamp(at, UTC) for at in times]
    assert committed == [
        datetime.fromtimestamp(START + after, UTC) for after in (0, 0, 100, 200, 200, 300, 300, 400)
    ]
    assert report.dates_adjusted == 3


def test_names_that_verso_cannot_have_come_in_under_others_and_are_reported(server, project, git):
    git.line(
        {
            b"caf\xe9.md": b"latin-1\n",
            "cafe\u0301/menu.md".encode(): b"NFD\n",
            b"tab\there.md": b"control\n",
            "x" * 500 + "/" + "y" * 600: b"too long\n",
            "ok.md": b"fine\n",
        },
        {b"caf\xe9.md": b"latin-1\n", "café.md": b"taken\n", "ok.md": b"fine\n"},
    )
    report = run(server, project, git)
    first, second = log(server, project)
    assert {v["path"] for v in first["versions"]} == {"café.md", "café/menu.md", "tab%09here.md", "ok.md"}
    assert {note.path for note in report.rewritten} == {"café.md", "café", "tab%09here.md"}
    assert [note.reason for note in report.left_out] == [
        "The path is 1101 bytes long; at most 1024 are allowed.",
        "another path has the same name in Unicode's form C",
    ]
    assert content(server, project, "café.md") == b"taken\n"
    assert second["versions"][-1]["path"] == "café.md"
    assert report.proof.filtered == 2


def test_credentials_and_made_things_stay_out_and_are_listed(server, project, git):
    git.line(
        {"README.md": b"read\n", ".env": b"S=1\n", "web/node_modules/a/b.js": b"1", ".venv/x/y": b"1"},
        {"README.md": b"read\n", "deploy.md": KEY, "how.md": b"Paste -----BEGIN RSA PRIVATE KEY----- here\n"},
        {"README.md": b"read\n", "deploy.md": b"The key is elsewhere now.\n"},
    )
    report = run(server, project, git)
    assert [(note.path, note.reason) for note in report.left_out] == [
        (".env", "may hold credentials"),
        (".venv/", "belongs to a virtual environment"),
        ("web/node_modules/", "is made by a tool and can be made again"),
        ("deploy.md", "holds a private key"),
    ]
    history = log(server, project)
    assert [[v["path"] for v in each["versions"]] for each in history] == [
        ["README.md"],
        ["how.md"],
        ["how.md", "deploy.md"],
    ]
    assert (report.proof.identical, report.proof.filtered) == (1, 2)


def test_what_is_kept_out_comes_in_when_told(server, project, git):
    git.line({".env": b"S=1\n", "deploy.md": KEY})
    history = read(git.path, rules=Filter(defaults=False), keep_keys=True)
    report = import_into(server, project, history, source="here").run(proof="full")
    assert report.left_out == []
    assert report.proof.identical == 1


def test_only_what_is_included_comes_and_empty_commits_can_be_skipped(server, project, git):
    made = git.line(
        {"src/a.c": b"1"},
        {"src/a.c": b"1", "docs/a.md": b"1"},
        {"src/a.c": b"2", "docs/a.md": b"1"},
        {"src/a.c": b"2", "docs/a.md": b"2"},
    )
    rules = Filter(include=["docs/**"])
    for skip, expected in ((True, [made[1], made[3]]), (False, made)):
        home = f"{project}-{skip}".lower()
        server.post("/v1/projects", {"slug": home})
        history = read(git.path, rules=rules, skip_empty=skip)
        report = import_into(server, home, history, source="here").run(proof="full")
        assert report.proof.differences == []
        assert [each["origin"]["id"] for each in log(server, home)] == expected
        again = import_into(server, home, read(git.path, rules=rules, skip_empty=skip), source="here").run()
        assert again.commits == 0
    assert [note.path for note in report.left_out] == ["src/a.c"]


def test_a_second_run_adds_only_what_is_new(server, project, git):
    base = git.commit({"a": text(1), "b": text(2)})
    side = git.commit({"a": text(1) + b"side\n", "b": text(2)}, base)
    main = git.commit({"a": text(1), "c": text(2)}, base)
    assert run(server, project, git).commits == 2
    assert run(server, project, git).commits == 0
    merge = git.commit({"a": text(1) + b"side\n", "c": text(2)}, main, side)
    git.commit({"a": text(1) + b"side\n", "c": text(2) + b"later\n"}, merge)
    server.traffic.sent_bytes = 0
    report = run(server, project, git)
    assert (report.there_before, report.commits) == (2, 3)
    assert [each["origin"]["id"] for each in log(server, project)][:4] == [base, main, side, merge]
    documents = [
        v["document"] for each in log(server, project) for v in each["versions"] if v["path"] in "bc"
    ]
    assert len(set(documents)) == 1, "what moved on one branch and came back on the other is one document"


def test_a_history_that_was_rewritten_is_refused_before_anything_is_written(server, project, git):
    git.line({"a": b"1"}, {"a": b"2"})
    run(server, project, git)
    git.line({"a": b"other"}, {"a": b"2"})
    with pytest.raises(VersoError, match="import_rewritten"):
        run(server, project, git)
    assert len(log(server, project)) == 2


def test_nothing_is_imported_below_what_was_written_here(server, project, git):
    git.line({"a": b"1"})
    run(server, project, git)
    server.ask("PUT", f"/v1/projects/{project}/files/native.md", content=b"written here\n")
    assert run(server, project, git).commits == 0
    git.commit({"a": b"2"}, git.repository.head.target.__str__())
    with pytest.raises(VersoError, match="import_diverged"):
        run(server, project, git)


def test_other_filters_on_a_second_run_are_refused(server, project, git):
    git.line({"a": b"1", "docs/b": b"1"})
    run(server, project, git)
    git.commit({"a": b"2", "docs/b": b"1"}, git.repository.head.target.__str__())
    with pytest.raises(VersoError, match="import_filters_changed"):
        import_into(server, project, read(git.path, rules=Filter(["docs/**"])), source="here").run()


def test_two_imports_at_once_end_as_one(server, project, git, api, token):
    made = git.line(*({"a": b"%d\n" % n} for n in range(40)))

    def work() -> Report:
        with Client(api.url, token) as client:
            return import_into(client, project, read(git.path), source="here", batch=7).run()

    with ThreadPoolExecutor(2) as pool:
        reports = [running.result() for running in [pool.submit(work), pool.submit(work)]]
    assert [report.proof.identical for report in reports if report.proof] == [40, 40]
    assert [each["origin"]["id"] for each in log(server, project)] == made


def test_an_import_that_lost_its_place_looks_again_and_goes_on(server, project, git):
    git.line({"a": b"1"}, {"a": b"2"})
    importing = import_into(server, project, read(git.path), source="here")
    sent, places = importing._send, ["0" * 64]

    def send(batch: Any, after: str | None, *rest: Any, **options: Any) -> str:
        return sent(batch, places.pop() if places else after, *rest, **options)

    importing._send = send  # type: ignore[method-assign]
    report = importing.run()
    assert places == []
    assert report.proof is not None
    assert report.proof.identical == 2


def test_authors_become_accounts_where_a_file_or_the_mailmap_says_so(server, project, git):
    me = server.get("/v1/me")
    mailmap = b"Anna Right <anna@example.com> <anna@laptop.local>\n"
    last: list[str] = []
    for author in (b"Anna <anna@example.com>", b"anna <anna@laptop.local>", b"Bert <bert@example.com>"):
        last = [git.commit({".mailmap": mailmap, "a": author}, *last, author=author)]
    git.repository.set_head("refs/heads/main")
    authors = ["# who is who", f"Anna Right <anna@example.com> = {me['handle']}"]
    history = read(git.path, authors=authors)
    report = import_into(server, project, history, source="here").run(proof="full")
    told = [
        (each["author_name"], (each["origin"]["attributed_to"] or {}).get("id"))
        for each in log(server, project)
    ]
    assert told == [("Anna", me["id"]), ("anna", me["id"]), ("Bert", None)]
    assert {(each.name, each.account) for each in report.authors} == {
        ("Anna", me["handle"]),
        ("anna", me["handle"]),
        ("Bert", None),
    }


def test_tags_of_imported_commits_become_tags(server, project, git):
    first, second = git.line({"a": b"1"}, {"a": b"2"})
    git.tag("v1.0", first, "The first one\n")
    git.tag("light", second)
    git.tag("2024-01-01", second)
    git.tag("v2", second)
    elsewhere = git.commit({"a": b"3"}, second)
    git.tag("elsewhere", elsewhere)
    git.branch("main", second)
    planned = import_into(server, project, read(git.path), source="here").plan()
    report = run(server, project, git)
    assert report.tags is not None
    assert planned.tags == report.tags
    assert sorted(report.tags.made) == ["light", "v1.0"]
    assert {tag.name for tag in report.tags.left_out} == {"2024-01-01", "elsewhere", "v2"}
    tags = {tag["name"]: tag for tag in server.get(f"/v1/projects/{project}/tags")["items"]}
    assert (tags["v1.0"]["change"], tags["v1.0"]["message"]) == (1, "The first one\n")
    assert run(server, project, git).tags.there == ["light", "v1.0"]


def test_a_dry_run_says_what_would_be_and_writes_nothing(server, project, git):
    git.line({"a": text(1)}, {"b": text(1) + b"x\n"}, {"b": link("c"), "d": text(2)})
    planned = import_into(server, project, read(git.path), source="here").plan()
    assert log(server, project) == []
    report = run(server, project, git)
    for name in ("commits", "versions", "renames", "copies", "modes", "contents", "content_bytes"):
        assert getattr(planned, name) == getattr(report, name)
    assert report.versions == {"add": 2, "move": 1, "edit": 1}
    assert report.modes == {"120000": 1}


def test_a_difference_is_found_and_named(server, project, git):
    """The proof must be able to fail: here what Git says is changed after the import."""
    _, second = git.line({"a": b"1", "b": b"1"}, {"a": b"2", "b": b"1"})
    run(server, project, git)
    history = read(git.path)
    real = history.trees.tree_id
    other = read(git.path).repository.commit(second).tree
    history.trees.tree_id = lambda tree: b"\0" * 20 if tree == other else real(tree)  # type: ignore[assignment]
    report = import_into(server, project, history, source="here").run()
    assert [(each.change, each.commit, each.what) for each in report.proof.differences] == [
        (2, second, "the tree has another id than Git's")
    ]
    assert not report.is_proven


@pytest.mark.parametrize("name", ["first-parent", "full"])
def test_both_ways_to_read_merges_give_the_trees(server, project, git, name):
    base = git.commit({"a": text(1)})
    side = git.commit({"a": text(1), "s": text(2)}, base)
    main = git.commit({"b": text(1)}, base)
    git.commit({"b": text(1), "s": text(2)}, main, side)
    report = run(server, project, git, first_parent=name == "first-parent")
    assert report.commits == (3 if name == "first-parent" else 4)
    assert report.proof.identical == report.commits


def test_submodules_keep_their_commit_and_their_mode(server, project, git):
    git.line({"m": module("1" * 40)}, {"m": module("2" * 40), "s": File(b"#!/bin/sh\n", b"100755")})
    run(server, project, git)
    assert content(server, project, "m") == b"2" * 40
    assert [v["mode"] for v in log(server, project)[1]["versions"]] == ["160000", "100755"]


@pytest.mark.parametrize(
    "item",
    [
        {"path": "a", "of": "b", "delete": True},
        {"path": "a", "of": "../b", "take": "1" * 40},
        {"path": "a", "of": "b", "take": "1" * 40},
        {"path": "a", "of": 1, "take": "1" * 40},
    ],
)
def test_another_name_of_a_document_is_only_for_what_is_taken_or_merged(server, project, git, item):
    commit = git.commit({"a": b"1"})
    raw = read(git.path).repository.commit(commit).raw
    moment = "2026-01-01T00:00:00Z"
    change = {
        "origin": base64.b64encode(raw).decode(),
        "origin_id": commit,
        "authored_at": moment,
        "committed_at": moment,
        "items": [item],
    }
    with pytest.raises(VersoError) as refused:
        server.post(f"/v1/projects/{project}/imports/git", {"after": None, "changes": [change]})
    assert refused.value.code in {"bad_import", "bad_item", "bad_path", "bad_value", "bad_json"}
    assert log(server, project) == []

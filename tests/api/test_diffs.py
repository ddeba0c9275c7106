"""Differences: of a document, of a change, of a range; as patches that git takes and as data."""

from __future__ import annotations

import random
from typing import Any

import pytest
from unidiff import PatchSet

from tests.api.trees import DIFF, JSON, Tree, diff, git_applied, tree_at
from tests.api.world import Project, code_of, make_project

ODD_NAMES = (
    "with blank.md",
    'quoted "name".md',
    "back\\slash.md",
    "naïve 東京/👩‍🚀.md",
    "-dash.md",
    "a b/ b/c.md",
    "percent%20.md",
    "**Intent: a b.md",
    "dev/null",
    "a/a/b/b",
    "trailing blank ",
)
ODD_TEXTS = (
    b"",
    b"no newline at the end",
    b"crlf\r\nlines\r\n",
    b"lone\rcr\n",
    b"\n\n\n",
    b"-- like a header\n++ like another\n@@ -1 +1 @@\n",
    b"diff --git a/x b/x\nrename from x\n",
    b"\\ No newline at end of file\n",
    b"\xff\xfe not UTF-8\n",
    "line\u2028separator\n".encode(),
    b"form\x0cfeed\n",
)


def shown(project: Project, url: str, **query: Any) -> bytes:
    answer = project.people.reader.get(f"{project.url}{url}", params=query, headers=DIFF)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/x-diff")
    return answer.content


def test_a_diff_of_a_change_applies_with_git(project: Project) -> None:
    project.change(*({"path": name, "text": "one\ntwo\n"} for name in ODD_NAMES))
    old = tree_at(project)
    assert git_applied({}, shown(project, "/changes/1/diff")) == old
    entries = project.people.reader.get(f"{project.url}/tree?limit=200").json()["items"]
    project.change(*({"path": each["path"], "base": each["version"], "text": "one\n2\n"} for each in entries))
    new = tree_at(project)
    patch = shown(project, "/changes/2/diff")
    assert git_applied(old, patch) == new
    assert git_applied(new, patch, "-R") == old
    assert len(PatchSet.from_string(patch, encoding="utf-8", errors="surrogateescape")) == len(ODD_NAMES)


def test_odd_texts_come_and_go_byte_for_byte(project: Project) -> None:
    heads = {}
    for number, text in enumerate(ODD_TEXTS):
        heads[number] = project.written(f"{number}.txt", text)
    old = tree_at(project)
    for number, head in heads.items():
        project.put(f"{number}.txt", ODD_TEXTS[(number + 1) % len(ODD_TEXTS)], base=head["hash"])
    new = tree_at(project)
    points = len(ODD_TEXTS)
    assert git_applied({}, diff(project, from_=0, to=points).content) == old
    assert git_applied(old, diff(project, from_=points).content) == new
    assert git_applied(new, diff(project, from_="2999-01-01", to=0).content) == {}


def test_renames_are_shown_as_renames(project: Project) -> None:
    text = "".join(f"line {number}\n" for number in range(20))
    a = project.written("a.md", text)
    b = project.written("b.md", "small\n")
    project.change(
        {
            "document": a["document"],
            "base": a["hash"],
            "path": "moved/a.md",
            "text": text.replace("line 3\n", ""),
        },
        {"document": b["document"], "base": b["hash"], "path": "moved/b.md"},
    )
    patch = diff(project, from_=2).content
    assert b"rename from a.md\nrename to moved/a.md\n" in patch
    assert b"similarity index 100%\nrename from b.md\nrename to moved/b.md\n" in patch
    assert git_applied(tree_at(project, 2), patch) == tree_at(project)


def test_swapped_names_and_taken_ones_apply(project: Project) -> None:
    a, b, c = (project.written(f"{name}.md", f"this is {name}\n" * 3) for name in "abc")
    project.change(
        {"document": a["document"], "base": a["hash"], "path": "b.md"},
        {"document": b["document"], "base": b["hash"], "path": "a.md"},
        {"document": c["document"], "base": c["hash"], "path": "d/c.md"},
        {"path": "c.md", "text": "new at an old name\n"},
    )
    assert git_applied(tree_at(project, 3), diff(project, from_=3).content) == tree_at(project)


def test_a_name_that_was_deleted_and_taken_is_left_before_it_is_taken(project: Project) -> None:
    """Ids are random, so one pair could be in order by luck."""
    for number in range(6):
        taker, gone = (project.written(f"{number}/{name}", f"{name} of {number}\n") for name in ("z", "a"))
        project.change(
            {"document": gone["document"], "base": gone["hash"], "delete": True},
            {"document": taker["document"], "base": taker["hash"], "path": f"{number}/a"},
        )
    for number in range(6):
        at = 3 * number + 2
        patch = diff(project, from_=at, to=at + 1).content
        assert git_applied(tree_at(project, at), patch) == tree_at(project, at + 1)


def test_what_became_a_folder_applies(project: Project) -> None:
    a = project.written("a", "file\n")
    project.change(
        {"document": a["document"], "base": a["hash"], "delete": True}, {"path": "a/b", "text": "below\n"}
    )
    assert git_applied(tree_at(project, 1), diff(project, from_=1).content) == tree_at(project)


def wander(project: Project, chance: random.Random, *, steps: int) -> None:
    """Any changes that an editor may make, several at a time."""
    for step in range(steps):
        live = project.people.reader.get(f"{project.url}/tree?limit=200").json()["items"]
        chance.shuffle(live)
        items: list[dict[str, Any]] = []
        for entry in live[: chance.randrange(4)]:
            known = {"document": entry["document"], "base": entry["version"]}
            text = "".join(chance.choice("abc\n") for _ in range(chance.randrange(30)))
            items.append(
                chance.choice(
                    [
                        {**known, "delete": True},
                        {**known, "path": f"m{step}/{chance.randrange(99)}-{len(items)}"},
                        {**known, "text": text},
                        {**known, "text": text, "path": f"w{step}/{len(items)}"},
                    ]
                )
            )
        if len(live) > 5:
            one, two = live[4], live[5]
            for here, there in ((one, two), (two, one)):
                items.append({"document": here["document"], "base": here["version"], "path": there["path"]})
        items += [{"path": f"n{step}/{number}", "text": f"new {step}\n" * number} for number in range(2)]
        answer = project.change(*items)
        assert answer.is_success, answer.text


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_history_can_be_applied_between_any_two_points(project: Project, seed: int) -> None:
    chance = random.Random(seed)
    wander(project, chance, steps=6)
    trees = [tree_at(project, point) for point in range(7)]
    for older, newer in ((0, 6), (6, 0), (1, 5), (4, 2), (3, 3), (5, 6)):
        patch = diff(project, from_=older, to=newer).content
        assert git_applied(trees[older], patch) == trees[newer], (older, newer)


def test_a_patch_is_whole_however_many_files_it_has(project: Project) -> None:
    project.change(*({"path": f"{number:03}.md", "text": "x\n"} for number in range(230)))
    patch = diff(project, from_=0).content
    assert patch.count(b"diff --git ") == 230
    assert len(git_applied({}, patch)) == 230
    page = project.people.reader.get(f"{project.url}/diff?from=0&limit=100", headers=DIFF)
    assert page.content.count(b"diff --git ") == 100
    assert 'rel="next"' in page.headers["link"]
    items, cursor, pages = [], None, 0
    while True:
        query = {"from": "0", "limit": "100"} | ({"cursor": cursor} if cursor else {})
        answer = project.people.reader.get(f"{project.url}/diff", params=query, headers=JSON).json()
        items += [each["to"]["path"] for each in answer["items"]]
        cursor, pages = answer["next"], pages + 1
        if cursor is None:
            break
    assert (items, pages) == ([f"{number:03}.md" for number in range(230)], 3)


def test_binary_files_are_said_to_differ_and_nothing_is_made_up(project: Project) -> None:
    first = project.written("a.bin", b"\0one")
    project.written("a.bin", b"\0two", base=first["hash"])
    patch = diff(project, from_=1).content
    assert b"Binary files a/a.bin and b/a.bin differ\n" in patch
    found = project.people.reader.get(f"{project.url}/diff?from=1", headers=JSON).json()["items"][0]["diff"]
    assert (found["binary"], found["hunks"], found["old"]["size"]) == (True, [], 4)


def test_a_prefix_limits_what_is_compared(project: Project) -> None:
    project.change({"path": "a/1", "text": "x\n"}, {"path": "b/1", "text": "x\n"})
    assert list(git_applied({}, diff(project, from_=0, prefix="b/").content)) == ["b/1"]


def test_the_json_of_a_range_has_hunks_words_and_versions(project: Project) -> None:
    first = project.written("a.md", "the quick brown fox\nstays\n")
    second = project.written("a.md", "the slow brown fox\nstays\n", base=first["hash"])
    answer = project.people.reader.get(f"{project.url}/changes/2/diff", headers=JSON).json()
    assert (answer["from"], answer["to"], answer["next"]) == (1, 2, None)
    (item,) = answer["items"]
    assert (item["from"]["hash"], item["to"]["hash"]) == (first["hash"], second["hash"])
    removed, added = item["diff"]["hunks"][0]["lines"][:2]
    assert (removed["text"][slice(*removed["spans"][0])], added["text"][slice(*added["spans"][0])]) == (
        "quick",
        "slow",
    )
    assert item["diff"]["summary"] | {"moved": 0, "similarity": 0} == {
        "added": 1,
        "removed": 1,
        "moved": 0,
        "similarity": 0,
    }


def test_granularity_says_how_small_a_difference_is(project: Project) -> None:
    first = project.written("a.md", "the quick brown fox jumps\n")
    project.written("a.md", "the quack brown fox jumps\n", base=first["hash"])
    url = f"/v1/documents/{first['document']}/diff"
    spans = {}
    for granularity in ("line", "word", "character"):
        answer = project.people.reader.get(url, params={"granularity": granularity}, headers=JSON).json()
        spans[granularity] = answer["diff"]["hunks"][0]["lines"][0].get("spans")
    assert spans == {"line": None, "word": [[4, 9]], "character": [[6, 7]]}


def test_what_is_ignored_makes_no_difference(project: Project) -> None:
    first = project.written("a.md", "one two\r\nthree\r\n")
    project.written("a.md", "one   two\nthree\n", base=first["hash"])
    url = f"/v1/documents/{first['document']}/diff"
    sizes = {
        ignore: len(
            project.people.reader.get(url, params={"ignore": ignore}, headers=DIFF).content.splitlines()
        )
        for ignore in ("nothing", "line-endings", "space-amount", "all-space")
    }
    assert sizes["nothing"] > sizes["line-endings"] > sizes["space-amount"] == sizes["all-space"] == 0


def test_context_is_as_asked(project: Project) -> None:
    text = "".join(f"{number}\n" for number in range(40))
    first = project.written("a.md", text)
    project.written("a.md", text.replace("20\n", "twenty\n"), base=first["hash"])
    for context in (0, 1, 10, 1000):
        patch = diff(project, from_=1, context=context).content
        applied = git_applied(tree_at(project, 1), patch, *(["--unidiff-zero"] if context == 0 else []))
        assert applied == tree_at(project)
        assert len(PatchSet(patch.decode())[0][0]) == 2 + min(context, 20) + min(context, 19)
    for context in ("-1", "1001", "many"):
        assert project.people.reader.get(f"{project.url}/diff?from=1&context={context}").status_code in {
            400,
            422,
        }


def test_what_is_too_large_is_said_so_and_does_not_hide_the_rest(project: Project) -> None:
    big = b"x" * (17 << 20)
    head = project.written("big.txt", big)
    project.change({"path": "small.md", "text": "small\n"})
    project.put("big.txt", big + b"y", base=head["hash"])
    refused = project.people.reader.get(f"/v1/documents/{head['document']}/diff", headers=JSON)
    assert (refused.status_code, code_of(refused)) == (422, "diff_too_large")
    assert refused.json()["to"]["size"] == len(big) + 1
    answer = project.people.reader.get(f"{project.url}/diff?from=1", headers=JSON)
    big_one, small_one = answer.json()["items"]
    assert (big_one["diff"], big_one["to"]["size"]) == (None, len(big) + 1)
    assert small_one["diff"]["summary"]["added"] == 1
    patch = diff(project, from_=1).content
    assert b"Binary files a/big.txt and b/big.txt differ\n" in patch
    assert b"+small\n" in patch


def test_a_diff_in_no_known_form_is_406(project: Project) -> None:
    first = project.written("a.md", "1")
    for url in (f"{project.url}/diff?from=0", f"/v1/documents/{first['document']}/diff"):
        answer = project.people.reader.get(url, headers={"Accept": "image/png"})
        assert (answer.status_code, code_of(answer)) == (406, "not_acceptable")


# Two documents ----------------------------------------------------------------------------------


def test_two_documents_are_compared_wherever_they_are(project: Project) -> None:
    one = project.written("one.md", "same\nfirst\n")
    two = project.written("two.md", "same\nsecond\n")
    project.written("two.md", "same\nthird\n", base=two["hash"])
    url = f"{project.url}/compare"
    for older, newer, added in (
        ("one.md", "two.md", b"+third"),
        ("one.md", "two.md@v1", b"+second"),
        (one["document"], f"{two['document']}@2", b"+second"),
        ("two.md", "one.md@1", b"+first"),
    ):
        answer = project.people.reader.get(url, params={"from": older, "to": newer}, headers=DIFF)
        assert answer.status_code == 200, answer.text
        assert answer.content.splitlines()[-1] == added
    as_json = project.people.reader.get(url, params={"from": "one.md", "to": "two.md"}, headers=JSON).json()
    assert (as_json["from"]["path"], as_json["to"]["path"]) == ("one.md", "two.md")


def test_a_path_with_an_at_in_it_can_be_compared(project: Project) -> None:
    project.written("me@home.md", "1\n")
    project.written("b.md", "2\n")
    url = f"{project.url}/compare"
    for name in ("me@home.md@", "me@home.md@v1"):
        answer = project.people.reader.get(url, params={"from": name, "to": "b.md"}, headers=JSON)
        assert answer.json()["from"]["path"] == "me@home.md"


def test_what_cannot_be_compared_is_404(project: Project) -> None:
    mine = project.written("a.md", "1\n")
    for older in ("b.md", "a.md@v9", "a.md@no-tag", "00000000-0000-0000-0000-000000000000"):
        answer = project.people.reader.get(f"{project.url}/compare", params={"from": older, "to": "a.md"})
        assert answer.status_code == 404, older
    answer = project.people.outsider.get(
        f"{project.url}/compare", params={"from": mine["document"], "to": "a.md"}
    )
    assert answer.status_code == 404


def test_a_document_of_another_project_is_not_there(project: Project, people: Any) -> None:
    other = make_project(people)
    theirs = other.written("b.md", "secret\n")
    project.written("a.md", "1\n")
    answer = project.people.reader.get(
        f"{project.url}/compare", params={"from": "a.md", "to": theirs["document"]}
    )
    assert (answer.status_code, code_of(answer)) == (404, "document_not_found")


# What it costs ------------------------------------------------------------------------------------


def test_a_diff_that_was_made_once_costs_one_round_trip(project: Project, api: Any) -> None:
    first = project.written("a.md", "1\n")
    project.written("a.md", "2\n", base=first["hash"])
    url = f"/v1/documents/{first['document']}/diff"
    for headers in (DIFF, JSON):
        made = project.people.reader.get(url, headers=headers)
        again = project.people.owner.get(url, headers=headers)
        assert api.cost(again) == 1
        assert again.content == made.content


def test_a_finished_diff_is_still_refused_to_strangers(project: Project) -> None:
    first = project.written("a.md", "1\n")
    url = f"/v1/documents/{first['document']}/diff"
    assert project.people.reader.get(url).status_code == 200
    assert project.people.outsider.get(url).status_code == 404


def test_documents_with_one_content_keep_their_own_names(project: Project) -> None:
    for name in ("a.md", "b.md"):
        project.written(name, "same\n")
    patches: dict[str, Tree] = {}
    for name in ("a.md", "b.md"):
        patches[name] = git_applied({}, diff(project, from_=0, prefix=name).content)
    assert patches == {"a.md": {"a.md": b"same\n"}, "b.md": {"b.md": b"same\n"}}

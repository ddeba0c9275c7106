"""Search over HTTP: what documents are and were, what couldn't be searched, and when a sentence came and went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Api, Person, Project, code_of, make_project, tag

if TYPE_CHECKING:
    from tests.api.world import People


def search(person: Person, project: Project, q: str, **query: Any) -> dict[str, Any]:
    query = {"in" if name == "where" else name: value for name, value in query.items()}
    answer = person.get(f"{project.url}/search", params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def places(page: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["version"]["path"], each["version"]["number"]) for each in page["items"]]


def occurrences(person: Person, document: str, text: str) -> dict[str, Any]:
    answer = person.get(f"/v1/documents/{document}/occurrences", params={"text": text})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def spans(found: dict[str, Any]) -> list[tuple[int, int | None]]:
    return [
        (each["appeared"]["number"], each["disappeared"] and each["disappeared"]["number"])
        for each in found["spans"]
    ]


def test_the_latest_and_all_versions(project, people):
    first = project.written("a.md", "The foxes were running.\n")
    project.written("a.md", "The dogs were sleeping.\n", base=first["hash"])
    project.written("b.md", "A fox runs.\n")
    assert places(search(people.reader, project, "fox run")) == [("b.md", 1)]
    assert places(search(people.reader, project, "fox run", where="all")) == [("b.md", 1), ("a.md", 1)]
    assert places(search(people.reader, project, "sleep")) == [("a.md", 2)]
    assert places(search(people.reader, project, "run -foxes")) == []
    assert places(search(people.reader, project, '"dogs were"')) == [("a.md", 2)]
    assert places(search(people.reader, project, "sleep or fox")) == [("b.md", 1), ("a.md", 2)]


def test_a_passage_says_where_the_matches_are(project, people):
    project.written("a.md", "# Größe\n\nfirst 😀 apple, then the Apples\nlast line\n")
    hit = search(people.reader, project, "apples")["items"][0]["snippets"][0]
    assert [hit["text"][start:end] for start, end in hit["matches"]] == ["apple", "Apples"]
    assert hit["line"] == 1
    assert "last line" in hit["text"]


def test_the_line_of_a_passage_deep_in_a_document(project, people):
    project.written("a.md", "filler words here\n" * 500 + "the needle is here\n" + "more filler\n" * 500)
    hit = search(people.reader, project, "needle")["items"][0]["snippets"][0]
    start = hit["matches"][0][0]
    assert hit["line"] + hit["text"][:start].count("\n") == 501


def test_a_passage_is_plain_text_whatever_the_document_holds(project, people):
    project.written(
        "a.md", "an <b>evil</b> apple <script>alert(1)</script> 00000000-0000-0000-0000-000000000000( x\n"
    )
    hit = search(people.reader, project, "apple")["items"][0]["snippets"][0]
    assert [hit["text"][start:end] for start, end in hit["matches"]] == ["apple"]


def test_by_path_author_and_time(project, people):
    project.written("docs/a.md", "apple\n")
    second = project.written("docs/b.md", "apple\n", by=people.owner)
    project.written("src/c.md", "apple\n")
    at = {"until": second["change"]["committed_at"]}
    since = {"since": second["change"]["committed_at"]}
    for where in ("latest", "all"):
        ask = {"where": where}
        assert places(search(people.reader, project, "apple", prefix="docs/", **ask)) == [
            ("docs/b.md", 1),
            ("docs/a.md", 1),
        ]
        assert places(search(people.reader, project, "apple", author=people.owner.handle, **ask)) == [
            ("docs/b.md", 1)
        ]
        assert places(search(people.reader, project, "apple", author="nobody-here", **ask)) == []
        assert places(search(people.reader, project, "apple", **at, **ask)) == [("docs/a.md", 1)]
        assert places(search(people.reader, project, "apple", **since, **ask)) == [
            ("src/c.md", 1),
            ("docs/b.md", 1),
        ]


@pytest.mark.parametrize("where", ["latest", "all"])
def test_pages_make_the_whole(project, people, where):
    project.change(*({"path": f"many/{n}.md", "text": f"apple {n}\n"} for n in range(7)))
    project.written("more.md", "apple pie\n")
    whole = places(search(people.reader, project, "apple", where=where))
    assert len(whole) == 8
    found, cursor = [], None
    for _ in range(4):
        more = {} if cursor is None else {"cursor": cursor}
        page = search(people.reader, project, "apple", where=where, limit=2, **more)
        found += places(page)
        cursor = page["next"]
    assert found == whole
    assert cursor is None


def test_it_says_what_could_not_be_searched(project, people):
    project.written("a.md", "apple\n")
    assert search(people.reader, project, "apple")["complete"] is True
    project.written("large.txt", "apple " * 100_000)
    project.written("picture.png", b"\x89PNG\0apple")
    project.written("latin.txt", "äpple".encode("latin-1"))
    for where in ("latest", "all"):
        page = search(people.reader, project, "apple", where=where)
        assert places(page) == [("a.md", 1)]
        assert page["complete"] is False
        assert page["missing"] == {"too_large": 1, "not_text": 2, "not_indexed": 0}


def test_what_was_not_at_hand_is_brought_by_the_first_who_searches(project, people):
    """Larger uploads are files, gone when their change is answered: they are read back when somebody asks."""
    project.written("large.txt", "needle\n" + "hay " * 80_000)
    page = search(people.reader, project, "needle")
    assert (places(page), page["complete"]) == ([("large.txt", 1)], True)


def test_moves_deletes_and_restores_are_followed(project, people):
    first = project.written("a.md", "apple\n")
    moved = project.change({"document": first["document"], "base": first["hash"], "path": "b.md"}).json()
    head = moved["change"]["versions"][0]
    assert places(search(people.reader, project, "apple")) == [("b.md", 2)]
    assert places(search(people.reader, project, "apple", where="all")) == [("b.md", 2), ("a.md", 1)]
    gone = people.editor.delete(project.file("b.md"), headers={"If-Match": f'"{head["hash"]}"'})
    assert places(search(people.reader, project, "apple")) == []
    people.editor.post(f"/v1/documents/{first['document']}/undelete", headers={"If-Match": f'"{tag(gone)}"'})
    assert places(search(people.reader, project, "apple")) == [("b.md", 4)]


def test_another_projects_words_are_never_found(project, people: People):
    other = make_project(people)
    other.written("secret.md", "apple pie\n")
    project.written("a.md", "pear\n")
    for where in ("latest", "all"):
        for q in ("apple", "-pear", "apple or pear", f'"in {other.id}"', other.id):
            assert "secret.md" not in str(search(people.reader, project, q, where=where)), q
    answer = people.outsider.get(f"{project.url}/search?q=pear")
    assert (answer.status_code, code_of(answer)) == (404, "project_not_found")


@pytest.mark.parametrize("q", ["", "the and", "!!!", "&"])
def test_a_query_without_a_word(project, people, q):
    answer = people.reader.get(f"{project.url}/search", params={"q": q})
    assert (answer.status_code, code_of(answer)) == (422, "bad_query")


def test_when_a_sentence_came_and_went_and_came_again(project, people):
    first = project.written("a.md", "Nothing.\n")
    second = project.written("a.md", "It holds:\n  the  sky is\nblue.\n", base=first["hash"], by=people.owner)
    third = project.written("a.md", "It holds no more.\n", base=second["hash"])
    found = occurrences(people.reader, first["document"], "the sky\tis  blue.")
    assert found["text"] == "the sky is blue."
    assert (spans(found), found["present"], found["complete"]) == ([(2, 3)], False, True)
    assert found["spans"][0]["appeared"]["author"]["id"] == people.owner.id
    assert found["spans"][0]["disappeared"]["change"] == 3
    back = people.editor.post(
        f"/v1/documents/{first['document']}/restore",
        json={"version": 2},
        headers={"If-Match": f'"{third["hash"]}"'},
    )
    found = occurrences(people.reader, first["document"], "the sky is blue")
    assert (spans(found), found["present"]) == ([(2, 3), (4, None)], True)
    people.editor.delete(project.file("a.md"), headers={"If-Match": f'"{tag(back)}"'})
    found = occurrences(people.reader, first["document"], "the sky is blue")
    assert (spans(found), found["present"]) == ([(2, 3), (4, 5)], False)


@pytest.mark.parametrize(
    ("needle", "there"),
    [
        ("a.c", False),
        ("abc", True),
        ("(x|y)", True),
        ("***=", True),
        ("\\d [z-a]", True),
        ("_ %", True),
        ("bc def", True),
        ("c de", True),
        ("ABC", False),
        ("ümläut 😀", True),
        ("def (x|y)", True),
    ],
)
@pytest.mark.parametrize("indexed", [True, False])
def test_a_text_is_looked_for_as_it_is(project, people, needle, there, indexed):
    text = "abc  def\n(x|y)\r\n***=  \\d\n[z-a] _\n%\tümläut\f😀\n"
    content = text.encode() if indexed else b"\xff" + text.encode()
    first = project.written("a.md", content)
    if indexed:
        search(people.reader, project, "def")
    assert occurrences(people.reader, first["document"], needle)["present"] is there


def test_a_search_takes_one_round_trip_and_an_occurrence_two(api: Api, project, people):
    first = project.written("a.md", "apple\n")
    assert search(people.reader, project, "apple")["complete"]
    answer = people.reader.get(f"{project.url}/search?q=apple")
    assert (len(answer.json()["items"]), api.cost(answer)) == (1, 1)
    answer = people.reader.get(f"/v1/documents/{first['document']}/occurrences?text=apple")
    assert (answer.json()["present"], api.cost(answer)) == (True, 2)


@pytest.mark.parametrize("text", ["", " \n ", "x" * 2001])
def test_no_text_to_look_for(project, people, text):
    first = project.written("a.md", "apple\n")
    answer = people.reader.get(f"/v1/documents/{first['document']}/occurrences", params={"text": text})
    assert (answer.status_code, code_of(answer)) == (422, "bad_query")


def test_strangers_are_told_nothing_of_a_documents_words(project, people):
    first = project.written("a.md", "apple\n")
    answer = people.outsider.get(f"/v1/documents/{first['document']}/occurrences?text=apple")
    assert (answer.status_code, code_of(answer)) == (404, "document_not_found")

"""Who one is, projects, members with their rules, sessions, tags, the tree."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Api, Contract, Person, Project, code_of, sign_in

if TYPE_CHECKING:
    from tests.stack import Stack


def test_me_is_who_i_am_and_what_i_belong_to(
    stack: Stack, api: Api, contract: Contract, project: Project
) -> None:
    with Person(api, sign_in(stack, "newcomer"), contract) as newcomer:
        assert newcomer.get("/v1/me").json()["projects"] == []
        project.people.owner.put(f"{project.url}/members/{newcomer.id}", json={"role": "reviewer"})
        me = newcomer.get("/v1/me").json()
        assert me["id"] == newcomer.id
        assert me["handle"].startswith("newcomer")
        assert me["projects"] == [{"id": project.id, "slug": project.slug, "role": "reviewer"}]


def test_a_new_project_belongs_to_its_maker(project: Project) -> None:
    slug = f"s-{uuid.uuid4().hex[:8]}"
    made = project.people.owner.post("/v1/projects", json={"slug": slug, "name": "Näme", "description": "d"})
    assert made.status_code == 201
    body = made.json()
    assert (body["slug"], body["name"], body["role"], body["change_sequence"]) == (slug, "Näme", "owner", 0)
    assert made.headers["location"] == f"/v1/projects/{body['id']}"
    for reference in (body["id"], slug):
        assert project.people.owner.get(f"/v1/projects/{reference}").json() == body
    again = project.people.owner.post("/v1/projects", json={"slug": slug})
    assert (again.status_code, code_of(again)) == (409, "slug_taken")


@pytest.mark.parametrize("slug", ["a", "a.b", "0-9", "x" * 64, "a_b"])
def test_slugs_that_are_fine(people, stack: Stack, api: Api, contract: Contract, slug: str) -> None:
    with Person(api, sign_in(stack, "maker"), contract) as maker:
        assert maker.post("/v1/projects", json={"slug": slug}).status_code == 201


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "A",
        "a b",
        "-a",
        "a-",
        "x" * 65,
        "ü",
        "a/b",
        "a\n",
        "a\u0000",
        "0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11",
        None,
        7,
    ],
)
def test_slugs_that_are_none(project: Project, slug: Any) -> None:
    refused = project.people.owner.post("/v1/projects", json={"slug": slug})
    assert (refused.status_code, code_of(refused)) == (400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"slug":"a","colour":"red"}',
        b'{"name":"x"}',
        b"\xff",
        b'{"slug":{}}',
    ],
)
def test_a_body_that_is_not_what_it_must_be_is_a_problem(project: Project, body: bytes) -> None:
    refused = project.people.owner.post(
        "/v1/projects", content=body, headers={"Content-Type": "application/json"}
    )
    assert (refused.status_code, code_of(refused)) == (400, "bad_request"), refused.text


def test_a_project_is_renamed_and_described(project: Project) -> None:
    owner = project.people.owner
    assert owner.patch(project.url, json={"name": "New"}).json()["name"] == "New"
    edited = owner.patch(project.url, json={"description": "why"}).json()
    assert (edited["name"], edited["description"]) == ("New", "why")
    for role in ("editor", "reviewer", "reader"):
        refused = project.people.members()[role].patch(project.url, json={"name": "x"})
        assert (refused.status_code, code_of(refused)) == (403, "role_too_low")


def test_an_archived_project_is_read_and_not_written_until_it_is_reopened(project: Project) -> None:
    head = project.written("a", "1")
    assert project.people.owner.patch(project.url, json={"archived": True}).json()["archived_at"]
    assert project.people.reader.get(project.file("a")).text == "1"
    for refused in (
        project.put("b", "1"),
        project.put("big", b"x" * 300_000),
        project.change({"path": "b", "text": "1"}),
        project.people.editor.delete(project.file("a"), headers={"If-Match": f'"{head["hash"]}"'}),
        project.people.editor.post(f"{project.url}/sessions", json={"slug": "s"}),
        project.people.editor.post(f"{project.url}/tags", json={"name": "t"}),
    ):
        assert (refused.status_code, code_of(refused)) == (403, "project_archived")
    assert project.people.owner.patch(project.url, json={"archived": False}).json()["archived_at"] is None
    assert project.put("b", "1").status_code == 201


def test_projects_are_listed_by_slug_in_pages(stack: Stack, api: Api, contract: Contract) -> None:
    with Person(api, sign_in(stack, "lister"), contract) as lister:
        for slug in ("c", "a", "b"):
            lister.post("/v1/projects", json={"slug": slug}).raise_for_status()
        first = lister.get("/v1/projects", params={"limit": 2})
        assert [each["slug"] for each in first.json()["items"]] == ["a", "b"]
        assert [each["slug"] for each in lister.get(first.links["next"]["url"]).json()["items"]] == ["c"]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": -1}, {"limit": 201}, {"limit": "9" * 30}])
def test_a_page_has_1_to_200_entries(project: Project, query: dict[str, Any]) -> None:
    refused = project.people.owner.get("/v1/projects", params=query)
    assert (refused.status_code, code_of(refused)) == (422, "bad_value")


@pytest.mark.parametrize("cursor", ["x", "!!", "MA", "LTE", "Mjk5OTk5OTk5OTk5", "e30", "bnVsbA", "ü"])
@pytest.mark.parametrize("route", ["changes", "tags", "sessions", "tree", "members", "agents", "webhooks"])
def test_a_cursor_that_is_none_of_ours_is_refused_or_begins_there(
    project: Project, route: str, cursor: str
) -> None:
    answer = project.people.owner.get(f"{project.url}/{route}", params={"cursor": cursor})
    assert (answer.status_code, code_of(answer)) == (400, "bad_cursor")


# Members -------------------------------------------------------------------------------------------


def test_members_are_listed_owners_first(project: Project) -> None:
    members, url = [], f"{project.url}/members?limit=1"
    while url:
        answer = project.people.reader.get(url)
        members += answer.json()["items"]
        url = answer.links.get("next", {}).get("url")
    assert [each["role"] for each in members] == ["owner", "editor", "reviewer", "reader"]
    assert {"id", "handle", "name"} <= set(members[0]["person"])
    assert "email" not in members[0]["person"]


def test_owners_add_members_by_handle_and_change_their_roles(project: Project) -> None:
    owner, outsider = project.people.owner, project.people.outsider
    url = f"{project.url}/members/{outsider.handle}"
    assert owner.put(url, json={"role": "reader"}).json()["role"] == "reader"
    assert outsider.get(project.url).json()["role"] == "reader"
    assert owner.put(url, json={"role": "editor"}).json()["role"] == "editor"
    assert project.put("a", "1", by=outsider).status_code == 201
    assert owner.delete(url).status_code == 204
    assert outsider.get(project.url).status_code == 404
    assert project.put("b", "1", by=outsider).status_code == 404


@pytest.mark.parametrize("role", ["editor", "reviewer", "reader"])
def test_only_owners_manage_members_and_everyone_may_leave(project: Project, role: str) -> None:
    person = project.people.members()[role]
    other = f"{project.url}/members/{project.people.owner.id}"
    assert code_of(person.put(f"{project.url}/members/{person.id}", json={"role": "owner"})) == "role_too_low"
    assert code_of(person.put(other, json={"role": "reader"})) == "role_too_low"
    assert code_of(person.delete(other)) == "role_too_low"
    assert person.delete(f"{project.url}/members/{person.id}").status_code == 204
    assert person.get(project.url).status_code == 404


def test_the_last_owner_stays_one(project: Project) -> None:
    owner, editor = project.people.owner, project.people.editor
    mine = f"{project.url}/members/{owner.id}"
    for refused in (owner.delete(mine), owner.put(mine, json={"role": "editor"})):
        assert (refused.status_code, code_of(refused)) == (409, "last_owner")
    owner.put(f"{project.url}/members/{editor.id}", json={"role": "owner"}).raise_for_status()
    assert owner.put(mine, json={"role": "reader"}).json()["role"] == "reader"


def test_members_that_are_nobody_are_404(project: Project) -> None:
    owner = project.people.owner
    for person in ("nobody", str(uuid.uuid4()), "%20", "%00", "x" * 300):
        url = f"{project.url}/members/{person}"
        assert owner.put(url, json={"role": "reader"}).status_code in {400, 404}
        assert owner.delete(url).status_code in {400, 404}
    assert (
        owner.put(f"{project.url}/members/{project.people.reader.id}", json={"role": "god"}).status_code
        == 400
    )


def test_an_editor_of_some_folders_writes_there_and_reads_everything(project: Project) -> None:
    owner, editor = project.people.owner, project.people.editor
    outside = project.written("src/a.md", "1")
    inside = project.written("docs/a.md", "1")
    url = f"{project.url}/members/{editor.id}/folders"
    limited = owner.put(url, json={"folders": ["docs"]})
    assert (limited.status_code, limited.json()["folders"]) == (200, ["docs"])
    assert editor.get(project.url).json()["folders"] == ["docs"]
    assert editor.get(project.file("src/a.md")).text == "1"
    assert project.put("docs/a.md", "2", base=inside["hash"]).status_code == 200
    document = f"/v1/documents/{outside['document']}"
    based = {"If-Match": f'"{outside["hash"]}"'}
    for refused in (
        project.put("src/a.md", "2", base=outside["hash"]),
        project.put("docs-old/a.md", "2"),
        project.put("src/big.bin", b"x" * 300_000),
        project.change({"from": "src/a.md", "path": "docs/b.md", "base": outside["hash"]}),
        editor.delete(document, headers=based),
        editor.patch(document, json={"path": "docs/b.md"}, headers=based),
        editor.post(f"{project.url}/tags", json={"name": "t"}),
        editor.post(f"{project.url}/sessions", json={"slug": "s"}),
    ):
        assert (refused.status_code, code_of(refused)) == (403, "outside_folders"), refused.request.url
    assert project.people.reader.get(document).json()["head"] == outside["hash"]
    assert code_of(editor.put(url, json={"folders": None})) == "role_too_low"
    assert code_of(owner.put(url, json={"folders": ["/docs"]})) == "bad_path"
    assert code_of(owner.put(url, json={"folders": []})) == "bad_request"
    assert owner.put(url, json={"folders": None}).json()["folders"] is None
    assert project.put("src/a.md", "2", base=outside["hash"]).status_code == 200


# Sessions ------------------------------------------------------------------------------------------


def session(project: Project, **body: Any):
    return project.people.editor.post(f"{project.url}/sessions", json=body)


def test_a_session_has_the_documents_below_its_root_with_their_stages(project: Project) -> None:
    project.written("sessions/milkdown/intents/intent.md", "why")
    project.written("sessions/milkdown-2/intents/intent.md", "other")
    made = session(project, slug="milkdown", title="Milkdown")
    assert made.status_code == 201
    assert made.json()["root"] == "sessions/milkdown"
    project.written("sessions/milkdown/notes.txt", "n")
    found = project.people.reader.get(f"{project.url}/sessions/milkdown").json()
    assert {each["path"]: each["stage"] for each in found["documents"]} == {
        "sessions/milkdown/intents/intent.md": "intent",
        "sessions/milkdown/notes.txt": None,
    }
    tree = project.people.reader.get(f"{project.url}/tree", params={"prefix": "sessions/milkdown/"}).json()[
        "items"
    ]
    assert {each["session"] for each in tree} == {found["id"]}


def test_a_feature_has_a_blueprint_and_the_others_have_none(project: Project) -> None:
    assert code_of(session(project, slug="f", type="feature")) == "parent_rule"
    assert session(project, slug="plan", type="blueprint").status_code == 201
    assert session(project, slug="try", type="exploratory").status_code == 201
    assert code_of(session(project, slug="e", type="exploratory", parent="plan")) == "parent_rule"
    assert code_of(session(project, slug="f", type="feature", parent="nope")) == "session_not_found"
    assert code_of(session(project, slug="f", type="feature", parent="try")) == "parent_not_blueprint"
    feature = session(project, slug="f", type="feature", parent="plan")
    assert feature.status_code == 201
    assert feature.json()["parent"] == project.people.reader.get(f"{project.url}/sessions/plan").json()["id"]


def test_a_sessions_slug_and_root_are_its_own(project: Project) -> None:
    assert session(project, slug="a", root="x/y").json()["root"] == "x/y"
    assert code_of(session(project, slug="a")) == "session_exists"
    assert code_of(session(project, slug="b", root="x/y")) == "session_exists"
    assert code_of(session(project, slug="b", root="../x")) == "bad_path"
    assert session(project, slug="B").status_code == 400


def test_a_session_moves_through_its_states_and_is_filtered_by_them(project: Project) -> None:
    session(project, slug="a")
    session(project, slug="b", status="review")
    url = f"{project.url}/sessions"
    assert project.people.editor.patch(f"{url}/a", json={"status": "complete"}).json()["status"] == "complete"
    assert project.people.editor.patch(f"{url}/a", json={"title": "A!"}).json()["title"] == "A!"
    assert project.people.editor.patch(f"{url}/a", json={"status": "gone"}).status_code == 400
    assert code_of(project.people.reviewer.patch(f"{url}/a", json={"title": "x"})) == "role_too_low"
    assert code_of(project.people.editor.patch(f"{url}/zzz", json={"title": "x"})) == "session_not_found"
    assert [each["slug"] for each in project.people.reader.get(url).json()["items"]] == ["a", "b"]
    filtered = project.people.reader.get(url, params={"status": "review"}).json()
    assert [each["slug"] for each in filtered["items"]] == ["b"]
    assert project.people.reader.get(url, params={"status": "odd"}).status_code == 400
    first = project.people.reader.get(url, params={"limit": 1})
    assert [
        each["slug"] for each in project.people.reader.get(first.links["next"]["url"]).json()["items"]
    ] == ["b"]


# Tags ----------------------------------------------------------------------------------------------


def tag(project: Project, **body: Any):
    return project.people.editor.post(f"{project.url}/tags", json=body)


def test_a_tag_names_a_change_or_a_version_and_does_not_move(project: Project) -> None:
    assert code_of(tag(project, name="none-yet")) == "nothing_to_tag"
    one = project.written("a", "1")
    project.written("a", "2", base=one["hash"])
    made = tag(project, name="reviewed/one", at="1", message="fine")
    assert (made.status_code, made.json()["change"], made.json()["version"]) == (201, 1, None)
    assert tag(project, name="now").json()["change"] == 2
    assert tag(project, name="that", at=one["hash"]).json()["version"] == one["hash"]
    assert code_of(tag(project, name="now", at="1")) == "tag_exists"
    listed = project.people.reader.get(f"{project.url}/tags", params={"limit": 2})
    assert [each["name"] for each in listed.json()["items"]] == ["now", "reviewed/one"]
    assert len(project.people.reader.get(listed.links["next"]["url"]).json()["items"]) == 1


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "42", "v7", "a" * 64, "x" * 101, "a//b", "a..b", "a/", "ü", "a\u0000b"]
)
def test_names_that_no_tag_may_have(project: Project, name: str) -> None:
    project.written("a", "1")
    assert tag(project, name=name).status_code in {400, 422}


def test_a_tag_of_nothing_is_refused(project: Project) -> None:
    project.written("a", "1")
    assert code_of(tag(project, name="t", at="9")) == "point_not_found"
    assert code_of(project.people.reviewer.post(f"{project.url}/tags", json={"name": "t"})) == "role_too_low"


# Tree ----------------------------------------------------------------------------------------------


def test_the_tree_is_what_the_paths_were(project: Project) -> None:
    project.change(*({"path": path, "text": path} for path in ("b/1", "a", "b/2", "b.md", "ü")))
    head = project.people.reader.get(project.file("a")).headers["etag"]
    project.people.editor.delete(project.file("a"), headers={"If-Match": head})
    tree = f"{project.url}/tree"
    reader = project.people.reader

    def listed(**query: Any) -> list[str]:
        return [each["path"] for each in reader.get(tree, params=query).json()["items"]]

    assert listed() == ["b.md", "b/1", "b/2", "ü"], "in byte order"
    assert listed(at=1) == ["a", "b.md", "b/1", "b/2", "ü"]
    assert listed(at=0) == []
    assert listed(prefix="b/") == ["b/1", "b/2"]
    assert listed(prefix="nothing") == []
    assert code_of(reader.get(tree, params={"at": 9})) == "point_not_found"


def test_a_tree_is_paged_and_steady_at_a_change(project: Project) -> None:
    names = [f"{n:02}" for n in range(7)]
    project.change(*({"path": name, "text": name} for name in names))
    reader = project.people.reader
    page = reader.get(f"{project.url}/tree", params={"limit": 3, "at": 1})
    seen = [each["path"] for each in page.json()["items"]]
    project.written("00a", "new")
    while page.json()["next"]:
        page = reader.get(page.links["next"]["url"])
        seen += [each["path"] for each in page.json()["items"]]
    assert seen == names

"""The OpenAPI document and its page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.api.problems import PROBLEMS

if TYPE_CHECKING:
    from tests.api.world import Api, Contract

METHODS = {"get", "head", "put", "post", "patch", "delete"}


@pytest.fixture
def operations(contract: Contract) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in contract.document["paths"].items()
        for method, operation in item.items()
    ]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for each in value.values() for found in references(each)]
    return [found for each in value for found in references(each)] if isinstance(value, list) else []


def test_it_is_openapi_3_1_and_refers_to_nothing_that_is_not_there(contract: Contract) -> None:
    document = contract.document
    assert document["openapi"].startswith("3.1")
    for reference in references(document):
        where: Any = document
        for step in reference.removeprefix("#/").split("/"):
            where = where[step]


def test_every_operation_says_what_it_is(
    operations: list[tuple[str, str, dict[str, Any]]], contract: Contract
) -> None:
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(set(names)) == len(names)
    known = {tag["name"] for tag in contract.document["tags"]}
    for path, method, operation in operations:
        assert method in METHODS
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"])
        assert operation["summary"]
        assert operation["description"], path
        assert set(operation["tags"]) <= known, operation["tags"]
        declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        assert all(each["required"] for each in operation["parameters"] if each["in"] == "path")


def test_every_operation_says_who_may_ask(
    operations: list[tuple[str, str, dict[str, Any]]], contract: Contract
) -> None:
    assert contract.document["security"] == [{"bearer": []}, {"cookie": []}]
    for path, _, operation in operations:
        public = path == "/v1/sign-in" or not path.startswith("/v1/")
        assert (operation.get("security") == []) == public, path
        assert public or "401" in operation["responses"]


def test_every_list_comes_in_pages(operations: list[tuple[str, str, dict[str, Any]]]) -> None:
    for path, _, operation in operations:
        for answer in operation["responses"].values():
            for media in answer.get("content", {}).values():
                assert media.get("schema", {}).get("type") != "array", path
        if "cursor" in {each["name"] for each in operation["parameters"]}:
            assert "Link" in operation["responses"]["200"]["headers"], path


def test_every_refusal_is_a_problem_with_an_example_of_each_code(
    operations: list[tuple[str, str, dict[str, Any]]],
) -> None:
    for path, method, operation in operations:
        for status, answer in operation["responses"].items():
            assert answer["description"], path
            if status < "400" or method == "head":
                continue
            media = answer["content"]["application/problem+json"]
            assert media["schema"] == {"$ref": "#/components/schemas/Problem"}
            for code, example in media["examples"].items():
                assert PROBLEMS[code].status == int(status) == example["value"]["status"]
                assert example["value"]["type"] == f"/problems/{code}"


def test_every_json_body_has_a_schema_and_an_example(
    operations: list[tuple[str, str, dict[str, Any]]],
) -> None:
    for path, method, operation in operations:
        bodies = [operation.get("requestBody", {"content": {}})]
        bodies += [answer for status, answer in operation["responses"].items() if status < "300"]
        for body in bodies:
            for kind, media in body.get("content", {}).items():
                assert "schema" in media, (method, path, kind)
                if kind == "application/json" and media["schema"].get("$ref"):
                    assert "example" in media, (method, path, media)


def test_no_example_leaves_a_value_open(contract: Contract) -> None:
    """Who tries an example as it stands gets further than `bad_request`."""
    assert blanks(contract.document) == []


def blanks(value: Any, *where: str) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in blanks(each, *where, key)]
    if isinstance(value, list):
        return [found for each in value for found in blanks(each, *where)]
    return [where] if value == "…" else []


def test_the_bodies_of_uploads_are_described(contract: Contract) -> None:
    paths = contract.document["paths"]
    put = paths["/v1/projects/{project}/files/{path}"]["put"]
    assert put["requestBody"]["content"]["*/*"]["schema"]["format"] == "binary"
    assert {"If-Match", "If-None-Match", "Idempotency-Key", "Content-Digest"} <= {
        each["name"] for each in put["parameters"]
    }
    post = paths["/v1/projects/{project}/changes"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "application/json"} <= set(post)
    read = paths["/v1/projects/{project}/files/{path}"]["get"]["responses"]
    assert {"200", "206", "304", "404", "412", "416"} <= set(read)


def test_operation_ids_are_stable(operations: list[tuple[str, str, dict[str, Any]]]) -> None:
    """A generated client's function names: one that vanishes breaks somebody."""
    assert {
        "read_me", "list_projects", "create_project", "read_project", "update_project", "list_members", "set_member",
        "remove_member", "list_tree", "list_sessions", "create_session", "read_session", "update_session", "read_file",
        "head_file", "put_file", "delete_file", "post_change", "list_changes", "read_change", "read_document",
        "edit_document", "delete_document", "restore_document", "undelete_document", "list_versions", "read_version",
        "read_version_content", "head_version_content", "compare_versions", "list_tags", "create_tag", "live", "ready",
        "metrics", "read_problem",
    } <= {operation["operationId"] for _, _, operation in operations}  # fmt: skip


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_names_every_operation_and_asks_nobody_else(
    api: Api, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    answer = httpx.get(f"{api.url}/schema", trust_env=False)
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    page = Page()
    page.feed(answer.text)
    assert "script" not in {tag for tag, _ in page.tags}
    fetched = [
        fields.get("src") or fields.get("href")
        for tag, fields in page.tags
        if tag in {"link", "img", "script"}
    ]
    assert fetched == ["/schema/style.css"]
    assert not [
        fields
        for _, fields in page.tags
        if "style" in fields or any(name.startswith("on") for name in fields)
    ]
    assert (
        httpx.get(f"{api.url}/schema/style.css", trust_env=False)
        .headers["content-type"]
        .startswith("text/css")
    )
    anchors = {fields.get("id") for _, fields in page.tags}
    assert {operation["operationId"] for _, _, operation in operations} <= anchors

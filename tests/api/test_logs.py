"""What the service says about itself: logs, request ids, metrics, health."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.api.world import Api, Project


def test_logs_are_json_lines_without_content_tokens_addresses_or_queries(api: Api, project: Project) -> None:
    content, message, query, name = (
        f"{word}-{uuid.uuid4().hex}" for word in ("content", "message", "query", "name")
    )
    editor = project.people.editor
    version = project.written(f"{name}.md", content)
    answers = [
        editor.get(project.file(f"{name}.md"), params={"x": query}),
        editor.put(project.file(f"{name}.md"), content=content, params={"message": message}),
        editor.get(f"{project.url}/changes", params={"text": query}),
        editor.post(
            f"{project.url}/changes", json={"message": message, "items": [{"path": name, "text": content}]}
        ),
        editor.post(f"{project.url}/changes", content=content, headers={"Content-Type": "application/json"}),
        editor.get(f"/v1/documents/{version['document']}/diff", params={"from": query}),
        editor.get(f"{project.url}/tree", params={"prefix": f"{query}\0"}),
        editor.put(f"{project.url}/members/{editor.email}", json={"role": "reader"}),
        httpx.get(f"{api.url}/v1/me", headers={"Authorization": f"Bearer {editor.token}x"}, trust_env=False),
    ]
    for answer in answers:
        api.log_lines()
        assert api.logged(answer)["status"] == answer.status_code
    text = api.log.read_text()
    for secret in (content, message, query, name, editor.token[-40:], editor.token[:60], editor.email):
        assert secret not in text
    assert not re.search(r"eyJ[A-Za-z0-9_-]{10,}", text), "no token of anybody"
    assert "@example.com" not in text


def test_a_request_is_one_line_with_what_operators_ask(api: Api, project: Project) -> None:
    line = api.logged(project.people.reader.get(project.url))
    assert line["method"] == "GET"
    assert line["route"] == "/v1/projects/{project}"
    assert (line["status"], line["round_trips"]) == (200, 1)
    assert line["bytes"] > 0
    assert line["ms"] > 0
    assert line["timestamp"].endswith("Z")


def test_a_request_id_is_kept_or_made(project: Project) -> None:
    reader = project.people.reader
    assert (
        reader.get("/v1/me", headers={"X-Request-Id": "from-the-balancer.1"}).headers["x-request-id"]
        == "from-the-balancer.1"
    )
    for bad in ("", "x" * 65, "a b", 'a"b', "é"):
        answer = reader.get("/v1/me", headers={b"X-Request-Id": bad.encode("latin-1")})
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


def test_a_made_up_route_or_method_is_no_new_series(api: Api, project: Project) -> None:
    for n in range(3):
        project.people.reader.get(f"/made/up/{n}")
        project.people.reader.request("TRACE", "/v1/me")
        project.people.reader.get(project.file(f"missing-{n}"))
    text = httpx.get(f"{api.url}/metrics", trust_env=False).text
    assert "made" not in text
    assert "missing" not in text
    assert project.id not in text
    assert 'method="other"' in text
    assert 'route="/v1/projects/{project}/files/{path}"' in text


def test_metrics_are_in_prometheus_form(api: Api) -> None:
    answer = httpx.get(f"{api.url}/metrics", trust_env=False)
    assert re.fullmatch(r"text/plain; version=[\d.]+; charset=utf-8", answer.headers["content-type"])
    for name in (
        "verso_requests_total",
        "verso_request_seconds_bucket",
        "verso_active_requests",
        "verso_supabase_requests_total",
    ):
        assert re.search(rf"^{name}(\{{.*\}})? [\d.e+]+$", answer.text, re.MULTILINE), name


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/metrics", "/schema", "/problems/stale_base"]
)
def test_what_operators_ask_needs_no_token(api: Api, path: str) -> None:
    answer = httpx.get(api.url + path, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    if path.startswith("/health/"):
        head = httpx.head(api.url + path, trust_env=False)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]


def test_every_line_is_json(api: Api) -> None:
    for line in api.log_lines():
        assert {"event", "level", "timestamp"} <= set(line), line

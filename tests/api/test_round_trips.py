"""What operations cost in requests to Supabase (DESIGN.md, section 9), counted by the service itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Api, Project, tag

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def cost(api: Api) -> Callable[[Callable[[], Any]], int]:
    return lambda act: api.cost(act())


def test_reads(project: Project, api: Api, cost: Callable[..., int]) -> None:
    etag = project.put("a", "cost of reading", by=project.people.owner).headers["etag"]
    reader, url = project.people.reader, project.file("a")
    assert cost(lambda: reader.get(url)) == 2
    assert cost(lambda: reader.get(url)) == 1, "blobs are immutable and cached"
    assert cost(lambda: reader.get(url, headers={"If-None-Match": etag})) == 1
    assert cost(lambda: reader.get(url, headers={"Range": "bytes=1-2"})) == 1
    assert cost(lambda: reader.head(url)) == 1


def test_a_small_upload_is_2_and_its_new_blob(project: Project, cost: Callable[..., int]) -> None:
    assert cost(lambda: project.put("a", "a new content of its own")) == 3
    assert cost(lambda: project.put("b", "a new content of its own")) == 3, "known, and proven by reading it"
    assert cost(lambda: project.put("c", "a new content of its own")) == 2, "known and proven"


@pytest.mark.parametrize("count", [1, 7, 40])
def test_a_change_of_small_files_is_2_and_its_new_blobs(
    project: Project, cost: Callable[..., int], count: int
) -> None:
    items = [{"path": f"{n}", "text": f"{n} of {count}"} for n in range(count)]
    proven = [{"path": f"proven/{n}", "text": f"{n} of {count}"} for n in range(count)]
    again = [{"path": f"again/{n}", "text": f"{n} of {count}"} for n in range(count)]
    files = [("f", (f"form/{n}", f"{n} of {count} in a form".encode())) for n in range(count)]
    assert cost(lambda: project.change(*items)) == 2 + count
    project.change(*proven)
    assert cost(lambda: project.change(*again)) == 2
    assert cost(lambda: project.people.editor.post(f"{project.url}/changes", files=files)) == 2 + count


def test_a_large_upload_is_asked_for_before_its_bytes_travel(
    project: Project, cost: Callable[..., int]
) -> None:
    assert cost(lambda: project.put("big", b"l" * 400_000)) == 4


def test_writes_without_bytes_are_1(project: Project, cost: Callable[..., int]) -> None:
    version = project.written("a", "1")
    url, editor = f"/v1/documents/{version['document']}", project.people.editor
    head = version["hash"]

    def act(method: str, part: str, body: dict[str, Any] | None) -> Callable[[], Any]:
        def call() -> Any:
            nonlocal head
            answer = editor.request(method, url + part, json=body, headers={"If-Match": f'"{head}"'})
            head = tag(answer)
            return answer

        return call

    assert cost(act("PATCH", "", {"path": "b"})) == 1
    assert cost(act("DELETE", "", None)) == 1
    assert cost(act("POST", "/restore", {"version": 1})) == 1
    assert cost(lambda: editor.delete(project.file("b"), headers={"If-Match": f'"{head}"'})) == 1


def test_history_log_tree_and_a_warm_diff_are_1(project: Project, cost: Callable[..., int]) -> None:
    one = project.written("a", "x\n1")
    project.written("a", "x\n2", base=one["hash"])
    reader, url = project.people.reader, f"/v1/documents/{one['document']}"
    for asked in (f"{url}/versions", f"{url}/versions/1", f"{project.url}/changes", f"{project.url}/tree"):
        assert cost(lambda asked=asked: reader.get(asked)) == 1, asked
    assert cost(lambda: reader.get(f"{project.url}/tree", params={"at": 1})) == 1
    assert cost(lambda: reader.get(f"{url}/diff")) == 3, "cold: both sides"
    assert cost(lambda: reader.get(f"{url}/diff")) == 1
    assert cost(lambda: reader.get(f"{url}/diff", headers={"Accept": "application/json"})) == 1


def test_a_refused_write_costs_1(project: Project, api: Api) -> None:
    project.written("a", "1")
    for content in (b"2", b"2" * 400_000):
        assert api.cost(project.put("a", content)) == 1


def test_the_metric_counts_what_all_requests_asked(project: Project, api: Api) -> None:
    pattern = r"verso_supabase_requests_total\{service=\"rest\"\}"
    before = api.metric(pattern)
    project.people.reader.get(project.url)
    assert api.metric(pattern) > before

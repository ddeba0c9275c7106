"""Patience and its limits: what is asked again, what never is, and what people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.client.api import Api, may_pass
from app.client.auth import where_to_sign_in
from app.client.looking.source import kept_history
from app.client.multipart import Multipart, Part
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROBLEM = {"content-type": "application/problem+json"}


class Site:
    """Answers each request with what comes next, and keeps what was asked and how long was waited."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.waited: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def api(self, token: Any = "first") -> Api:
        return Api(
            "http://site", token, transport=httpx.MockTransport(self), sleep=self.waited.append, tries=3
        )


def problem(status: int, code: str, **more: Any) -> httpx.Response:
    headers = {**PROBLEM, **more.pop("headers", {})}
    body = {"type": f"/problems/{code}", "code": code, "detail": "Because.", "status": status, **more}
    return httpx.Response(status, json=body, headers=headers)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(VersoError) as error:
        call()
    return error.value.code


def test_an_answer_of_another_kind_is_no_verso_servers() -> None:
    broken = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip at all")
    )
    assert code_of(lambda: Site(broken).api().get("/x")) == "not_verso"
    for body in ("{}", "[]", "null", '{"items": {}, "next": 1}'):
        api = Site(httpx.Response(200, text=body)).api()
        assert code_of(lambda api=api: list(api.pages("/x", kind=dict))) == "not_verso"  # type: ignore[misc]


@pytest.mark.parametrize("address", ["http://x\x1b[31m", "javascript:alert(1)", ""])
def test_nobody_is_sent_to_sign_in_at_what_is_no_address(address: str) -> None:
    api = Site(httpx.Response(200, json={"supabase_url": address, "publishable_key": "k"})).api()
    assert code_of(lambda: where_to_sign_in(api)) == "not_verso"


def test_a_servers_word_is_no_name_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.client.looking.source.user_cache_path", lambda *_, **__: tmp_path / "cache")
    api = Site(httpx.Response(200, json={"id": "../../../../mine", "change_sequence": 0})).api()
    assert code_of(lambda: kept_history(api, "x").__enter__()) == "not_verso"
    assert list(tmp_path.iterdir()) == []


def test_a_read_is_asked_again_until_it_is_answered() -> None:
    site = Site(
        httpx.ReadError("broken"), problem(503, "supabase_unavailable"), httpx.Response(200, json=[1])
    )
    assert site.api().get("/x") == [1]
    assert len(site.asked) == 3
    assert all(0 < seconds < 1 for seconds in site.waited)


def test_retry_after_is_kept() -> None:
    site = Site(problem(503, "workers_busy", headers={"retry-after": "7"}), httpx.Response(200, json=1))
    assert site.api().get("/x") == 1
    assert site.waited == [7.0]


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (httpx.ReadError("broken"), True),
        (problem(503, "storage_unavailable"), True),
        (problem(502, "supabase_failed"), True),
        (problem(500, "internal"), True),
        (problem(429, "too_many_requests"), True),
        (httpx.Response(502, text="Bad Gateway"), True),
        (problem(502, "content_altered"), False),
        (problem(507, "disk_full"), False),
        (problem(404, "project_not_found"), False),
    ],
    ids=lambda given: given.status_code if isinstance(given, httpx.Response) else None,
)
def test_what_may_pass_is_waited_for_by_those_who_stay(
    answer: httpx.Response | Exception, *, passes: bool
) -> None:
    with pytest.raises(VersoError) as error:
        Site(answer, answer, answer).api().get("/x")
    assert may_pass(error.value) is passes


def test_a_write_without_a_key_is_sent_once() -> None:
    site = Site(httpx.ReadError("who knows whether it came"))
    assert code_of(lambda: site.api().post("/x", {})) == "unreachable"
    assert len(site.asked) == 1


def test_a_write_with_a_key_is_sent_again_under_that_key() -> None:
    site = Site(httpx.ReadError("broken"), httpx.Response(200, json=1))
    assert site.api().post("/x", {"a": 1}, key="k") == 1
    assert [request.headers["idempotency-key"] for request in site.asked] == ["k", "k"]
    assert site.asked[0].content == site.asked[1].content == b'{"a":1}'


def test_bytes_that_are_stored_wrong_are_not_asked_for_again() -> None:
    site = Site(problem(502, "content_altered"))
    assert code_of(lambda: site.api().get("/x")) == "content_altered"


def test_a_refusal_keeps_what_the_server_says() -> None:
    site = Site(problem(412, "stale_base", head="h", items=[{"index": 1}]))
    with pytest.raises(VersoError) as error:
        site.api().get("/x")
    assert (error.value.code, error.value.sentence) == ("stale_base", "Because.")
    assert (error.value.detail["head"], error.value.detail["items"]) == ("h", [{"index": 1}])


def test_who_gave_the_token_is_told_that_a_login_is_no_help() -> None:
    for token, told in (("given", "VERSO_TOKEN"), (None, "doesn't know you")):
        with pytest.raises(VersoError, match="not_signed_in") as refused:
            Site(problem(401, "unauthenticated")).api(token).get("/x")
        assert told in refused.value.sentence


def test_a_refused_token_is_replaced_once() -> None:
    class Tokens:
        def token(self) -> str:
            return "old"

        def refused(self, token: str) -> str | None:
            return "new" if token == "old" else None

    site = Site(problem(401, "unauthenticated"), httpx.Response(200, json=1))
    assert site.api(Tokens()).get("/x") == 1
    assert [request.headers["authorization"] for request in site.asked] == ["Bearer old", "Bearer new"]
    site = Site(problem(401, "unauthenticated"), problem(401, "unauthenticated"))
    assert code_of(lambda: site.api(Tokens()).get("/x")) == "not_signed_in"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(404, text="nginx"),
        httpx.Response(302),
        httpx.Response(500),
    ],
)
def test_what_is_no_verso_server_is_told(answer: httpx.Response) -> None:
    assert code_of(lambda: Site(answer).api().get("/x")) == "not_verso"


def test_pages_follow_their_cursors() -> None:
    site = Site(
        httpx.Response(200, json={"items": [1, 2], "next": "c"}),
        httpx.Response(200, json={"items": [3], "next": None}),
    )
    assert list(site.api().pages("/x", kind=int, limit=2)) == [1, 2, 3]
    assert [dict(request.url.params) for request in site.asked] == [
        {"limit": "2"},
        {"limit": "2", "cursor": "c"},
    ]


def test_a_body_of_files_is_read_anew_for_each_try_and_says_its_length() -> None:
    read = 0

    def pieces() -> Iterator[bytes]:
        nonlocal read
        read += 1
        yield b"a" * 300_000
        yield b"b" * 300_000

    body = Multipart([Part.of("change", b"{}"), Part(name='f"\r\n', filename="f", size=600_000, read=pieces)])
    site = Site(httpx.ReadError("broken"), httpx.Response(200, json=1))
    site.api().ask("POST", "/x", content=body.pieces, headers=body.headers, key="k")
    assert read == 2
    assert site.asked[0].content == site.asked[1].content
    assert len(site.asked[1].content) == int(site.asked[1].headers["content-length"])
    assert b'name="f%22%0D%0A"' in site.asked[1].content
    assert max(map(len, body.pieces())) < 700_000


def test_a_source_that_always_has_another_token_is_asked_for_one_only() -> None:
    class Endless:
        def token(self) -> str:
            return "0"

        def refused(self, token: str) -> str:
            return f"{token}0"

    site = Site(*(problem(401, "unauthenticated") for _ in range(9)))
    assert code_of(lambda: site.api(Endless()).get("/x")) == "not_signed_in"
    assert [request.headers["authorization"] for request in site.asked] == ["Bearer 0", "Bearer 00"]

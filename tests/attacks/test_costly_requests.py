"""What one request of a stranger may cost all others: next to no time of the one event loop, and little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

if TYPE_CHECKING:
    from tests.api.world import Api

SECONDS = 1.5
"""Each of these took more than 5 s of the process once; now it is milliseconds, and a busy machine's own work."""
FORM = "content-type: application/x-www-form-urlencoded"
HEADS = {
    "a cookie of backslashes": ("GET /v1/me", f'cookie: verso-access="{chr(92) * 50_000}"'),
    "the same for a page": ("GET /auth/login", f'cookie: a=b; other="{chr(92) * 50_000}"'),
    "a path of slashes": ("GET " + "/" * 50_000, "accept: text/html"),
    "a list of types": ("GET /p/x", f"accept: text/html{',' * 50_000}"),
}


def seconds_of(api: Api) -> float:
    times = psutil.Process(api.pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.parametrize("what", HEADS)
def test_a_head_costs_nobody_time(api: Api, what: str) -> None:
    line, fields = HEADS[what]
    before = seconds_of(api)
    answer = api.raw(f"{line} HTTP/1.1\r\nhost: 127.0.0.1:{api.port}\r\n{fields}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    assert seconds_of(api) - before < SECONDS


@pytest.mark.parametrize("path", ["/auth/password", "/auth/link", "/auth/logout", "/theme"])
def test_a_form_that_anybody_may_send_is_short(api: Api, path: str) -> None:
    form = b"email=" + "%ff\u00e9".encode() * 1_500_000
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{api.port}\r\nsec-fetch-site: same-origin\r\n{FORM}\r\n"
    before = seconds_of(api)
    answer = api.raw(f"{head}content-length: {len(form)}\r\n\r\n".encode() + form)
    assert b" 413 " in answer.partition(b"\r\n")[0], answer[:300]
    assert seconds_of(api) - before < SECONDS


@pytest.mark.parametrize(
    ("name", "count", "size", "said"),
    [("same", 31, 1, b"The form has too many fields"), ("field-{}", 9, 1 << 20, b"too_large")],
)
def test_the_fields_of_a_form_are_few_and_short_before_it_is_known_whose_they_are(
    api: Api, name: str, count: int, size: int, said: bytes
) -> None:
    """30 fields of 8 MiB each were kept for whoever sent them, and of one name any number was read."""
    form = b"".join(
        b'--b\r\ncontent-disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (name.format(number).encode(), b"x" * size)
        for number in range(count)
    )
    head = f"POST /p/x/upload HTTP/1.1\r\nhost: 127.0.0.1:{api.port}\r\ncontent-length: {len(form) + 5}\r\n"
    head += "content-type: multipart/form-data; boundary=b\r\n\r\n"
    assert said in api.raw(head.encode() + form + b"--b--")


def test_what_is_read_of_requests_is_not_kept(api: Api) -> None:
    """The framework keeps what it has read of a thousand cookie fields and queries, whatever their length."""
    names = "=;".join(map(str, range(9_000)))
    process = psutil.Process(api.pid)
    with httpx.Client(base_url=api.url, trust_env=False, timeout=60) as stranger:
        stranger.get("/auth/session")
        before = process.memory_info().rss
        for number in range(80):
            stranger.get("/auth/session", headers={"Cookie": f"verso-access={number}; {names}"})
        assert process.memory_info().rss - before < 32 << 20
        refused = stranger.get("/auth/login?" + "&".join(["a=b"] * 201))
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")

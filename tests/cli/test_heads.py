"""Request heads that never end, that are too large, that come a byte at a time; and those that are fine."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from app.cli.heads import BoundedHeads
from app.cli.serving import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator


class Small(BoundedHeads):
    head_size = 4096
    head_seconds = 1.0


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    options = OPTIONS | {"http": Small, "lifespan": "off", "timeout_keep_alive": 120}
    server = uvicorn.Server(uvicorn.Config(echo, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    listener.close()


def test_the_service_is_served_so() -> None:
    assert OPTIONS["http"] is BoundedHeads
    assert BoundedHeads.head_size >= 4 * 16_384


def said(connection: socket.socket) -> bytes:
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def test_ordinary_requests_pass_with_bodies_of_any_size_on_one_connection(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for size in (0, 10, 100_000, 1_000_000):
            assert len(client.put("/", content=b"x" * size).content) == size
            assert len(client.put("/", content=iter([b"x" * size])).content) == size
        time.sleep(1.3)
        assert client.get("/", headers={"a": "b" * 3000}).status_code == 200, "a rest is no slow head"


def test_a_head_that_is_too_large_is_431(port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    assert httpx.get(url, headers={"a": "b" * 5000}, trust_env=False).status_code == 431
    assert httpx.get(url + "x" * 5000, trust_env=False).status_code == 431
    many = {f"h{n}": "x" for n in range(1000)}
    assert httpx.get(url, headers=many, trust_env=False).json()["code"] == "too_large"


@pytest.mark.parametrize("opening", [b"GET /", b"GET / HTTP/1.1\r\na: "])
def test_a_head_without_end_is_hung_up_on(port: int, opening: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(opening)
        assert pushed(connection, 50_000_000) < 10_000_000


def pushed(connection: socket.socket, most: int) -> int:
    """How many bytes went out before the other side hung up."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < most:
            sent += connection.send(b"x" * 10_000)
    return sent


def test_a_slow_head_is_hung_up_on(port: int) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        connection.settimeout(60)
        assert said(connection) == b""
    assert 0.5 < time.monotonic() - begun < 30


def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        assert said(connection) == b""
    assert 0.5 < time.monotonic() - begun < 30


def test_a_second_head_on_a_kept_connection_has_its_time_too(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        begun = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\na: b")
        assert said(connection) == b""
    assert 0.5 < time.monotonic() - begun < 30


def test_a_slow_body_is_not_the_heads_matter(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        for byte in (b"a", b"b", b"c"):
            time.sleep(0.6)
            connection.sendall(byte)
        assert connection.recv(65536).endswith(b"abc")

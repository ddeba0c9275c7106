"""The connections that the Supabase client's requests travel on, against a server that a test makes misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.settings import Settings
from app.supabase.pool import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def connected(address: str, *, connections: int = 4) -> AsyncIterator[httpx.AsyncClient]:
    """The client that the service itself would use for a Supabase at that address."""
    settings = Settings(
        supabase_url=address,
        supabase_publishable_key="key",
        supabase_connections=connections,
        request_timeout=1.0,
    )
    pool = Pool(settings)
    pool.http.base_url = httpx.URL(address)
    try:
        yield pool.http
    finally:
        await pool.close()


@contextlib.asynccontextmanager
async def serving(
    script: Script, *, connections: int = 4
) -> AsyncIterator[tuple[httpx.AsyncClient, list[int]]]:
    """A client of ours, and a list with an entry for each connection that the server took."""
    taken: list[int] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(len(taken) + 1)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    address = "http://{}:{}".format(*server.sockets[0].getsockname())
    try:
        async with connected(address, connections=connections) as client:
            yield client, taken
    finally:
        server.close()


def saying(*parts: bytes, then_close: bool = False) -> Script:
    """Answer every request (whose body has a length) with these parts, a moment apart."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"content-length: " in head:
                await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
            if then_close:
                return

    return script


async def test_requests_follow_one_another_on_one_connection() -> None:
    async with serving(saying(OK)) as (client, taken):
        for _ in range(5):
            assert (await client.post("/", content=b"body")).text == "ok"
        assert len(taken) == 1


async def test_requests_at_the_same_time_never_share_a_connection() -> None:
    async with serving(saying(OK), connections=3) as (client, taken):
        answers = await asyncio.gather(*(client.get("/") for _ in range(12)))
        assert {each.text for each in answers} == {"ok"}
        assert len(taken) == 3


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 6\r\n\r\nabc", b"def"], id="cut-anywhere"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n"],
            id="chunked",
        ),
        pytest.param(
            [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef"],
            id="after-100",
        ),
    ],
)
async def test_an_answer_is_read_however_it_comes(parts: list[bytes]) -> None:
    async with serving(saying(*parts)) as (client, taken):
        for _ in range(2):
            assert (await client.get("/")).content == b"abcdef"
        assert len(taken) == 1


async def test_an_answer_without_a_length_lasts_until_the_connection_ends() -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\nabc", b"def", then_close=True)) as (client, taken):
        for _ in range(2):
            assert (await client.get("/")).content == b"abcdef"
        assert len(taken) == 2


async def test_an_answer_to_head_has_no_body() -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n")) as (client, _):
        answer = await client.head("/")
        assert (answer.headers["content-length"], answer.content) == ("99", b"")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_never_has_a_body_leaves_its_connection_usable(status: int) -> None:
    async with serving(saying(b"HTTP/1.1 %d X\r\n\r\n" % status)) as (client, _):
        for _ in range(2):
            assert (await client.get("/")).status_code == status


async def test_an_answer_that_comes_before_the_body_is_sent_is_heard() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 409 Conflict\r\ncontent-length: 5\r\n\r\nthere")
        await writer.drain()
        await asyncio.sleep(2)  # and it reads no further, as real storage servers do

    async def much() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield bytes(64 * 1024)

    async with serving(refuse) as (client, taken):
        answer = await client.post("/", content=much(), headers={"content-length": str(64 * 1024 * 1_000)})
        assert (answer.status_code, answer.text) == (409, "there")
        assert (await client.get("/")).status_code == 409
        assert len(taken) == 2  # the first connection was spent


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc", httpx.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_an_answer_that_is_none_is_an_error(answer: bytes, error: type[Exception]) -> None:
    async with serving(saying(answer, then_close=True)) as (client, _):
        with pytest.raises(error):
            await client.get("/")


async def test_silence_is_a_timeout_before_and_within_an_answer() -> None:
    for parts in ([], [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"]):
        async with serving(saying(*parts)) as (client, _):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/", timeout=0.2)


async def test_a_pool_that_stays_empty_is_a_timeout_and_recovers() -> None:
    async with serving(saying(), connections=1) as (client, taken):
        hanging = asyncio.create_task(client.get("/", timeout=1))
        while not taken:  # noqa: ASYNC110 - it connects at once
            await asyncio.sleep(0.001)
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("/", timeout=0.1)
        with pytest.raises(httpx.ReadTimeout):
            await hanging
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/", timeout=0.1)


async def test_a_cancelled_request_takes_its_connection_with_it_and_nothing_else() -> None:
    turn = 0
    asked_for, given_up = asyncio.Event(), asyncio.Event()

    async def slow_then_quick(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        turn += 1
        await reader.readuntil(b"\r\n\r\n")
        if turn == 1:
            asked_for.set()
            await given_up.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nothers")
        else:
            writer.write(OK)
        await writer.drain()

    async with serving(slow_then_quick, connections=1) as (client, _):
        asked = asyncio.create_task(client.get("/"))
        await asked_for.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        given_up.set()
        assert (await client.get("/")).text == "ok"


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    async with serving(saying(OK, then_close=True)) as (client, taken):
        for _ in range(3):
            assert (await client.get("/")).text == "ok"
            await asyncio.sleep(0.05)
        assert len(taken) == 3


async def test_bytes_that_nobody_asked_for_never_become_an_answer() -> None:
    async with serving(saying(OK + OK.replace(b"ok", b"no"))) as (client, taken):
        for _ in range(3):
            assert (await client.get("/")).text == "ok"
        assert len(taken) == 3


async def test_a_download_left_half_way_gives_its_connection_up() -> None:
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n" + bytes(2_000_000)
    async with serving(saying(large), connections=1) as (client, taken):
        async with client.stream("GET", "/") as answer:
            assert await anext(answer.aiter_raw())
        assert len((await client.get("/")).content) == 2_000_000
        assert len(taken) == 2


async def test_a_reader_that_is_slow_slows_the_server() -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        for _ in range(1_000):
            writer.write(bytes(100_000))
            await writer.drain()
            sent += 100_000

    async with serving(pour) as (client, _), client.stream("GET", "/") as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        await asyncio.sleep(0.3)
        assert sent < 20_000_000
        assert 0 < sum([len(piece) async for piece in pieces]) < 100_000_000


@pytest.mark.parametrize("value", ["a\r\nx-role: service_role", "a\nb", "a\0b"])
async def test_a_header_that_would_be_two_is_not_sent(value: str) -> None:
    async with serving(saying(OK)) as (client, _):
        with pytest.raises(httpx.LocalProtocolError):
            await client.get("/", headers={"apikey": value})


async def test_an_address_where_nobody_listens_is_a_connection_error() -> None:
    async with connected("http://127.0.0.1:1") as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


# TLS -------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "localhost.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize("trusted", [True, False])
async def test_an_encrypted_connection_is_made_to_whom_it_is_meant_for_only(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await saying(OK)(reader, writer)
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with connected(f"https://localhost:{port}") as client:
        if trusted:
            for _ in range(2):
                assert (await client.post(f"https://localhost:{port}/", content=b"body")).text == "ok"
            with pytest.raises(httpx.ConnectError):
                await client.get(f"https://127.0.0.1:{port}/")
        else:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"https://localhost:{port}/")
    server.close()


# Proxies ---------------------------------------------------------------------------------------------


async def test_a_proxy_of_the_environment_is_asked_unless_the_address_is_excepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()

    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(proxy) as (client, _), serving(saying(OK)) as (_, taken):
        monkeypatch.setenv("http_proxy", str(client.base_url))
        monkeypatch.setenv("NO_PROXY", "localhost")
        async with connected("http://supabase.invalid") as through:
            assert (await through.get("/rest")).text == "ok"
        assert asked == [b"GET http://supabase.invalid/rest HTTP/1.1\r\n"]
        assert taken == []
        async with connected("http://localhost:1") as direct:
            with pytest.raises(httpx.ConnectError):
                await direct.get("/")
        assert len(asked) == 1

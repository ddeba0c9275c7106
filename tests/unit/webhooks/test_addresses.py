"""Where webhooks may go, whatever an address is written like and whatever a name says a moment later."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from app.webhooks.addresses import NO_ADDRESS, NO_HTTPS, NOT_PUBLIC, refusal_of, refusal_of_url
from app.webhooks.sending import Sender, _Resolver, _seconds_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PRIVATE = [
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.1.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1",
    "2002:7f00:1::", "2002:a00:1::1", "2001:0:0:0:0:0:80ff:fffe", "nonsense", "",
    "192.0.0.8", "192.88.99.1", "fec0::1", "3fff::1", "::ffff:192.88.99.1",
]  # fmt: skip
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "192.0.0.192",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
]
PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_leads_back_inside_is_refused(address: str) -> None:
    assert refusal_of(address, allow_private=False) == NOT_PUBLIC


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_refused_always(address: str) -> None:
    assert refusal_of(address, allow_private=False) == NOT_PUBLIC
    assert refusal_of(address, allow_private=True) == NOT_PUBLIC


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_not(address: str) -> None:
    assert refusal_of(address, allow_private=False) is None


def test_a_closed_network_may_be_allowed() -> None:
    assert [refusal_of(each, allow_private=True) for each in ("127.0.0.1", "10.0.0.1", "::1")] == [None] * 3


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("https://example.com/x", None),
        ("http://example.com/x", NO_HTTPS),
        ("ftp://example.com/x", NO_HTTPS),
        ("https://localhost/x", NOT_PUBLIC),
        ("https://a.localhost:8443/x", NOT_PUBLIC),
        ("https://10.1.2.3/x", NOT_PUBLIC),
        ("https://[::1]:8443/x", NOT_PUBLIC),
        ("https://1.1.1.1/x", None),
        ("https://example.com:99999/x", NO_ADDRESS),
        ("https://[x", NO_ADDRESS),
    ],
)
def test_an_address_is_judged_as_it_is_written(url: str, refusal: str | None) -> None:
    assert refusal_of_url(url, allow_private=False) == refusal


class Trap:
    """A server of this machine that must not be reached."""

    def __init__(self) -> None:
        self.reached = 0

    async def serve(self) -> asyncio.Server:
        def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.reached += 1
            writer.close()

        return await asyncio.start_server(count, "127.0.0.1", 0)


@pytest.fixture
async def trap() -> AsyncIterator[tuple[Trap, int]]:
    trap = Trap()
    async with await trap.serve() as server:
        yield trap, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "[::1]", "localhost", "127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1"],
    ids=["plain", "decimal", "hex", "octal", "short", "mapped", "loopback6", "localhost", "ideographic dots", "wide digits"],
)  # fmt: skip
async def test_no_way_of_writing_this_machine_reaches_it(trap: tuple[Trap, int], host: str) -> None:
    async with Sender(seconds=5) as sender:
        outcome = await sender.send(f"https://{host}:{trap[1]}/x", body=b"{}", headers={})
    assert not outcome.delivered
    assert outcome.status is None
    assert trap[0].reached == 0


async def test_one_bad_address_of_a_name_is_enough(trap: tuple[Trap, int]) -> None:
    async def lookup(_host: str, _port: int) -> list[str]:
        return ["1.1.1.1", "127.0.0.1"]

    async with Sender(seconds=5, lookup=lookup) as sender:
        outcome = await sender.send(f"https://example.com:{trap[1]}/x", body=b"{}", headers={})
    assert (outcome.error, trap[0].reached) == (NOT_PUBLIC, 0)


async def test_a_name_that_is_another_address_a_moment_later_gets_nowhere(trap: tuple[Trap, int]) -> None:
    """DNS rebinding: what was looked at is what is connected to, and each attempt looks again."""
    answers = [["1.1.1.1"], ["127.0.0.1"], ["127.0.0.1"]]
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    resolver = _Resolver(lookup, allow_private=False)
    assert [each["host"] for each in await resolver.resolve("example.com", trap[1])] == ["1.1.1.1"]
    async with Sender(seconds=5, lookup=lookup) as sender:
        outcome = await sender.send(f"https://example.com:{trap[1]}/x", body=b"{}", headers={})
    assert (outcome.error, trap[0].reached, asked) == (NOT_PUBLIC, 0, ["example.com"] * 2)


def test_the_socket_itself_is_the_last_to_look() -> None:
    """Whoever resolved it: nothing else stands between an address and its connection."""
    sender = Sender()
    with pytest.raises(OSError, match="public"):
        sender._socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443)))
    sender._socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))).close()


async def test_a_proxy_of_the_environment_is_not_used(
    trap: tuple[Trap, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap[1]}")

    async def lookup(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async with Sender(seconds=5, lookup=lookup) as sender:
        outcome = await sender.send("https://example.com/x", body=b"{}", headers={})
    assert (outcome.error, trap[0].reached) == ("its name has no address", 0)


async def test_who_says_nothing_is_given_up_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Sender(seconds=0.3, allow_private=True) as sender:
            outcome = await sender.send(f"http://127.0.0.1:{port}/x", body=b"{}", headers={})
    assert outcome.error == "no answer within 0.3 s"
    assert 250 < outcome.ms < 5000


def test_retry_after_is_seconds_or_a_date_and_at_most_a_day() -> None:
    assert [_seconds_of(each) for each in (None, "x", "-5", "120", "999999999999")] == [
        None,
        None,
        None,
        120,
        86_400,
    ]
    assert _seconds_of("Sun, 22 Nov 2020 09:00:00 GMT") == 0
    assert _seconds_of(f"Sun, 22 Nov {'9' * 20} 09:00:00 GMT") is None
    assert _seconds_of("Sun, 22 Nov 2099 09:00:00 GMT") == 86_400

"""One POST of a webhook: to checked addresses only, without redirects, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from app.webhooks.addresses import refusal_of, refusal_of_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a name, for a port. Raises OSError."""

CONNECT_SECONDS = 5.0
SECONDS = 15.0
"""What an attempt may take in all."""
READ_BYTES = 16 * 1024
READ_SECONDS = 1.0
"""What is read of an answer, so that its sender is not cut off in the middle of it; nothing of it is kept."""
MOST_RETRY_AFTER = 86_400


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt went. `error` is None when it was taken, and never holds what the receiver wrote."""

    delivered: bool
    ms: int
    status: int | None = None
    error: str | None = None
    retry_after: int | None = None
    """Seconds that the receiver asked to be left alone."""


class RefusedAddressError(OSError):
    """The address may not be called; the message says why."""


async def look_up(host: str, port: int) -> list[str]:
    """Ask the system."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Resolver(AbstractResolver):
    """Gives the addresses of a name if each of them may be called."""

    def __init__(self, lookup: Lookup, *, allow_private: bool) -> None:
        self._lookup = lookup
        self._allow_private = allow_private

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - the interface's
    ) -> list[ResolveResult]:
        addresses = await self._lookup(host, port)
        for address in addresses:
            refusal = refusal_of(address, allow_private=self._allow_private)
            if refusal is not None:
                raise RefusedAddressError(refusal)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Close nothing."""


class Sender:
    """Sends webhooks. An asynchronous context manager; any number of attempts at the same time."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        seconds: float = SECONDS,
        lookup: Lookup = look_up,
    ) -> None:
        self._allow_private = allow_private
        self._seconds = seconds
        self._lookup = lookup
        self._tls = ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._lookup, allow_private=self._allow_private),
            use_dns_cache=False,
            # A connection is for one attempt: the next one asks for the name's addresses again.
            force_close=True,
            limit=0,
            ssl=self._tls,
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Through a proxy of the environment, nobody would check what it connects to.
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Try once. Raises nothing: whatever goes wrong is the outcome."""
        began = time.monotonic()

        def failed(error: str, status: int | None = None, retry_after: int | None = None) -> Outcome:
            ms = round((time.monotonic() - began) * 1000)
            return Outcome(delivered=False, ms=ms, status=status, error=error, retry_after=retry_after)

        refusal = refusal_of_url(url, allow_private=self._allow_private)
        if refusal is not None:
            return failed(refusal)
        try:
            async with asyncio.timeout(self._seconds):
                status, retry_after = await self._post(url, body, headers)
        except TimeoutError:
            return failed(f"no answer within {self._seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return failed(_reason(error))
        if 200 <= status < 300:  # noqa: PLR2004
            return Outcome(delivered=True, ms=round((time.monotonic() - began) * 1000), status=status)
        redirected = ", and redirects are not followed" if 300 <= status < 400 else ""  # noqa: PLR2004
        return failed(f"answered {status}{redirected}", status, retry_after)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, int | None]:
        if self._session is None:
            raise RuntimeError("A sender is used within its context.")
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            retry_after = _seconds_of(answer.headers.get("Retry-After"))
            with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(READ_SECONDS):
                    await answer.content.read(READ_BYTES)
            status = answer.status
            # What is still to come is not wanted.
            answer.close()
        return status, retry_after

    def _socket(self, found: tuple[Any, ...]) -> socket.socket:
        """A socket for an address: the last look at where it goes, whoever said so."""
        family, kind, protocol, _, where = found
        refusal = refusal_of(str(where[0]), allow_private=self._allow_private)
        if refusal is not None:
            raise RefusedAddressError(refusal)
        made = socket.socket(family=family, type=kind, proto=protocol)
        made.setblocking(False)  # noqa: FBT003 - the standard library's
        return made


def _reason(error: Exception) -> str:
    """A failure in words that tell an owner nothing of the operator's network."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, RefusedAddressError):
            return str(chain)
        if isinstance(chain, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {chain.verify_message}"[:300]
        if isinstance(chain, socket.gaierror):
            return "its name has no address"
        chain = chain.__cause__ or chain.__context__ or getattr(chain, "os_error", None)
    if isinstance(error, aiohttp.ClientConnectorError):
        return "it cannot be connected to"
    if isinstance(error, aiohttp.InvalidURL):
        return "not an address that can be called"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return "it closed the connection without an answer"
    return "its answer is not HTTP"


def _seconds_of(field: str | None) -> int | None:
    """Retry-After (RFC 9110, 10.2.3): seconds, or a date; at most a day."""
    if field is None:
        return None
    if field.isascii() and field.isdigit():
        return min(int(field[:9]), MOST_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(field)
    except (ValueError, OverflowError):  # the latter for a year of twenty digits
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0, min(round((when - datetime.now(UTC)).total_seconds()), MOST_RETRY_AFTER))

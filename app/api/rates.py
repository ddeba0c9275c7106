"""How often is too often: a rate per key with room for bursts, and whose address a request comes from.

The bucket is one number a key (GCRA, ITU-T I.371): the moment at which it would be full again. Memory is
bounded; when there are too many keys, the one that was used longest ago is forgotten, so its bucket is full.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_KEYS = 50_000
_IPV6_NETWORK = 64
"""Who has one address of such a network has all of them (RFC 6177)."""


class Rate:
    """So many a second, with `burst` at once after a rest. A rate of 0 never refuses."""

    def __init__(self, per_second: float, burst: int, *, most_keys: int = MOST_KEYS) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._room = burst * self._interval
        self._most_keys = most_keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until the key may take one; 0.0 when it may now. Takes nothing."""
        full_at = self._full_at.get(key)
        return 0.0 if full_at is None else max(0.0, full_at + self._interval - self._room - now)

    def take(self, key: str, now: float) -> float:
        """Take one if there is one: 0.0, else the seconds until there is."""
        if not self._interval:
            return 0.0
        wait = self.wait(key, now)
        if wait > 0:
            return wait
        self._full_at[key] = max(self._full_at.get(key, now), now) + self._interval
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most_keys:
            self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)


def address_of(scope: Any, *, hops: int) -> str:
    """Whose request an ASGI scope is of, as `client_address` tells it."""
    peer = scope.get("client")
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return client_address(peer[0] if peer else "", forwarded, hops=hops)


def client_address(peer: str, forwarded: Iterable[bytes], *, hops: int) -> str:
    """Whose request this is, given the `X-Forwarded-For` fields and how many proxies of ours wrote in them.

    Each proxy adds, at the end, the address that it was called from. So the n-th entry from the end was
    written by the outermost of n proxies, and what stands before it is whatever the client liked to send:
    that is never looked at. Without proxies, or when there are fewer entries, the connection's own address
    counts. IPv6 addresses count as their /64 network.
    """
    address = peer
    if hops:
        entries = b",".join(forwarded).split(b",")
        if len(entries) >= hops:
            address = entries[-hops].strip().decode("latin-1")
    return _network(address) or _network(peer) or peer


def _network(text: str) -> str | None:
    host: Any = text.removeprefix("[").partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]  # some proxies add the port
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> _IPV6_NETWORK << _IPV6_NETWORK)}/{_IPV6_NETWORK}"
    return str(address)

"""Where a webhook may go: to addresses of the public internet, and to none that lead back inside.

An owner names the address, and the request comes from the operator's network: without this, a webhook would
be a way to ask what only that network can see (server-side request forgery). A name is judged by all of its
addresses, and again by the one that is connected to, so that a name which means something else a moment later
(DNS rebinding) gets nowhere.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

_NAT64 = IPv6Network("64:ff9b::/96")
# Clouds tell any process on a machine its credentials at these. The last one is a public address.
METADATA = frozenset(
    map(
        ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "192.0.0.192", "fd00:ec2::254", "100.100.100.200"),
            "168.63.129.16",
        ),
    )
)
# Special by IANA's registries, or private once (RFC 3879), and global to this Python's `ipaddress`.
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20")))
NOT_PUBLIC = "the address is not one of the public internet"
NO_HTTPS = "the address is not https"
NO_ADDRESS = "that is no address"


def refusal_of(address: str, *, allow_private: bool) -> str | None:
    """Why an IP address may not be called, or None. With `allow_private` only metadata services may not."""
    try:
        given = ip_address(address.partition("%")[0])
    except ValueError:
        return NOT_PUBLIC
    for each in _meanings(given):
        if each in METADATA:
            return NOT_PUBLIC
        if not allow_private and not _is_public(each):
            return NOT_PUBLIC
    return None


def refusal_of_url(url: str, *, allow_private: bool) -> str | None:
    """Why an address as it is written may not be called, or None; a name is judged when it is called."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return NO_ADDRESS
    if parts.scheme != "https" and not allow_private:
        return NO_HTTPS
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return None if allow_private else NOT_PUBLIC
    try:
        ip_address(host)
    except ValueError:
        return None
    return refusal_of(host, allow_private=allow_private)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _SPECIAL)


def _meanings(given: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """What is reached by an address, all of it: a tunnel is judged by both of its ends."""
    if isinstance(given, IPv4Address):
        return [given]
    if given.ipv4_mapped is not None:
        return [given.ipv4_mapped]
    if given in _NAT64:  # the only way to IPv4 of networks that have none (RFC 6052)
        return [IPv4Address(int(given) & 0xFFFFFFFF)]
    return [given, *(each for each in (given.sixtofour, *(given.teredo or ())) if each is not None)]

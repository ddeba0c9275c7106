"""What a client asks for, parsed (gitprotocol-pack, packfile negotiation)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.git.serve.pktline import BadRequestError, lines_of

_ID = re.compile(rb"[0-9a-f]{40}\Z")
_MOST_DEPTH = 2**31 - 1
_MOST_DIGITS = 20


@dataclass(frozen=True)
class Request:
    """One request of `git fetch`. Ids are hexadecimal."""

    wants: list[str]
    shallow: set[str]
    """Commits whose parents the client hasn't."""
    depth: int
    """How many commits deep the history shall be; 0 for all of it, as far as the client has it."""
    haves: list[str]
    done: bool
    """Whether the client waits for its pack now."""
    asks: bool
    """Whether there is anything behind the wants: else only their shallow part is to be answered."""
    capabilities: frozenset[str]


def parse_request(data: bytes) -> Request:
    """A request from its body. Raises BadRequestError."""
    # In their order, each once: a client may say one a hundred thousand times.
    wants: dict[str, None] = {}
    shallow: set[str] = set()
    haves: dict[str, None] = {}
    depth = 0
    capabilities: frozenset[str] = frozenset()
    done = asks = False
    behind = False
    for line in lines_of(data):
        if line is None:
            asks = asks or behind
            behind = True
            continue
        word, _, rest = line.partition(b" ")
        if word == b"want" and not behind:
            named, _, more = rest.partition(b" ")
            if not wants:
                capabilities = frozenset(more.decode("utf-8", "replace").split())
            wants[_id(named)] = None
        elif word == b"shallow" and not behind:
            shallow.add(_id(rest))
        elif word == b"deepen" and not behind:
            # int() refuses thousands of digits.
            depth = min(int(rest[:_MOST_DIGITS]), _MOST_DEPTH) if rest.isdigit() else -1
        elif word == b"have" and behind:
            haves[_id(rest)] = None
        elif word == b"done" and behind:
            done = True
        else:
            raise BadRequestError(f"Verso doesn't know {word.decode('ascii', 'replace')[:40]!r}.")
    if depth < 0:
        raise BadRequestError("A depth is a number.")
    return Request(list(wants), shallow, depth, list(haves), done, asks or done or bool(haves), capabilities)


def _id(text: bytes) -> str:
    if not _ID.match(text):
        raise BadRequestError("An object is named by 40 hexadecimal digits.")
    return text.decode("ascii")

"""Blame as text for people: one line a line, in git blame's default form."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from app.flows.read_content import read_whole
from app.text.lines import split_lines

if TYPE_CHECKING:
    from app.flows.blame import Blamed
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import Origin

_HASH_DIGITS = 8


async def blame_text(blobs: Blobs, *, actor: Actor, blamed: Blamed) -> bytes:
    """Hash, path (where it isn't the one now), author, time in UTC, line number, and the line as it is.

    The lines' own bytes are not changed. They come from the cache or from storage. Raises VersoError.
    """
    blame, version = blamed.blame, blamed.blame.version
    lines = split_lines(await read_whole(blobs, actor=actor, read=blamed.read))
    origins = {origin.hash: origin for origin in blame.origins}
    names = {origin.hash: _name(origin) for origin in blame.origins}
    moved = any(each.path != version.path for each in blame.ranges)
    path_width = max((len(each.path) for each in blame.ranges), default=0)
    name_width = max(map(len, names.values()), default=0)
    number_width = len(str(blame.last))
    out: list[bytes] = []
    for each in blame.ranges:
        origin = origins[each.version]
        moment = origin.authored_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S +0000")
        path = f"{each.path:<{path_width}} " if moved else ""
        start = f"{each.version[:_HASH_DIGITS]} {path}({names[each.version]:<{name_width}} {moment}"
        # What is kept is somebody's word, also of how many lines there are.
        for number, line in enumerate(lines[each.first - 1 : each.last], each.first):
            out.append(f"{start} {number:>{number_width}}) ".encode() + line)
            if not line.endswith(b"\n"):
                out.append(b"\n")
    return b"".join(out)


def _name(origin: Origin) -> str:
    name = origin.agent or origin.author_name
    return name or origin.author.name or origin.author.handle or origin.author.id[:_HASH_DIGITS]

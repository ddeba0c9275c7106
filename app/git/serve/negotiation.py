"""What both sides have, and where a shallow history ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pygit2.enums import ObjectType

from app.git.serve.pktline import FLUSH, BadRequestError, pkt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.git.serve.request import Request


class Depths(NamedTuple):
    """Where the client's history ends from now on."""

    ends: set[str]
    """Commits that are sent without their parents."""
    opened: set[str]
    """Commits that ended the client's history before, and don't any more."""


def wanted_commits(repository: Any, wants: Iterable[str]) -> tuple[list[str], list[str]]:
    """The commits that the wants lead to, and the tag objects on the way. Raises BadRequestError."""
    commits: list[str] = []
    tags: list[str] = []
    for want in wants:
        found = repository.get(want)
        while found is not None and found.type == ObjectType.TAG:
            tags.append(str(found.id))
            found = repository.get(found.target)
        if found is None or found.type != ObjectType.COMMIT:
            raise BadRequestError(f"not our ref {want}: no commit or tag of this project.")
        commits.append(str(found.id))
    return commits, tags


def depths_of(repository: Any, request: Request, commits: list[str]) -> Depths:
    """Where the history ends: at the depth that is asked for, else where it ended before."""
    if not request.depth:
        return Depths(set(request.shallow), set())
    ends: set[str] = set()
    inside: set[str] = set()
    # `--deepen n` counts from where the client's history ends.
    relative = "deepen-relative" in request.capabilities
    level = {each for each in request.shallow if _is_commit(repository, each)} if relative else set(commits)
    depths = request.depth + relative
    for depth in range(depths):
        last = depth == depths - 1
        following: set[str] = set()
        for commit in level:
            parents = {str(each) for each in repository[commit].parent_ids}
            if last and parents:
                ends.add(commit)
            else:
                inside.add(commit)
                following |= parents
        level = following - inside
        if not level:
            break
    ends -= inside
    return Depths(ends, request.shallow & inside)


def shallow_answer(request: Request, depths: Depths) -> bytes:
    """The part of an answer that says where history ends; there is one when a depth was asked for."""
    if not request.depth:
        return b""
    lines = [pkt(f"shallow {each}".encode()) for each in sorted(depths.ends - request.shallow)]
    lines += [pkt(f"unshallow {each}".encode()) for each in sorted(depths.opened)]
    return b"".join([*lines, FLUSH])


def common_of(repository: Any, request: Request) -> list[str]:
    """The commits that the client has and that are here."""
    return [have for have in request.haves if _is_commit(repository, have)]


def _is_commit(repository: Any, name: str) -> bool:
    """Whether an id names a commit that is here. A client may say that it has anything."""
    found = repository.get(name)
    return found is not None and found.type == ObjectType.COMMIT


def acknowledgement(request: Request, common: list[str]) -> bytes:
    """What is answered to the client's haves. Any common commit will do: histories here are nearly lines."""
    detailed = "multi_ack_detailed" in request.capabilities
    if not detailed:
        return pkt(f"ACK {common[0]}\n".encode()) if common else pkt(b"NAK\n")
    lines = [pkt(f"ACK {each} common\n".encode()) for each in common]
    if request.done:
        lines.append(pkt(f"ACK {common[-1]}\n".encode()) if common else pkt(b"NAK\n"))
    else:
        if common:
            lines.append(pkt(f"ACK {common[-1]} ready\n".encode()))
        lines.append(pkt(b"NAK\n"))
    return b"".join(lines)

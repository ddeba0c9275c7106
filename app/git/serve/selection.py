"""Which objects a client lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from app.git.read.objects import parse_tree
from app.git.serve.refs import peeled_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.git.serve.negotiation import Depths
    from app.git.serve.request import Request

_FOLDER = b"40000"
_SUBMODULE = b"160000"


class Selection(NamedTuple):
    """Objects by their ids of 20 bytes."""

    missing: dict[bytes, None]
    """What is to be sent, in order: commits, trees, contents, tags."""
    known: set[bytes]
    """Some of what the client has, which deltas may be based on."""


def select_objects(
    repository: Any,
    request: Request,
    *,
    commits: list[str],
    tags: list[str],
    common: list[str],
    depths: Depths,
) -> Selection:
    """What the client lacks of the wanted commits' history, as deep as it shall be."""
    held = _reachable(repository, common, ends=request.shallow)
    wanted = [*commits]
    for opened in depths.opened:
        wanted += [str(each) for each in repository[opened].parent_ids]
    sent = [each for each in _reachable(repository, wanted, ends=depths.ends, known=held) if each not in held]
    known: set[bytes] = set()
    for edge in _edges(repository, sent, held) | set(common[-1:]) | depths.opened:
        _walk(repository, repository[edge].tree_id.raw, known, {})
    missing: dict[bytes, None] = {bytes.fromhex(each): None for each in sent}
    seen = set(known)
    for each in sent:
        _walk(repository, repository[each].tree_id.raw, seen, missing)
    if "include-tag" in request.capabilities:
        tags = [*tags, *_tags_of(repository, set(sent))]
    haves = set(request.haves)
    missing |= {bytes.fromhex(each): None for each in tags if each not in haves}
    return Selection(missing, known)


def _reachable(
    repository: Any, tips: Iterable[str], *, ends: set[str], known: Iterable[str] = ()
) -> dict[str, None]:
    """The commits that lead to the tips, newest first; not beyond where history ends, nor into known ones."""
    stop = set(known)
    found: dict[str, None] = {}
    waiting = [each for each in tips if each not in stop]
    while waiting:
        commit = waiting.pop()
        if commit in found:
            continue
        found[commit] = None
        if commit not in ends:
            waiting += [
                parent
                for parent in map(str, repository[commit].parent_ids)
                if parent not in found and parent not in stop
            ]
    return found


def _edges(repository: Any, sent: list[str], held: dict[str, None]) -> set[str]:
    """The commits that the client has right below those that are sent."""
    return {parent for each in sent for parent in map(str, repository[each].parent_ids) if parent in held}


def _walk(repository: Any, tree: bytes, seen: set[bytes], found: dict[bytes, None]) -> None:
    """Add a tree and all below it that wasn't seen."""
    if tree in seen:
        return
    waiting = [tree]
    seen.add(tree)
    while waiting:
        at = waiting.pop()
        found[at] = None
        for mode, _, oid in parse_tree(repository.read(at.hex())[1]):
            if oid in seen or mode == _SUBMODULE:
                continue
            seen.add(oid)
            if mode == _FOLDER:
                waiting.append(oid)
            else:
                found[oid] = None


def _tags_of(repository: Any, sent: set[str]) -> list[str]:
    """The tag objects that name a commit which is sent."""
    named = [
        repository.references[ref].target for ref in repository.references if ref.startswith("refs/tags/")
    ]
    return [str(oid) for oid in named if str(oid) not in sent and str(peeled_tag(repository, oid)) in sent]

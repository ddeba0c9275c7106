"""Paths and tags that Git refuses, under names that it takes; every other name is itself.

Git takes no `.git` for a name, nor what some file systems hold for the same, and no tag that is a folder of
another one. Such a name has its dots, tildes and backslashes as %XX. What already looks so is escaped once
more, so two names never become one.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""What HFS+ leaves out when it compares names."""
_DOTGIT = frozenset({".git", "git~1"})
_REF_REFUSED = re.compile(r"(\.lock|\.)\Z|\A\.")


def git_path(path: str) -> str:
    """A document's path as Git can have it."""
    if "git" not in path.lower() and "%" not in path and path.isascii():
        return path  # nearly every path
    return "/".join(map(git_name, path.split("/")))


def git_name(name: str) -> str:
    """One segment of a path as Git can have it."""
    if _is_refused(name):
        return _escaped(name)
    return name.replace("%", "%25") if "%" in name and _is_refused(_plain(name)) else name


def tag_ref(name: str, taken: set[str]) -> str:
    """The ref of a tag beside refs that are taken already: no ref can be a folder of another."""
    safe = "/".join(_escaped(part) if _REF_REFUSED.search(part) else part for part in name.split("/"))
    ref = f"refs/tags/{safe}"
    folders = {ref[:at] for at, sign in enumerate(ref) if sign == "/"}
    if folders & taken or any(other.startswith(f"{ref}/") for other in taken):
        # No tag's name has a % of its own, nor a slash at its end.
        ref = "refs/tags/" + (safe if "/" in safe else f"{safe}/").replace("/", "%2F")
    return ref


def _is_refused(name: str) -> bool:
    """Whether `git fsck` finds a .git in this name (its rules for HFS+ and for NTFS)."""
    return any(
        part.partition(":")[0].rstrip(" .").lower() in _DOTGIT for part in _IGNORED.sub("", name).split("\\")
    )


def _escaped(name: str) -> str:
    return "".join(f"%{ord(sign):02X}" if sign in "%.~\\" else sign for sign in name)


def _plain(name: str) -> str:
    while "%" in name:
        once = unquote(name)
        if once == name:
            break
        name = once
    return name

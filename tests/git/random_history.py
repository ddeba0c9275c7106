"""Histories by chance: branches, merges of two to four, several beginnings, and every kind of change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.git.making import START, File

if TYPE_CHECKING:
    import random

    from tests.git.making import Maker

PATHS = ("a", "b", "c", "d/a", "d/b", "d", "e/f/g", "e/f", "über.md", "x:*y")
MODES = (b"100644", b"100644", b"100644", b"100755", b"120000")


def make_history(git: Maker, chance: random.Random, commits: int) -> list[str]:
    """The ids of the commits that lead to the main branch's end, in no order."""
    states: dict[str, dict[str, File]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    tips: list[str] = []
    for _ in range(commits):
        kind = chance.random()
        if not tips or kind < 0.04:
            base: tuple[str, ...] = ()
            files: dict[str, File] = {}
        elif kind < 0.25 and len(tips) > 1:
            base = tuple(chance.sample(tips, min(len(tips), chance.choice((2, 2, 2, 3, 4)))))
            files = _merged(chance, [states[each] for each in base])
        elif kind < 0.4:
            base = (chance.choice(list(states)),)
            files = dict(states[base[0]])
        else:
            base = (tips[-1] if chance.random() < 0.6 else chance.choice(tips),)
            files = dict(states[base[0]])
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            _change(chance, files)
        made = git.commit(files, *base, at=START + chance.randrange(10_000), message=b"%d\n" % len(states))
        states[made] = files
        parents[made] = base
        tips = [each for each in tips if each not in base or chance.random() < 0.1] + [made]
    known = {made}
    todo = [made]
    while todo:
        fresh = [each for each in parents[todo.pop()] if each not in known]
        known.update(fresh)
        todo += fresh
    return list(known)


def _merged(chance: random.Random, sides: list[dict[str, File]]) -> dict[str, File]:
    files: dict[str, File] = {}
    for path in sorted({path for side in sides for path in side}):
        side = chance.choice(sides)
        if path in side:
            _put(files, path, side[path])
    return files


def _change(chance: random.Random, files: dict[str, File]) -> None:
    kind = chance.randrange(8)
    have = list(files)
    if kind <= 2 or not have:
        mode = chance.choice(MODES)
        _put(files, chance.choice(PATHS), File(_text(chance), mode))
    elif kind == 3:
        del files[chance.choice(have)]
    elif kind == 4:
        _put(files, chance.choice(PATHS), files.pop(chance.choice(have)))
    elif kind == 5:
        moved = files.pop(chance.choice(have))
        _put(files, chance.choice(PATHS), moved._replace(data=moved.data + b"and more\n"))
    elif kind == 6 and len(have) > 1:
        one, other = chance.sample(have, 2)
        files[one], files[other] = files[other], files[one]
    else:
        path = chance.choice(have)
        files[path] = files[path]._replace(data=files[path].data + b"%d\n" % chance.randrange(5))


def _put(files: dict[str, File], path: str, file: File) -> None:
    """A file at a path; what would be a file and a folder at once goes."""
    for other in list(files):
        if other.startswith(path + "/") or path.startswith(other + "/"):
            del files[other]
    files[path] = file


def _text(chance: random.Random) -> bytes:
    # Few different texts: equal contents meet each other by chance, as files in different places do.
    seed = chance.randrange(6)
    return (
        b""
        if not seed
        else b"".join(b"line %d of text %d, number %d\n" % (n, seed, n * seed) for n in range(9))
    )

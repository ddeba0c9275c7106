"""Many loose objects as one pack: a tenth of the space, and quick to serve."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pygit2

if TYPE_CHECKING:
    from pathlib import Path

MOST_LOOSE = 2000
_FOLDER = re.compile(r"[0-9a-f]{2}\Z")


def pack_loose(repository: Any, objects: Path) -> int:
    """Pack the loose objects when there are more than MOST_LOOSE, and remove them; how many were packed.

    Readers are not disturbed: the pack is there before the first loose object goes.
    """
    loose = [path for folder in objects.iterdir() if _FOLDER.match(folder.name) for path in folder.iterdir()]
    if len(loose) <= MOST_LOOSE:
        return 0

    def add(builder: Any) -> None:
        for path in sorted(loose):
            builder.add(pygit2.Oid(hex=path.parent.name + path.name))

    repository.pack(path=str(objects / "pack"), pack_delegate=add)
    for path in loose:
        path.unlink(missing_ok=True)
    return len(loose)

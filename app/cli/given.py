"""Files that people name on a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import VersoError

if TYPE_CHECKING:
    from pathlib import Path


def replaceable(path: Path) -> Path:
    """The file that a new one takes the place of, or will; through a link, the one it leads to.

    Raises VersoError `bad_usage`: a device or a pipe would be gone, and a file in its place.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise VersoError("bad_usage", f"{path} is no ordinary file. Name another one.")
    if not path.parent.is_dir():
        raise VersoError("bad_usage", f"There is no folder {path.parent}. Make it, or name another file.")
    return path


def given_text(path: Path) -> str:
    """What a file says, without the mark that Windows puts before it. Raises VersoError `bad_usage`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VersoError(
            "bad_usage", f"{path} can't be read as text in UTF-8: {error}. Save it so, or name another file."
        ) from None

"""Text files that people name on a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import VersoError

if TYPE_CHECKING:
    from pathlib import Path


def given_text(path: Path) -> str:
    """What a file says, without the mark that Windows puts before it. Raises VersoError `bad_usage`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VersoError(
            "bad_usage", f"{path} can't be read as text in UTF-8: {error}. Save it so, or name another file."
        ) from None

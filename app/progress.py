"""How far long work is, told to whoever shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears how far something is, to show it. Called by whatever does the work, in its thread."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """`done` of `total` of what (changes, bytes, commits imported)."""


def no_progress(done: int, total: int, what: str) -> None:
    """Say nothing."""

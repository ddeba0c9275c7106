"""What can go wrong with texts that others made: unreadable patches, misfits, endless comparisons."""

from __future__ import annotations


class PatchUnreadableError(Exception):
    """The patch is none, or one that no honest tool writes; nothing was applied. The text says where."""


class PatchRejectedError(Exception):
    """The patch does not fit its base; nothing was applied.

    `path` is the document, `hunk` the number of the hunk from 1 (None: the document as a whole), `reason` a
    sentence.
    """

    def __init__(self, reason: str, *, path: str, hunk: int | None = None) -> None:
        where = path if hunk is None else f"{path}, hunk {hunk}"
        super().__init__(f"{where}: {reason}")
        self.path = path
        self.hunk = hunk
        self.reason = reason


class BinaryMergeError(Exception):
    """Both sides changed a binary file. Choose one of them: there are no lines to merge."""


class WorkersBusyError(Exception):
    """All workers stayed busy with other texts for as long as a task may wait. Nothing was computed."""


class TookTooLongError(Exception):
    """The computation did not end within its deadline or its memory, and was stopped."""

"""What rich prints on."""

from __future__ import annotations

from rich.console import Console


class Terminal(Console):
    """A console that leaves a closed pipe to the command, where rich would end the process with 1."""

    def on_broken_pipe(self) -> None:
        """Go on with the error that called this."""
        self.quiet = True
        raise  # noqa: PLE0704 - rich calls this while it handles the BrokenPipeError

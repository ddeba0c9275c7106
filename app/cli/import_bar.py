"""A bar for long work: how far, how fast, how long still. On stderr, and only where somebody looks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli.exits import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.client.import_git.run import Watcher


@contextmanager
def bar() -> Iterator[Watcher]:
    """A function that shows how far something is."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "")

    out = console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=out,
        disable=not out.is_terminal,
    )
    rows: dict[str, TaskID] = {}

    def show(done: int, total: int, what: str) -> None:
        if what not in rows:
            rows[what] = progress.add_task(what, total=total, completed=done)
        progress.update(rows[what], completed=done, total=total)

    with progress:
        yield show

"""Progress on stderr for people who wait: how far, how fast, how long still. Nothing for programs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli.exits import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.progress import Progress


@contextmanager
def showing_progress(*, quiet: bool) -> Iterator[Progress]:
    """A Progress to hand to long work; it draws a bar on a terminal, and nothing elsewhere or when quiet."""
    shown = console(stderr=True)
    if quiet or not shown.is_terminal:
        from app.progress import no_progress

        yield no_progress
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "")

    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(Rate(), TimeRemainingColumn()),
    )
    with Bars(*columns, console=shown, transient=True) as bars:
        tasks = {}

        def show(done: int, total: int, what: str) -> None:
            if what not in tasks:
                # What was done before this run says nothing of how fast it is.
                tasks[what] = bars.add_task(what, total=total, completed=done)
            bars.update(tasks[what], completed=done, total=total)

        yield show

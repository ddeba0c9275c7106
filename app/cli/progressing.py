"""Progress on stderr for people who wait: how far, how fast, how long still. Nothing for programs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli.exits import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.client.history import Progress


@contextmanager
def showing_progress(*, quiet: bool) -> Iterator[Progress]:
    """A Progress to hand to long work; it draws a bar on a terminal, and nothing elsewhere or when quiet."""
    shown = console(stderr=True)
    if quiet or not shown.is_terminal:
        from app.client.history import no_progress

        yield no_progress
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=shown, transient=True) as bars:
        tasks = {}

        def show(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show

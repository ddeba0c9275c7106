"""Opening the history that a command looks at: the working folder's, or that of --project."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from app.cli.exits import console
from app.cli.reaching import connect, no_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.text import Text

    from app.client.folder import Folder
    from app.client.looking.source import History
    from app.client.place import Place

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Looked:
    """What a command looks at. Outside of a working folder `place` and `folder` are None."""

    history: History
    place: Place | None
    folder: Folder | None

    def path(self, given: str | None) -> str:
        """The project's path that a name on the command line means; empty for all of the project."""
        from app.client.looking.source import project_path

        return "" if given is None else project_path(given, place=self.place, cwd=Path.cwd())


def project_option(command: F) -> F:
    """The `--project` of a command that works outside of a working folder, too."""
    from app.cli.completing import ProjectName

    given: F = click.option(
        "-p", "--project", type=ProjectName(), help="The project, by slug or id; unless given, the folder's."
    )(command)
    return given


@contextmanager
def looking(api: str | None, project: str | None, *, quiet: bool) -> Iterator[Looked]:
    """Open what to look at. In a working folder the server is asked only for contents that aren't here.

    Raises VersoError `no_project`, `no_server`, and what the server refuses.
    """
    from app.cli.progressing import showing_progress
    from app.client.folder import open_folder
    from app.client.looking.source import History, kept_history
    from app.client.place import find_place

    place = find_place(Path.cwd())
    with ExitStack() as stack:
        progress = stack.enter_context(showing_progress(quiet=quiet))
        if place is not None and project in {None, place.config.project, place.config.slug}:
            folder = stack.enter_context(open_folder(place, lock=False))
            history = History(
                folder.mirror,
                project=place.config.project,
                connect=lambda: connect(api),
                progress=progress,
            )
            yield Looked(history, place, folder)
            return
        if project is None:
            raise no_project()
        client = stack.enter_context(connect(api))
        history = stack.enter_context(kept_history(client, project, progress=progress))
        yield Looked(history, None, None)


def show(lines: Iterable[Text]) -> None:
    """Print lines as they come; on a terminal through a pager, which takes only what is looked at."""
    shown = console()
    if not sys.stdout.isatty():
        for line in lines:
            shown.print(line)
        return

    def drawn() -> Iterator[str]:
        for line in lines:
            with shown.capture() as captured:
                shown.print(line)
            yield captured.get()

    # As git sets it: colours, and no pager for what fits on the screen.
    os.environ.setdefault("LESS", "FRX")
    click.echo_via_pager(drawn(), color=not shown.no_color)

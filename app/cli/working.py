"""`verso clone`, `status`, `pull`, `push`, `restore`, `mv`, `rm`, `resolve`, `watch`: the working folder."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.completing import ProjectName
from app.cli.exits import api_option, json_option, telling, until_interrupted
from app.cli.reaching import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.client.folder import Folder

PATH = click.Path(path_type=str)


@click.command()
@click.argument("project", type=ProjectName())
@click.argument("directory", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--latest", is_flag=True, help="Only the newest contents; old ones stay on the server.")
@click.option("--adopt", is_flag=True, help="Go on with the files that DIRECTORY holds already.")
@api_option
@json_option
def clone(
    project: str, directory: Path | None, *, latest: bool, adopt: bool, api: str | None, as_json: bool
) -> None:
    """Make a working folder of PROJECT (its slug or id), with its whole history.

    With --adopt, files of DIRECTORY that are as some version was are brought up to date, those that never
    were in the project are new, and of the others yours stays, with theirs beside it.

    The history is checked while it comes: every hash is computed again. What was interrupted goes on when the
    same command is run again.
    """
    with telling(as_json) as out:
        from app.cli.progressing import showing_progress
        from app.cli.working_told import told_pull
        from app.client.pull import clone as clone_project

        with connect(api) as client, showing_progress(quiet=as_json) as progress:
            root = Path.cwd() / (directory or project)
            place, pulled = clone_project(
                client, project, root, latest=latest, adopt=adopt, progress=progress
            )
        value = {"folder": str(place.root), "project": place.config.project, "pulled": pulled}
        out.tell(value, f"{place.config.slug} is in {place.root}.\n{told_pull(pulled)}")
        if pulled.conflicts:
            out.end("conflicts")


@click.command()
@json_option
def status(*, as_json: bool) -> None:
    """What was done in this folder since it was in step with the history here. Asks no server."""
    with telling(as_json) as out:
        from app.cli.working_told import look_and_remember, told_status
        from app.client.place import need_place

        found = look_and_remember(need_place(Path.cwd()))
        out.tell(found, told_status(found))


@click.command()
@click.option("--all", "every", is_flag=True, help="Fetch old contents, too, from now on.")
@api_option
@json_option
def pull(*, every: bool, api: str | None, as_json: bool) -> None:
    """Bring this folder up to date, and merge what is new into what you have done.

    Your unsaved work is never overwritten: what can't be merged stays as it is, with theirs beside it as
    name.theirs.ext, and exit code 3 says so. `verso resolve PATH` when it is what it shall be.
    """
    with telling(as_json) as out:
        from app.cli.progressing import showing_progress
        from app.cli.working_told import told_pull
        from app.client.pull import pull as pull_project

        with (
            _folder() as folder,
            connect(api) as client,
            showing_progress(quiet=as_json) as progress,
        ):
            pulled = pull_project(client, folder, every_content=every, progress=progress)
        out.tell(pulled, told_pull(pulled))
        if pulled.conflicts:
            out.end("conflicts")


@click.command()
@click.argument("paths", nargs=-1, type=PATH)
@click.option("-m", "--message", default="", help="Why, for the history.")
@api_option
@json_option
def push(paths: tuple[str, ...], *, message: str, api: str | None, as_json: bool) -> None:
    """Push all that was done here (or at PATHS) as one change: all of it, or nothing.

    If somebody was faster, their work is pulled and merged first.
    """
    with telling(as_json) as out:
        from app.cli.progressing import showing_progress
        from app.cli.working_told import told_push
        from app.client.hand_edits import known_path
        from app.client.push import push as push_edits

        with _folder() as folder, connect(api) as client, showing_progress(quiet=as_json) as progress:
            chosen = [known_path(folder, path, from_folder=Path.cwd()) for path in paths]
            # The folder's root is among them: that is everything.
            wanted = [] if "" in chosen else chosen
            pushed = push_edits(client, folder, message=message, paths=wanted, progress=progress)
        out.tell(pushed, told_push(pushed))


@click.command()
@click.argument("path", type=PATH)
@click.option("--version", "number", type=click.IntRange(1), help="The version's number.")
@click.option("--at", help="A point: a change's number, a tag, a hash, a time.")
@click.option("--force", is_flag=True, help="Even over unsaved work; a copy of it is kept.")
@json_option
def restore(path: str, *, number: int | None, at: str | None, force: bool, as_json: bool) -> None:
    """Give PATH the content of an old version; `verso push` makes it the newest one.

    Without --version and --at, what was done to PATH since the last pull is undone.
    """
    with telling(as_json) as out:
        from app.client.hand_edits import document_path
        from app.client.hand_edits import restore as restore_file

        with _folder() as folder:
            name = document_path(folder, path, from_folder=Path.cwd())
            taken = restore_file(folder, name, number=number, at=at, force=force)
        out.tell({"path": name, "version": taken}, f"{name} has the content of version {taken}.")


@click.command()
@click.argument("source", type=PATH)
@click.argument("target", type=PATH)
@json_option
def mv(source: str, target: str, *, as_json: bool) -> None:
    """Move a file or folder, so that its history goes along."""
    with telling(as_json) as out:
        from app.client.hand_edits import document_path, move

        with _folder() as folder:
            there, here = (document_path(folder, each, from_folder=Path.cwd()) for each in (source, target))
            went = move(folder, there, here)
        out.tell({"moved": went}, "\n".join(f"{one} → {other}" for one, other in went.items()))


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH)
@click.option("--force", is_flag=True, help="Even unsaved work; a copy of it is kept.")
@json_option
def rm(paths: tuple[str, ...], *, force: bool, as_json: bool) -> None:
    """Delete files, or all files below folders; the history keeps them."""
    with telling(as_json) as out:
        from app.client.hand_edits import document_path, remove

        with _folder() as folder:
            gone = [
                name
                for path in paths
                for name in remove(folder, document_path(folder, path, from_folder=Path.cwd()), force=force)
            ]
        out.tell({"deleted": gone}, "\n".join(f"deleted {name}" for name in gone))


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH)
@click.option("--theirs", is_flag=True, help="Take theirs; a copy of yours is kept.")
@json_option
def resolve(paths: tuple[str, ...], *, theirs: bool, as_json: bool) -> None:
    """Say that files which waited for a decision are what they shall be; `verso push` writes them."""
    with telling(as_json) as out:
        from app.client.hand_edits import document_path
        from app.client.hand_edits import resolve as resolve_file

        with _folder() as folder:
            done = [
                resolve_file(folder, document_path(folder, path, from_folder=Path.cwd()), theirs=theirs)
                for path in paths
            ]
        out.tell({"resolved": done}, "\n".join(f"resolved {each.path}" for each in done))


@click.command()
@click.option("-m", "--message", default="", help="Why, for the history, for all that is pushed.")
@click.option(
    "--quiet-time", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, help="Seconds."
)
@click.option("--every", type=click.FloatRange(0.5, 3600), default=10.0, show_default=True, help="Seconds.")
@api_option
@json_option
def watch(*, message: str, quiet_time: float, every: float, api: str | None, as_json: bool) -> None:
    """Keep this folder in step until Ctrl-C.

    Pushes after --quiet-time without an edit, and pulls what is new when the server tells of it; should it
    not be heard, --every so many seconds. What waits for a decision is left alone; all else goes on. With
    --json each event is one line.
    """
    with telling(as_json) as out:
        from app.client.events import Ears
        from app.client.follow import follow
        from app.client.place import need_place

        place = need_place(Path.cwd())
        with (
            connect(api) as client,
            connect(api) as listening,
            Ears(listening, place.config.project) as news,
            until_interrupted() as stop,
        ):
            told = follow(client, place, message=message, quiet=quiet_time, every=every, stop=stop, news=news)
            for event in told:
                out.line(event, event.text)


@contextmanager
def _folder() -> Iterator[Folder]:
    """The working folder that one is in, opened."""
    from app.client.folder import open_folder
    from app.client.place import need_place

    with open_folder(need_place(Path.cwd())) as folder:
        yield folder


WORKING = (clone, status, pull, push, restore, mv, rm, resolve, watch)
"""The commands of this module."""

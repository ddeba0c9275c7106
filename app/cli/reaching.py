"""The server and project of a command that may be run inside of a working folder or anywhere else."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.client.api import Api


def connect(api: str | None) -> Api:
    """The server that is asked for, else VERSO_API's, the working folder's, or the only login's.

    Raises VersoError `no_server`, `not_signed_in`.
    """
    from app.client.credentials import Logins
    from app.client.place import find_place, open_api

    place = find_place(Path.cwd())
    return open_api(api, place=place, environment=os.environ, logins=Logins.of_this_machine())


@contextmanager
def reach(api: str | None, project: str | None) -> Iterator[tuple[Api, str]]:
    """The server's Api, and the project: the one named, else the working folder's.

    Raises VersoError `no_server`, `no_project`.
    """
    named = named_project(project)
    if named is None:
        raise no_project()
    with connect(api) as client:
        yield client, named


def named_project(project: str | None) -> str | None:
    """The project that a command names, else the working folder's by its id, else None."""
    from app.client.place import find_place

    place = find_place(Path.cwd())
    return project or (place.config.project if place else None)


def no_project() -> VersoError:
    """The refusal of a command that needs a project and was told of none."""
    return VersoError("no_project", "Say which project with --project, or go into a working folder.")

"""The project that an import goes into: there already, or made when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.client.api import Api


def find_or_create(server: Api, project: str, *, create: bool, dry_run: bool = False) -> bool:
    """Whether the project is there; it is made when `create` says so, unless it is a dry run.

    Raises VersoError `project_not_found` when it is neither there nor to be made, and what the server says.
    """
    from app.client.history import home_of
    from app.errors import VersoError

    try:
        server.get(home_of(project))
    except VersoError as error:
        if error.code != "project_not_found":
            raise
        if not create:
            raise VersoError(
                error.code,
                f"There is no project {project}, or it is not yours. --create makes it.",
                **error.detail,
            ) from error
        if dry_run:
            return False
        server.post("/v1/projects", {"slug": project})
    return True

"""Refusals that are told beside the form that was sent, with all that was typed still in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec
from litestar.response import Redirect

from app.api.problems import PROBLEMS
from app.errors import VersoError
from app.web import notices

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")

_STATUSES = frozenset({400, 409, 410, 412, 422})
_CODES = frozenset({"person_not_found", "point_not_found", "version_not_found", "content_not_found"})
"""What a field named that isn't there; what an address named that isn't there is a page of its own."""
REFUSED = 422


class Refused(msgspec.Struct, frozen=True):
    """What a form was refused for; `where` names the form on its page."""

    where: str
    sentence: str


async def attempt(where: str, writing: Awaitable[T]) -> T | Refused:
    """Write: what it gives, or why it is refused. Raises VersoError where the page itself can't be shown."""
    try:
        return await writing
    except VersoError as error:
        problem = PROBLEMS.get(error.code)
        if error.code not in _CODES and (problem is None or problem.status not in _STATUSES):
            raise
        return Refused(where, error.sentence)


def back_to(project: str, path: str, code: str, **values: object) -> Redirect:
    """To a page of a project, which says a notice. `project` is as the form's address named it."""
    home = f"/p/{quote(project, safe='')}"
    return Redirect(f"{home}{path}", status_code=303, cookies=[notices.leave(code, **values)])


def one_of(form: dict[str, str], name: str, known: type[Any]) -> Any:
    """A field's value as one of an enumeration. Raises VersoError `bad_value`."""
    try:
        return known(form.get(name, ""))
    except ValueError:
        raise VersoError("bad_value", f"Choose a {name} of the list.") from None

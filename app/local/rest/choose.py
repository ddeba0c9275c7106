"""Which of a name's functions a call means (docs.postgrest.org, "Functions as RPC")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.local.rest.bodies import JSON_TYPE, RAW_TYPES
from app.local.rest.catalog import EXPOSED
from app.local.rest.errors import RestError
from app.local.rest.similar import CLOSE, most_similar

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from app.local.rest.catalog import Catalog, Function

_RAW_PARAMETER = {"text/plain": "text", "text/xml": "xml", "application/octet-stream": "bytea"}


def choose_function(
    catalog: Catalog, name: str, names: Collection[str], *, media_type: str, posted: bool
) -> Function:
    """Find the function that takes exactly these named arguments, else one that takes the whole body.

    Raises RestError PGRST202 (404) when none does, PGRST203 (300) when several do.
    """
    known = catalog.functions.get(name, ())
    given = set(names)
    raw = posted and media_type in RAW_TYPES
    found = [one for one in known if _takes(one, given, raw=raw)]
    if not found:
        found = [one for one in known if posted and _takes_body(one, media_type)]
    if not found:
        raise _missing(catalog, name, sorted(given), media_type=media_type, posted=posted)
    if len(found) > 1:
        raise _ambiguous(found)
    return found[0]


def _takes(function: Function, given: set[str], *, raw: bool) -> bool:
    if not function.parameters:
        return not given and not raw
    required = {one.name for one in function.parameters if one.required}
    return required <= given <= {one.name for one in function.parameters}


def _takes_body(function: Function, media_type: str) -> bool:
    if not function.unnamed:
        return False
    base = function.parameters[0].base
    return base in ("json", "jsonb") if media_type == JSON_TYPE else base == _RAW_PARAMETER.get(media_type)


def _ambiguous(found: Sequence[Function]) -> RestError:
    shown = ", ".join(
        f"{EXPOSED}.{one.name}({', '.join(f'{p.name} => {p.declared}' for p in one.parameters)})"
        for one in found
    )
    return RestError(
        300,
        "PGRST203",
        f"Could not choose the best candidate function between: {shown}",
        hint=(
            "Try renaming the parameters or the function itself in the database so function overloading "
            "can be resolved"
        ),
    )


def _missing(
    catalog: Catalog, name: str, given: Sequence[str], *, media_type: str, posted: bool
) -> RestError:
    full = f"{EXPOSED}.{name}"
    listed = ", ".join(given)
    raw = posted and media_type in RAW_TYPES
    shown = "" if raw else f"({listed})" if given else " without parameters"
    if raw:
        searched = f" with a single unnamed {_RAW_PARAMETER[media_type]} parameter"
    else:
        searched = (
            f" with parameter{'s' if len(given) > 1 else ''} {listed}" if given else " without parameters"
        )
        if posted and media_type == JSON_TYPE:
            searched += " or with a single unnamed json/jsonb parameter"
    return RestError(
        404,
        "PGRST202",
        f"Could not find the function {full}{shown} in the schema cache",
        details=f"Searched for the function {full}{searched}, but no matches were found in the schema cache.",
        hint=None if raw else _hint(catalog, name, given),
    )


def _hint(catalog: Catalog, name: str, given: Sequence[str]) -> str | None:
    known = catalog.functions.get(name)
    if known:
        lists = (f"({', '.join(sorted(p.name for p in one.parameters))})" for one in known)
        similar = most_similar(f"({', '.join(given)})", lists)
        similar = None if similar is None else name + similar
    else:
        similar = most_similar(name, catalog.functions, least=CLOSE)
    return None if similar is None else f"Perhaps you meant to call the function {EXPOSED}.{similar}"

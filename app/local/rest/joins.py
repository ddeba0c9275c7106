"""Which relationship an embedding means (docs.postgrest.org, "Resource Embedding")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.local.rest.catalog import EXPOSED
from app.local.rest.errors import RestError
from app.local.rest.similar import most_similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.local.rest.catalog import Catalog, Relationship


def find_relationship(catalog: Catalog, *, origin: str, target: str, hint: str | None) -> Relationship:
    """Find the one relationship from `origin` that the target and hint name.

    Raises RestError PGRST200 when there is none, PGRST201 (300) when there are several.
    """
    known = catalog.relationships.get(origin, ())
    found = [one for one in known if _meant(one, target, hint)]
    if not found:
        raise _missing(catalog, origin=origin, target=target, hint=hint)
    if len(found) > 1:
        raise _ambiguous(found, origin=origin, target=target)
    return found[0]


def _meant(one: Relationship, target: str, hint: str | None) -> bool:
    if one.kind == "computed":
        return target == one.constraint
    here, there = one.columns[0] if len(one.columns) == 1 else (None, None)
    if one.on_itself:
        # One foreign key, two directions: the table's name means the many, the column's name the one.
        if hint is None:
            return (target == one.other and one.kind == "one-to-many") or (
                target == here and one.kind == "many-to-one"
            )
        return target == one.other and one.kind == "one-to-many" and hint == there
    if hint is None:
        by_key = not one.other_is_view and target in (one.constraint or None, here)
        return target == one.other or by_key
    junction = one.junction.table if one.junction else None
    return target == one.other and hint in (one.constraint or None, here, there, junction)


def _missing(catalog: Catalog, *, origin: str, target: str, hint: str | None) -> RestError:
    by_hint = f"' using the hint '{hint}" if hint is not None else ""
    known = catalog.relationships.get(origin)
    if known is None:
        similar, wrong = most_similar(origin, catalog.relationships), origin
    else:
        similar, wrong = most_similar(target, (one.other for one in known)), target
    return RestError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{origin}' and '{target}' in the schema cache",
        details=(
            f"Searched for a foreign key relationship between '{origin}' and '{target}{by_hint}' "
            f"in the schema '{EXPOSED}', but no matches were found."
        ),
        hint=f"Perhaps you meant '{similar}' instead of '{wrong}'."
        if similar is not None and similar != wrong
        else None,
    )


def _ambiguous(found: Sequence[Relationship], *, origin: str, target: str) -> RestError:
    names = ", ".join(
        f"'{one.other}!{one.junction.table if one.junction else one.constraint}'" for one in found
    )
    return RestError(
        300,
        "PGRST201",
        f"Could not embed because more than one relationship was found for '{origin}' and '{target}'",
        details=[
            {
                "cardinality": one.kind,
                "embedding": f"{one.table} with {one.other}",
                "relationship": _described(one),
            }
            for one in found
        ],
        hint=(
            f"Try changing '{target}' to one of the following: {names}. "
            "Find the desired relationship in the 'details' key."
        ),
    )


def _described(one: Relationship) -> str:
    if one.junction:
        near = ", ".join(here for _, here in one.junction.near)
        far = ", ".join(here for _, here in one.junction.far)
        return f"{one.junction.table} using {one.junction.first}({near}) and {one.junction.second}({far})"
    here = ", ".join(here for here, _ in one.columns)
    there = ", ".join(there for _, there in one.columns)
    return f"{one.constraint} using {one.table}({here}) and {one.other}({there})"

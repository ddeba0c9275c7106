"""Relationships out of foreign keys: between tables, views that show their columns, over junctions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from app.local.rest.catalog import Junction, Kind, Relationship

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """One table or view by its oid, with the names of its columns by number."""

    oid: int
    name: str
    is_view: bool
    exposed: bool
    columns: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Key:
    """A primary, unique or foreign key as pg_constraint has it."""

    name: str
    kind: str
    table: int
    columns: Numbers
    other: int
    other_columns: Numbers


@dataclass(frozen=True, slots=True)
class Schema:
    """What relationships are made from. `shown` says for each view where table columns show up in it."""

    relations: Mapping[int, Relation]
    keys: Sequence[Key]
    shown: Mapping[int, Mapping[tuple[int, int], list[int]]]


def primary_keys(schema: Schema) -> dict[int, tuple[str, ...]]:
    """Map each relation to its key's columns; a view has one when it shows all of a table's."""
    keys: dict[int, tuple[str, ...]] = {}
    for key in schema.keys:
        if key.kind != "p":
            continue
        for relation, numbers in _places(schema, key.table, key.columns):
            keys.setdefault(relation.oid, tuple(relation.columns[number] for number in numbers))
    return keys


def relationships(schema: Schema, keys: Mapping[int, tuple[str, ...]]) -> dict[str, tuple[Relationship, ...]]:
    """Every relationship between exposed relations, by the name of the relation it starts from."""
    unique = {(key.table, frozenset(key.columns)) for key in schema.keys if key.kind in "pu"}
    forward: list[tuple[int, Relationship]] = []
    for key in schema.keys:
        if key.kind == "f":
            single = (key.table, frozenset(key.columns)) in unique
            forward.extend(_along(schema, key, kind="one-to-one" if single else "many-to-one"))
    every = [one for _, one in forward]
    every.extend(_back(schema, forward))
    every.extend(_across(forward, keys))
    found: dict[str, list[Relationship]] = {}
    for one in every:
        found.setdefault(one.table, []).append(one)
    return {name: tuple(sorted(ones, key=_rank)) for name, ones in found.items()}


def _rank(one: Relationship) -> tuple[str, str, str]:
    return one.other, one.kind, one.constraint


def _places(schema: Schema, table: int, columns: Numbers) -> Iterator[tuple[Relation, Numbers]]:
    """The table itself, if exposed, and each way in which an exposed view shows all of these columns."""
    relation = schema.relations.get(table)
    if relation and relation.exposed:
        yield relation, columns
    for oid, shown in schema.shown.items():
        view = schema.relations[oid]
        if view.exposed and all((table, number) in shown for number in columns):
            for numbers in product(*(shown[table, number] for number in columns)):
                yield view, numbers


def _along(schema: Schema, key: Key, *, kind: Kind) -> Iterator[tuple[int, Relationship]]:
    for near, numbers in _places(schema, key.table, key.columns):
        for far, other_numbers in _places(schema, key.other, key.other_columns):
            pairs = tuple(
                (near.columns[one], far.columns[two]) for one, two in zip(numbers, other_numbers, strict=True)
            )
            yield (
                near.oid,
                Relationship(near.name, far.name, kind, key.name, pairs, other_is_view=far.is_view),
            )


def _back(schema: Schema, forward: Iterable[tuple[int, Relationship]]) -> Iterator[Relationship]:
    for oid, one in forward:
        yield replace(
            one,
            table=one.other,
            other=one.table,
            kind="one-to-one" if one.kind == "one-to-one" else "one-to-many",
            columns=tuple((far, near) for near, far in one.columns),
            other_is_view=schema.relations[oid].is_view,
        )


def _across(
    forward: Sequence[tuple[int, Relationship]], keys: Mapping[int, tuple[str, ...]]
) -> Iterator[Relationship]:
    """A table whose primary key holds two foreign keys joins what they point to."""
    outgoing: dict[int, list[Relationship]] = {}
    for oid, one in forward:
        if one.kind == "many-to-one":
            outgoing.setdefault(oid, []).append(one)
    for oid, ones in outgoing.items():
        key = set(keys.get(oid, ()))
        for near, far in product(ones, ones):
            used = {column for column, _ in near.columns + far.columns}
            if near.constraint == far.constraint or not used <= key:
                continue
            junction = Junction(
                near.table,
                near.constraint,
                far.constraint,
                near=tuple((there, here) for here, there in near.columns),
                far=tuple((there, here) for here, there in far.columns),
            )
            yield Relationship(
                near.other,
                far.other,
                "many-to-many",
                "",
                junction=junction,
                other_is_view=far.other_is_view,
            )

"""Reading PostgreSQL's catalog into a `Catalog`, in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.local.rest.catalog import EXPOSED, Catalog, Table, TableColumn, quoted
from app.local.rest.catalog_queries import COLUMNS, FUNCTIONS, KEYS, RELATIONS, TYPES, VIEWS
from app.local.rest.relationships import Key, Relation, Schema, primary_keys, relationships
from app.local.rest.routines import Computed, functions_of
from app.local.rest.type_names import Types
from app.local.rest.view_columns import origins_in, table_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import asyncpg


async def read_catalog(connection: asyncpg.Connection[Any]) -> Catalog:
    """Read the exposed schema as it is now. The connection's role must see the whole catalog.

    Raises asyncpg.PostgresError.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        # With an empty path every name that PostgreSQL prints is qualified, whatever the caller's path is.
        await connection.execute("set local search_path = ''")
        types = Types(await connection.fetch(TYPES))
        relations = await connection.fetch(RELATIONS)
        oids = [row["oid"] for row in relations]
        columns = await connection.fetch(COLUMNS, oids)
        keys = await connection.fetch(KEYS, oids)
        views = await connection.fetch(VIEWS, [row["oid"] for row in relations if row["is_view"]])
        functions = await connection.fetch(FUNCTIONS, EXPOSED)
    schema = _schema(relations, columns, keys, views)
    primary = primary_keys(schema)
    computed = Computed(
        functions, types, {one.oid: one.name for one in schema.relations.values() if one.exposed}
    )
    tables = {
        row["name"]: Table(
            row["name"],
            f"{quoted(EXPOSED)}.{quoted(row['name'])}",
            is_view=row["is_view"],
            columns={},
            key=primary.get(row["oid"], ()),
            computed=computed.columns.get(row["oid"], {}),
        )
        for row in relations
        if row["schema"] == EXPOSED
    }
    kinds = {row["name"] for row in relations if row["schema"] == EXPOSED and row["is_type"]}
    for row in columns:
        relation = schema.relations[row["relation"]]
        if relation.exposed:
            tables[relation.name].columns[row["name"]] = TableColumn(
                row["name"], row["declared"], types.base(row["type"]), row["default"]
            )
    related = relationships(schema, primary)
    for name, ones in computed.relationships.items():
        detected = tuple(
            one for one in related.get(name, ()) if one.other not in {c.constraint for c in ones}
        )
        related[name] = (*detected, *ones)
    callable_ = functions_of(functions, types, tables)
    shown = {name: table for name, table in tables.items() if name not in kinds}
    return Catalog(shown, related, callable_, types.by_name)


def _schema(
    relations: Iterable[Mapping[str, Any]],
    columns: Iterable[Mapping[str, Any]],
    keys: Iterable[Mapping[str, Any]],
    views: Iterable[Mapping[str, Any]],
) -> Schema:
    names: dict[int, dict[int, str]] = {}
    for row in columns:
        names.setdefault(row["relation"], {})[row["number"]] = row["name"]
    known = {
        row["oid"]: Relation(
            row["oid"],
            row["name"],
            is_view=row["is_view"],
            exposed=row["schema"] == EXPOSED,
            columns=names.get(row["oid"], {}),
        )
        for row in relations
    }
    origins = {row["view"]: origins_in(row["tree"]) for row in views}
    return Schema(
        known,
        [
            Key(
                row["name"],
                row["kind"],
                row["table"],
                tuple(row["columns"]),
                row["other"],
                tuple(row["other_columns"]),
            )
            for row in keys
        ],
        {view: table_columns(view, origins) for view in origins},
    )

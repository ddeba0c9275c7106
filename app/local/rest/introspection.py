"""Reading PostgreSQL's catalog into a `Catalog`, in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from app.local.rest.catalog import (
    EXPOSED,
    Catalog,
    Function,
    Parameter,
    Relationship,
    Table,
    TableColumn,
    Type,
    quoted,
)
from app.local.rest.relationships import Key, Relation, Schema, primary_keys, relationships
from app.local.rest.view_columns import origins_in, table_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import asyncpg

_TYPES = """
select t.oid::int8 as oid, n.nspname as schema, t.typname as name, t.typtype::text as kind,
       t.typbasetype::int8 as base, t.typcategory::text as category, t.typrelid::int8 as relation,
       a.typname as array_name, an.nspname as array_schema, format_type(t.oid, null) as declared
from pg_type t join pg_namespace n on n.oid = t.typnamespace
left join pg_type a on a.oid = t.typarray left join pg_namespace an on an.oid = a.typnamespace
"""
_RELATIONS = """
select c.oid::int8 as oid, n.nspname as schema, c.relname as name, c.relkind in ('v', 'm') as is_view,
       c.relkind = 'c' as is_type
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and not c.relispartition
  and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
"""
# An identity column has no expression in pg_attrdef: its sequence hangs on it as an internal dependency.
_COLUMNS = """
select a.attrelid::int8 as relation, a.attnum::int as number, a.attname as name, a.atttypid::int8 as type,
       format_type(a.atttypid, a.atttypmod) as declared,
       case when a.attidentity = 'd'
            then (select format('nextval(%L)', s.oid::regclass)
                  from pg_depend d join pg_class s on s.oid = d.objid
                  where d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype = 'i' limit 1)
            when a.attgenerated = '' then pg_get_expr(f.adbin, f.adrelid) end as default
from pg_attribute a left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
where a.attrelid = any($1::int8[]::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
"""
_KEYS = """
select conname as name, contype::text as kind, conrelid::int8 as table, conkey::int[] as columns,
       confrelid::int8 as other, coalesce(confkey, '{}')::int[] as other_columns
from pg_constraint
where contype in ('p', 'u', 'f') and conparentid = 0 and conrelid = any($1::int8[]::oid[])
order by conrelid, conname
"""
_VIEWS = """
select ev_class::int8 as view, ev_action::text as tree from pg_rewrite
where ev_type = '1' and ev_class = any($1::int8[]::oid[])
"""
_FUNCTIONS = """
select p.oid::int8 as oid, p.proname as name, p.proargnames as names, p.proargmodes::text[] as modes,
       p.proargtypes::oid[]::int8[] as input_types, p.proallargtypes::int8[] as all_types,
       p.pronargdefaults::int as defaults, p.prorettype::int8 as returns, p.proretset as many,
       p.prorows = 1 as one_row, p.provolatile = 'v' as volatile,
       (select split_part(c, '=', 2) from unnest(p.proconfig) c where c like 'statement_timeout=%') as timeout
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1 and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
order by p.proname, p.oid
"""
# What SQL calls some types that pg_type knows by another name.
_SPOKEN = {
    "int": "int4",
    "integer": "int4",
    "smallint": "int2",
    "bigint": "int8",
    "real": "float4",
    "float": "float8",
    "double precision": "float8",
    "decimal": "numeric",
    "dec": "numeric",
    "boolean": "bool",
    "character varying": "varchar",
    "char varying": "varchar",
    "bit varying": "varbit",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "timetz",
}
_UNNAMED_TYPES = frozenset(("bytea", "json", "jsonb", "text", "xml"))


async def read_catalog(connection: asyncpg.Connection[Any]) -> Catalog:
    """Read the exposed schema as it is now. The connection's role must see the whole catalog.

    Raises asyncpg.PostgresError.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        # With an empty path every name that PostgreSQL prints is qualified, whatever the caller's path is.
        await connection.execute("set local search_path = ''")
        types = _Types(await connection.fetch(_TYPES))
        relations = await connection.fetch(_RELATIONS)
        oids = [row["oid"] for row in relations]
        columns = await connection.fetch(_COLUMNS, oids)
        keys = await connection.fetch(_KEYS, oids)
        views = await connection.fetch(_VIEWS, [row["oid"] for row in relations if row["is_view"]])
        functions = await connection.fetch(_FUNCTIONS, EXPOSED)
    schema = _schema(relations, columns, keys, views)
    primary = primary_keys(schema)
    computed = _Computed(
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
    callable_ = _functions(functions, types, tables)
    shown = {name: table for name, table in tables.items() if name not in kinds}
    return Catalog(shown, related, callable_, types.by_name)


@dataclass(frozen=True, slots=True)
class _TypeRow:
    type: Type
    declared: str
    kind: str
    base: int
    relation: int
    name: str


class _Types:
    """pg_type in memory: a few hundred rows, asked for by every column and parameter."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows: dict[int, _TypeRow] = {}
        self.by_name: dict[str, str] = {}
        for row in rows:
            sql = f"{quoted(row['schema'])}.{quoted(row['name'])}"
            array = f"{quoted(row['array_schema'])}.{quoted(row['array_name'])}" if row["array_name"] else ""
            builtin = row["schema"] == "pg_catalog"
            of = Type(row["name"], sql, array or '"pg_catalog"."_text"', row["category"], builtin=builtin)
            self._rows[row["oid"]] = _TypeRow(
                of, row["declared"], row["kind"], row["base"], row["relation"], row["name"]
            )
            if row["schema"] in ("pg_catalog", EXPOSED, "extensions") and (
                builtin or row["name"] not in self.by_name
            ):
                self.by_name[row["name"]] = sql
        self.by_name |= {spoken: f'"pg_catalog".{quoted(name)}' for spoken, name in _SPOKEN.items()}

    def row(self, oid: int) -> _TypeRow:
        return self._rows[oid]

    def base(self, oid: int) -> Type:
        """Resolve domains, also domains over domains."""
        return self.base_row(oid).type

    def base_row(self, oid: int) -> _TypeRow:
        row = self._rows[oid]
        while row.base:
            row = self._rows[row.base]
        return row


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


class _Computed:
    """Functions of one table row: computed columns, and computed relationships where they return rows."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], types: _Types, names: Mapping[int, str]) -> None:
        self.columns: dict[int, dict[str, Type]] = {}
        self.relationships: dict[str, list[Relationship]] = {}
        for row in rows:
            if len(row["input_types"]) != 1:
                continue
            table = types.row(row["input_types"][0]).relation
            if table not in names:
                continue
            target = types.row(row["returns"]).relation
            if target in names:
                self.relationships.setdefault(names[table], []).append(
                    Relationship(
                        names[table],
                        names[target],
                        "computed",
                        row["name"],
                        one_row=not row["many"] or row["one_row"],
                    )
                )
            elif not row["many"]:
                self.columns.setdefault(table, {})[row["name"]] = types.base(row["returns"])


def _functions(
    rows: Iterable[Mapping[str, Any]], types: _Types, tables: Mapping[str, Table]
) -> dict[str, tuple[Function, ...]]:
    found: dict[str, list[Function]] = {}
    for row in rows:
        parameters = _parameters(row, types)
        bare = [one for one in parameters if not one.name]
        if bare and (len(parameters) != 1 or bare[0].base not in _UNNAMED_TYPES):
            continue
        found.setdefault(row["name"], []).append(_function(row, parameters, types, tables))
    # Fewest parameters first, as PostgREST lists overloaded functions.
    return {name: tuple(sorted(ones, key=lambda one: len(one.parameters))) for name, ones in found.items()}


def _function(
    row: Mapping[str, Any], parameters: tuple[Parameter, ...], types: _Types, tables: Mapping[str, Table]
) -> Function:
    returns = types.base_row(row["returns"])
    outputs = [
        (name, types.base(oid))
        for name, oid, mode in zip(
            row["names"] or (), row["all_types"] or (), row["modes"] or (), strict=False
        )
        if mode in ("t", "b", "o")
    ]
    shape: Literal["void", "scalar", "row"] = "scalar"
    if returns.kind == "c" or outputs:
        shape = "row"
    elif returns.name == "void":
        shape = "void"
    table = tables.get(returns.name) if returns.kind == "c" and not outputs else None
    if outputs:
        columns = {name: TableColumn(name, "", of) for name, of in outputs}
        table = Table(row["name"], "", is_view=False, columns=columns)
    return Function(
        row["name"],
        f"{quoted(EXPOSED)}.{quoted(row['name'])}",
        parameters,
        shape=shape,
        many=row["many"],
        volatile=row["volatile"],
        table=returns.name if returns.kind == "c" else None,
        row=table,
        one_out=len(outputs) == 1 and returns.kind != "c",
        timeout=row["timeout"],
    )


def _parameters(row: Mapping[str, Any], types: _Types) -> tuple[Parameter, ...]:
    oids = row["all_types"] or row["input_types"]
    modes = row["modes"] or ["i"] * len(oids)
    names = row["names"] or [""] * len(oids)
    inputs = [
        (name, oid, mode)
        for name, oid, mode in zip(names, oids, modes, strict=True)
        if mode in ("i", "b", "v")
    ]
    optional_from = len(inputs) - row["defaults"]
    return tuple(
        Parameter(
            name,
            _any_length(types.row(oid).declared),
            types.base(oid).name,
            required=index < optional_from,
            variadic=mode == "v",
        )
        for index, (name, oid, mode) in enumerate(inputs)
    )


def _any_length(declared: str) -> str:
    """`character` and `bit` mean one character or bit where a value is read; their varying kin mean any."""
    element, _, brackets = declared.partition("[")
    longer = {"character": "character varying", "bit": "bit varying"}.get(element, element)
    return longer + (f"[{brackets}" if brackets else "")

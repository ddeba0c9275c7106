"""pg_proc's rows as what can be called, and as computed columns and relationships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from app.local.rest.catalog import (
    EXPOSED,
    Function,
    Parameter,
    Relationship,
    Table,
    TableColumn,
    Type,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.local.rest.type_names import Types

_UNNAMED_TYPES = frozenset(("bytea", "json", "jsonb", "text", "xml"))


class Computed:
    """Functions of one table row: computed columns, and computed relationships where they return rows."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], types: Types, names: Mapping[int, str]) -> None:
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


def functions_of(
    rows: Iterable[Mapping[str, Any]], types: Types, tables: Mapping[str, Table]
) -> dict[str, tuple[Function, ...]]:
    """Make the callable functions, by name; those with several unnamed parameters can't be called."""
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
    row: Mapping[str, Any], parameters: tuple[Parameter, ...], types: Types, tables: Mapping[str, Table]
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


def _parameters(row: Mapping[str, Any], types: Types) -> tuple[Parameter, ...]:
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

"""pg_type in memory: types by oid, and the names that a client may cast to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.local.rest.catalog import EXPOSED, Type, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


@dataclass(frozen=True, slots=True)
class TypeRow:
    """One row of pg_type; `base` is what a domain is made of, `relation` whose rows it is, or 0."""

    type: Type
    declared: str
    kind: str
    base: int
    relation: int
    name: str


class Types:
    """pg_type in memory: a few hundred rows, asked for by every column and parameter."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows: dict[int, TypeRow] = {}
        self.by_name: dict[str, str] = {}
        for row in rows:
            sql = f"{quoted(row['schema'])}.{quoted(row['name'])}"
            array = f"{quoted(row['array_schema'])}.{quoted(row['array_name'])}" if row["array_name"] else ""
            builtin = row["schema"] == "pg_catalog"
            of = Type(row["name"], sql, array or '"pg_catalog"."_text"', row["category"], builtin=builtin)
            self._rows[row["oid"]] = TypeRow(
                of, row["declared"], row["kind"], row["base"], row["relation"], row["name"]
            )
            if row["schema"] in ("pg_catalog", EXPOSED, "extensions") and (
                builtin or row["name"] not in self.by_name
            ):
                self.by_name[row["name"]] = sql
        self.by_name |= {spoken: f'"pg_catalog".{quoted(name)}' for spoken, name in _SPOKEN.items()}

    def row(self, oid: int) -> TypeRow:
        """Look a type up by its oid."""
        return self._rows[oid]

    def base(self, oid: int) -> Type:
        """Resolve domains, also domains over domains."""
        return self.base_row(oid).type

    def base_row(self, oid: int) -> TypeRow:
        """Look a type up, going through domains to what they are made of."""
        row = self._rows[oid]
        while row.base:
            row = self._rows[row.base]
        return row

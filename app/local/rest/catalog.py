"""What the exposed schema holds, as PostgreSQL's catalog says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EXPOSED = "public"
Kind = Literal["many-to-one", "one-to-many", "one-to-one", "many-to-many", "computed"]


def quoted(name: str) -> str:
    """Quote an identifier; PostgreSQL has no way to write a NUL in one, so the name ends there."""
    return '"' + name.partition("\0")[0].replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Type:
    """A type as filters need it, domains already resolved to what they are made of.

    `sql` and `array` are quoted and schema-qualified, so that `bpchar` doesn't become `char(1)`.
    """

    name: str
    sql: str
    array: str
    category: str = "S"
    builtin: bool = True


TEXT = Type("text", '"pg_catalog"."text"', '"pg_catalog"."_text"')
JSONB = Type("jsonb", '"pg_catalog"."jsonb"', '"pg_catalog"."_jsonb"', category="U")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """`declared` keeps length and precision, as a body's values are read by it."""

    name: str
    declared: str
    type: Type
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. `computed` are functions of one row, usable wherever its columns are."""

    name: str
    sql: str
    is_view: bool
    columns: dict[str, TableColumn]
    key: tuple[str, ...] = ()
    computed: dict[str, Type] = field(default_factory=dict)

    def type_of(self, column: str) -> Type | None:
        """Look up a column's type, or a computed column's."""
        found = self.columns.get(column)
        return found.type if found else self.computed.get(column)


@dataclass(frozen=True, slots=True)
class Junction:
    """The table between the two ends of a many-to-many relationship, with its two foreign keys."""

    table: str
    first: str
    second: str
    near: tuple[tuple[str, str], ...]
    far: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Relationship:
    """How rows of `table` find rows of `other`. `columns` pairs this side's columns with the other's."""

    table: str
    other: str
    kind: Kind
    constraint: str
    columns: tuple[tuple[str, str], ...] = ()
    junction: Junction | None = None
    other_is_view: bool = False
    one_row: bool = False

    @property
    def to_one(self) -> bool:
        """Whether at most one row answers, so that the embedding is an object and not an array."""
        return self.kind in ("many-to-one", "one-to-one") or (self.kind == "computed" and self.one_row)

    @property
    def on_itself(self) -> bool:
        """Whether both ends are one table."""
        return self.table == self.other


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input parameter. `declared` accepts any length, as a call has no typmod."""

    name: str
    declared: str
    base: str
    required: bool
    variadic: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A callable function. `shape` is what it returns, `row` the columns of a returned row where known.

    `table` is the exposed table whose rows it returns: what can be embedded in them.
    """

    name: str
    sql: str
    parameters: tuple[Parameter, ...]
    shape: Literal["void", "scalar", "row"]
    many: bool
    volatile: bool
    table: str | None = None
    row: Table | None = None
    one_out: bool = False
    timeout: str | None = None

    @property
    def unnamed(self) -> bool:
        """Whether its one parameter takes the whole request body."""
        return len(self.parameters) == 1 and not self.parameters[0].name


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that can be reached, by name."""

    tables: dict[str, Table]
    relationships: dict[str, tuple[Relationship, ...]]
    functions: dict[str, tuple[Function, ...]]
    types: dict[str, str]

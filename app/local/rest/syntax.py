"""What a query string can say, as values: the words of PostgREST's URL grammar."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Path = tuple[str, ...]
Join = Literal["left", "inner"]


@dataclass(frozen=True, slots=True)
class JsonStep:
    """One `->` or (`as_text`) `->>` with its key, or an array index when `is_index`."""

    as_text: bool
    key: str
    is_index: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A column and the way into its JSON."""

    name: str
    steps: tuple[JsonStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """`[not.]operator[(any|all)].value`. `language` belongs to full-text search, `values` to `in`."""

    operator: str
    value: str = ""
    negated: bool = False
    quantifier: Literal["any", "all"] | None = None
    language: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """One field and what it must be."""

    field: Field
    condition: Condition


@dataclass(frozen=True, slots=True)
class Group:
    """`[not.]and(...)` or `[not.]or(...)`."""

    operator: Literal["and", "or"]
    members: tuple[Filter | Group, ...]
    negated: bool = False


Logic = Filter | Group


@dataclass(frozen=True, slots=True)
class Order:
    """One term of `order`; `relation` names the to-one embedding whose column sorts the parent."""

    field: Field
    direction: Literal["asc", "desc"] | None = None
    nulls: Literal["nullsfirst", "nullslast"] | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A selected field; `*` is the field of that name. `aggregate` is parsed only to be refused."""

    field: Field
    alias: str | None = None
    cast: str | None = None
    aggregate: bool = False


@dataclass(frozen=True, slots=True)
class Embed:
    """`[alias:]relation[!hint][!inner](...)`, or `...relation(...)` when `spread`."""

    relation: str
    items: tuple[Column | Embed, ...]
    alias: str | None = None
    hint: str | None = None
    join: Join | None = None
    spread: bool = False


Item = Column | Embed


@dataclass(frozen=True, slots=True)
class Range:
    """Rows `offset` and following, `limit` of them at most (None: all)."""

    offset: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query string. Keys of `filters`, `orders` and `ranges` say which embedding they belong to.

    `arguments` are what a function called by GET takes.
    """

    select: tuple[Item, ...]
    filters: tuple[tuple[Path, Logic], ...] = ()
    orders: tuple[tuple[Path, tuple[Order, ...]], ...] = ()
    ranges: dict[Path, Range] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    arguments: tuple[tuple[str, str], ...] = ()

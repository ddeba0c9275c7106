"""INSERT, UPDATE and DELETE statements, and the read of what they left."""

# ruff: noqa: S608 - names come quoted from the catalog, values are bound parameters
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.local.rest.catalog import quoted
from app.local.rest.errors import unknown_column
from app.local.rest.fragments import Binding, column_sql, logic_sql
from app.local.rest.plan import SOURCE
from app.local.rest.reads import answer_columns, select_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.local.rest.bodies import Body
    from app.local.rest.catalog import Catalog, Table, TableColumn
    from app.local.rest.media import Media
    from app.local.rest.plan import Node
    from app.local.rest.syntax import Logic

_BODY = '"pgrst_body"'


@dataclass(frozen=True, slots=True)
class Insert:
    """Rows to insert. `conflict` are the columns that say what a duplicate is, `merge` what happens to one.

    `put` are PUT's conditions: the body's row must fulfil them or nothing is written.
    """

    body: Body
    columns: tuple[TableColumn, ...]
    defaults: bool
    conflict: tuple[str, ...] = ()
    merge: bool | None = None
    put: tuple[Logic, ...] = ()


def writable_columns(table: Table, names: Sequence[str]) -> tuple[TableColumn, ...]:
    """Look up a body's columns. Raises RestError PGRST204."""
    for name in names:
        if name not in table.columns:
            raise unknown_column(table=table.name, column=name)
    return tuple(table.columns[name] for name in names)


def insert_sql(one: Insert, root: Node, table: Table, bind: Binding, *, returned: Sequence[str]) -> str:
    """Write the insert. The setting `pgrst.inserted` counts the rows that were new, not merged."""
    names = ", ".join(quoted(column.name) for column in one.columns)
    chosen = ", ".join(f"{_BODY}.{quoted(column.name)}" for column in one.columns)
    conditions = [logic_sql(logic, root, bind, qualifier=_BODY) for logic in one.put]
    if one.merge:
        conditions.insert(0, _inserted("+", "0"))
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return (
        f"insert into {table.sql}{f'({names})' if names else ''} select {chosen} "
        f"{_from_body(one.body, one.columns, bind, defaults=one.defaults)}{where}"
        f"{_on_conflict(one)}{_returning(table, returned)}"
    )


def update_sql(
    body: Body,
    columns: Sequence[TableColumn],
    root: Node,
    table: Table,
    bind: Binding,
    *,
    logic: Sequence[Logic],
    returned: Sequence[str],
    defaults: bool,
) -> str:
    """Write the update; a body without keys changes nothing and returns no rows."""
    if not columns:
        empty = ", ".join(column_sql(table.sql, name) for name in returned) or "null"
        return f"select {empty} from {table.sql} where false"
    assigned = ", ".join(f"{quoted(one.name)} = {_BODY}.{quoted(one.name)}" for one in columns)
    source = _from_body(body, columns, bind, defaults=defaults)
    return (
        f"update {table.sql} set {assigned} {source}"
        f"{_where(logic, root, table, bind)}{_returning(table, returned)}"
    )


def delete_sql(
    root: Node, table: Table, bind: Binding, *, logic: Sequence[Logic], returned: Sequence[str]
) -> str:
    """Write the delete."""
    return f"delete from {table.sql}{_where(logic, root, table, bind)}{_returning(table, returned)}"


def write_statement(
    change: str,
    root: Node,
    catalog: Catalog,
    media: Media,
    bind: Binding,
    *,
    show: bool,
    located: Sequence[str],
) -> str:
    """Write the change and the read of its rows. `show` reads them as asked, else they are only counted.

    `located` are the key columns of a Location header.
    """
    answered = answer_columns(media, counted=False, body=None if show else "''")
    rows = select_sql(root, catalog, bind) if show else f"select * from {SOURCE}"
    location = _location(located, bind) if located else "null::text[]"
    return (
        f"with {SOURCE} as ({change}) select {answered}, {location} as location, "
        f"nullif(current_setting('pgrst.inserted', true), '')::int8 as inserted from ({rows}) t"
    )


def _location(key: Sequence[str], bind: Binding) -> str:
    return (
        "case when count(*) = 1 then "
        "(select array_agg(k.key || '=' || coalesce('eq.' || k.value, 'is.null')) "
        f"from (select row_to_json(s) as r from {SOURCE} s limit 1) d, json_each_text(d.r) k "
        f"where k.key = any({bind(list(key))})) end"
    )


def _from_body(body: Body, columns: Sequence[TableColumn], bind: Binding, *, defaults: bool) -> str:
    """The body's objects as rows of the columns' own types; missing keys are null, or defaults when asked."""
    typed = ", ".join(f"{quoted(one.name)} {one.declared}" for one in columns)
    if not columns:
        return f"from json_array_elements({bind(body.rows)}::json) as {_BODY}"
    if not defaults:
        return f"from json_to_recordset({bind(body.rows)}::json) as {_BODY}({typed})"
    given = ", ".join(f"{bind(one.name)}, {one.default}" for one in columns if one.default is not None)
    return (
        f"from jsonb_array_elements({bind(body.rows)}::jsonb) as pgrst_row, "
        f"lateral jsonb_to_record(jsonb_build_object({given}) || pgrst_row) as {_BODY}({typed})"
    )


def _on_conflict(one: Insert) -> str:
    if one.merge is None or not one.conflict:
        return ""
    target = ", ".join(quoted(name) for name in one.conflict)
    if not one.merge or not one.columns:
        return f" on conflict ({target}) do nothing"
    assigned = ", ".join(f"{quoted(column.name)} = excluded.{quoted(column.name)}" for column in one.columns)
    return f" on conflict ({target}) do update set {assigned} where {_inserted('-', '-1')}"


def _inserted(sign: str, never: str) -> str:
    """Count in passing: the comparison is always true, set_config is what it is there for."""
    return (
        "set_config('pgrst.inserted', "
        "(coalesce(nullif(current_setting('pgrst.inserted', true), '')::int8, 0) "
        f"{sign} 1)::text, true) <> '{never}'"
    )


def _where(logic: Sequence[Logic], root: Node, table: Table, bind: Binding) -> str:
    if not logic:
        return ""
    return " where " + " and ".join(logic_sql(one, root, bind, qualifier=table.sql) for one in logic)


def _returning(table: Table, names: Sequence[str]) -> str:
    if not names:
        return " returning 1"
    return " returning " + ", ".join(column_sql(table.sql, name) for name in names)

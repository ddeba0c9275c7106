"""The select statement of a planned read: lateral joins for embeddings, one JSON document for the answer."""

# ruff: noqa: S608 - names come quoted from the catalog, values are bound parameters
from __future__ import annotations

from typing import TYPE_CHECKING

from app.local.rest.catalog import quoted
from app.local.rest.fragments import (
    Binding,
    cast_sql,
    column_sql,
    field_sql,
    filter_sql,
    logic_sql,
    null_checked,
    order_sql,
    range_sql,
)
from app.local.rest.plan import SOURCE
from app.local.rest.syntax import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.local.rest.catalog import Catalog
    from app.local.rest.media import Media
    from app.local.rest.plan import Node
    from app.local.rest.syntax import Column, Logic

SAID = (
    "nullif(current_setting('response.headers', true), '') as headers, "
    "nullif(current_setting('response.status', true), '') as status"
)


def read_statement(
    root: Node, catalog: Catalog, media: Media, bind: Binding, *, counted: str | None, headers_only: bool
) -> str:
    """Write the whole statement of a GET. `counted` is the count query, when an exact count was asked for."""
    count = f", counted as ({counted})" if counted else ""
    answered = answer_columns(media, counted=counted is not None, body="''" if headers_only else None)
    return (
        f"with {SOURCE} as ({select_sql(root, catalog, bind)}){count} "
        f"select {answered} from (select * from {SOURCE}) t"
    )


def answer_columns(media: Media, *, counted: bool, body: str | None = None) -> str:
    """The columns that every statement answers with: total, rows, body, headers, status."""
    total = "(select count(*) from counted)" if counted else "null::int8"
    return f"{total} as total, count(*) as rows, {body or body_sql(media)} as body, {SAID}"


def body_sql(media: Media, *, scalar: bool = False, single: bool = False) -> str:
    """Aggregate the rows of `t`. `scalar`: its one column is the value; `single`: one row at most."""
    if media.form == "csv":
        header = "coalesce((select string_agg(k, ',') from json_object_keys(json_agg(t)->0) k), '')"
        lines = r"coalesce(string_agg(substring(t::text, 2, length(t::text) - 2), E'\n'), '')"
        return rf"{header} || E'\n' || {lines}"
    rows = f"json_agg(t.{SCALAR})" if scalar else "json_agg(t)"
    rows = f"json_strip_nulls({rows})" if media.stripped else rows
    if single or media.form == "object":
        return f"coalesce(({rows}->0)::text, 'null')"
    return f"coalesce({rows}::text, '[]')"


SCALAR = "pgrst_scalar"


def select_sql(node: Node, catalog: Catalog, bind: Binding) -> str:
    """Write the select of one node with its embeddings in it."""
    columns = [_column(node, column, catalog, bind) for column in node.columns]
    if not node.columns and not node.children:
        columns = [column_sql(node.qualifier, "*")]
    joins: list[str] = []
    for child in node.children:
        columns.extend(_embedded_columns(child))
        joins.append(_join(child, catalog, bind))
    return (
        f"select {', '.join(columns)} {_from(node)}{''.join(joins)}"
        f"{_where(node, [logic_sql(one, node, bind) for one in node.where])}"
        f"{order_sql(node.orders, node, bind)}{range_sql(node.span, bind)}"
    )


def count_sql(node: Node, bind: Binding) -> str:
    """Write the query whose rows are the root's matches, without limit; inner embeddings become `exists`."""
    conditions = [_counted_logic(one, node, bind) for one in node.where]
    conditions += [
        f"exists ({count_sql(child, bind)})"
        for child in node.children
        if child.embed and child.embed.join == "inner"
    ]
    return f"select 1 {_from(node)}{_where(node, conditions)}"


def _counted_logic(logic: Logic, node: Node, bind: Binding) -> str:
    if not isinstance(logic, Filter):
        glue = " and " if logic.operator == "and" else " or "
        inner = glue.join(_counted_logic(member, node, bind) for member in logic.members)
        return f"{'not ' if logic.negated else ''}({inner})"
    child = null_checked(logic, node)
    if child is None:
        return filter_sql(logic, node.qualifier, node.table, bind)
    present = (logic.condition.value == "not_null") != logic.condition.negated
    return f"{'' if present else 'not '}exists ({count_sql(child, bind)})"


def _column(node: Node, column: Column, catalog: Catalog, bind: Binding) -> str:
    expression = field_sql(node.qualifier, column.field, node.table, bind)
    name = column.alias
    if column.cast:
        expression = cast_sql(catalog, column.cast, expression)
        name = name or column.field.name
    if column.field.steps and column.alias is None:
        keys = [step.key for step in column.field.steps if not step.is_index]
        name = keys[-1] if keys else column.field.name
    return f"{expression} as {quoted(name)}" if name else expression


def _embedded_columns(child: Node) -> Iterator[str]:
    output = quoted(child.output)
    if child.embed and child.embed.spread:
        for name in _spread_names(child):
            yield f"{output}.*" if name == "*" else f"{output}.{quoted(name)}"
    elif not child.columns and not child.children:
        return
    elif child.link and child.link.to_one:
        yield f"row_to_json({output}.*)::jsonb as {quoted(child.key)}"
    else:
        yield f"coalesce({output}.{output}, '[]') as {quoted(child.key)}"


def _spread_names(node: Node) -> Iterator[str]:
    for column in node.columns:
        keys = [step.key for step in column.field.steps if not step.is_index]
        yield column.alias or (keys[-1] if keys else column.field.name)
    for child in node.children:
        if child.embed and child.embed.spread:
            yield from _spread_names(child)
        else:
            yield child.key


def _join(child: Node, catalog: Catalog, bind: Binding) -> str:
    inner = bool(child.embed and child.embed.join == "inner")
    output = quoted(child.output)
    subquery = select_sql(child, catalog, bind)
    condition = "true"
    if not (child.link and child.link.to_one):
        subquery = f"select json_agg({output})::jsonb as {output} from ({subquery}) as {output}"
        condition = f"{output} is not null" if inner else "true"
    return f" {'inner' if inner else 'left'} join lateral ({subquery}) as {output} on {condition}"


def _from(node: Node) -> str:
    alias = f" as {quoted(node.alias)}" if node.alias else ""
    if node.link and node.link.kind == "computed":
        function = f'"public".{quoted(node.link.constraint)}'
        # The cast chooses among functions of one name, as rows of the CTE have no type of their own.
        return f'from {function}({node.parent_qualifier}::"public".{quoted(node.link.table)}){alias}'
    if node.link and node.link.junction:
        return f'from {node.source}{alias}, "public".{quoted(node.link.junction.table)}'
    return f"from {node.source}{alias}"


def _where(node: Node, conditions: list[str]) -> str:
    every = [*_join_conditions(node), *conditions]
    return f" where {' and '.join(every)}" if every else ""


def _join_conditions(node: Node) -> Iterator[str]:
    if not node.link or node.link.kind == "computed":
        return
    if node.link.junction:
        between = f'"public".{quoted(node.link.junction.table)}'
        for there, here in node.link.junction.far:
            yield f"{column_sql(node.qualifier, there)} = {column_sql(between, here)}"
        for there, here in node.link.junction.near:
            yield f"{column_sql(node.parent_qualifier, there)} = {column_sql(between, here)}"
        return
    for here, there in node.link.columns:
        yield f"{column_sql(node.qualifier, there)} = {column_sql(node.parent_qualifier, here)}"

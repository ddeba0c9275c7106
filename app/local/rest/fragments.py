"""Pieces of SQL. Names are quoted, every value is a bound parameter; nothing of a request is ever spliced in.

A value is bound as text and cast to its column's type in SQL (`$1::text::"pg_catalog"."int4"`): PostgreSQL
reads it as it would a literal, and the statement's text depends only on the shape of the request, so that
asyncpg's cache of prepared statements can hold it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.local.rest.catalog import JSONB, TEXT, Type, quoted
from app.local.rest.conditions import FULL_TEXT, QUANTIFIED, SIMPLE, STATES
from app.local.rest.errors import RestError
from app.local.rest.plan import embedded
from app.local.rest.syntax import Filter

if TYPE_CHECKING:
    from app.local.rest.catalog import Catalog, Table
    from app.local.rest.plan import Node
    from app.local.rest.syntax import Condition, Field, Logic, Order, Range

_PATTERNS = frozenset(("like", "ilike"))


class Binding:
    """The parameters of one statement, in the order of their numbers."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def __call__(self, value: object) -> str:
        """Bind a value and give its place as SQL, typed as text (or text[] for a list)."""
        self.values.append(value)
        return f"${len(self.values)}::text{'[]' if isinstance(value, list) else ''}"


def as_type(placeholder: str, to: Type) -> str:
    """Cast a bound text to a column's type."""
    return placeholder if to is TEXT or to.sql == TEXT.sql else f"{placeholder}::{to.sql}"


def column_sql(qualifier: str, name: str) -> str:
    """Qualify a column; `*` stays one."""
    return f"{qualifier}.*" if name == "*" else f"{qualifier}.{quoted(name)}"


def field_sql(qualifier: str, field: Field, table: Table | None, bind: Binding) -> str:
    """Write a column with its JSON path."""
    column = column_sql(qualifier, field.name)
    if not field.steps:
        return column
    of = table.type_of(field.name) if table else None
    # json and jsonb take the arrows as they are, so that an expression index on them is still used.
    start = column if of and of.name in ("json", "jsonb") else f"to_jsonb({column})"
    return start + "".join(
        f"{'->>' if step.as_text else '->'}({bind(step.key)}{'::int' if step.is_index else ''})"
        for step in field.steps
    )


def field_type(field: Field, table: Table | None) -> Type:
    """Say what type a field's values have; an unknown name counts as text, and PostgreSQL will refuse it."""
    of = (table.type_of(field.name) if table else None) or TEXT
    if not field.steps:
        return of
    if field.steps[-1].as_text:
        return TEXT
    return of if of.name == "json" else JSONB


def cast_sql(catalog: Catalog, name: str, expression: str) -> str:
    """Cast a selected column. Raises RestError 42704 for a type that isn't known."""
    known = catalog.types.get(" ".join(name.lower().split()))
    if known is None:
        raise RestError(400, "42704", f'type "{name}" does not exist')
    return f"cast({expression} as {known})"


def logic_sql(logic: Logic, node: Node, bind: Binding, *, qualifier: str | None = None) -> str:
    """Write a condition or a tree of them. `qualifier` stands in for the node's own."""
    if isinstance(logic, Filter):
        null_check = _embedding_check(logic, node)
        return null_check or filter_sql(logic, qualifier or node.qualifier, node.table, bind)
    glue = " and " if logic.operator == "and" else " or "
    inner = glue.join(logic_sql(member, node, bind, qualifier=qualifier) for member in logic.members)
    return f"{'not ' if logic.negated else ''}({inner})"


def _embedding_check(logic: Filter, node: Node) -> str | None:
    """`clients=not.is.null` asks whether the embedding found a row."""
    child = null_checked(logic, node)
    if child is None:
        return None
    present = (logic.condition.value == "not_null") != logic.condition.negated
    return f"{quoted(child.output)} is {'' if present else 'not '}distinct from null"


def null_checked(logic: Filter, node: Node) -> Node | None:
    """Find the embedding that a filter checks for null, if that is what it does."""
    if logic.condition.operator != "is" or logic.condition.value not in ("null", "not_null"):
        return None
    return None if logic.field.steps else embedded(node, logic.field.name)


def filter_sql(one: Filter, qualifier: str, table: Table | None, bind: Binding) -> str:
    """Write one filter."""
    field = field_sql(qualifier, one.field, table, bind)
    comparison = _comparison(field, one.condition, field_type(one.field, table), bind)
    return f"not ({comparison})" if one.condition.negated else comparison


def _comparison(field: str, condition: Condition, of: Type, bind: Binding) -> str:
    operator = condition.operator
    if operator == "is":
        return f"{field} is {STATES[condition.value]}"
    if operator == "in":
        # `in.()` is the empty list, as one empty element can't be told from none.
        values = [] if condition.values == ("",) else list(condition.values)
        return f"{field} = any({bind(values)}::{of.array})"
    if operator == "isdistinct":
        return f"{field} is distinct from {as_type(bind(condition.value), of)}"
    if operator in FULL_TEXT:
        return _full_text(field, condition, of, bind)
    return _ordinary(field, condition, of, bind)


def _ordinary(field: str, condition: Condition, of: Type, bind: Binding) -> str:
    operator = condition.operator
    if operator in SIMPLE:
        return f"{field} {SIMPLE[operator]} {as_type(bind(condition.value), of)}"
    value = condition.value.replace("*", "%") if operator in _PATTERNS else condition.value
    # Patterns are text, except for text types that compare in their own way (citext).
    pattern = operator in ("like", "ilike", "match", "imatch") and (of.builtin or of.category != "S")
    wanted = TEXT if pattern else of
    if condition.quantifier:
        listed = f"{bind(value)}::{wanted.array}"
        return f"{field} {QUANTIFIED[operator]} {condition.quantifier}({listed})"
    return f"{field} {QUANTIFIED[operator]} {as_type(bind(value), wanted)}"


def _full_text(field: str, condition: Condition, of: Type, bind: Binding) -> str:
    language = f"{bind(condition.language)}::regconfig, " if condition.language else ""
    # Since PostgREST 13 a text or JSON column is made a tsvector in the query's own language.
    vector = field if of.name == "tsvector" else f"to_tsvector({language}{field})"
    return f"{vector} @@ {FULL_TEXT[condition.operator]}({language}{bind(condition.value)})"


def order_sql(orders: tuple[Order, ...], node: Node, bind: Binding) -> str:
    """Write the order by clause, or nothing."""
    if not orders:
        return ""
    return " order by " + ", ".join(_term(order, node, bind) for order in orders)


def _term(order: Order, node: Node, bind: Binding) -> str:
    qualifier, table = node.qualifier, node.table
    if order.relation is not None:
        child = embedded(node, order.relation)
        if child:
            qualifier, table = quoted(child.output), None
    direction = f" {order.direction}" if order.direction else ""
    nulls = {"nullsfirst": " nulls first", "nullslast": " nulls last", None: ""}[order.nulls]
    return f"{field_sql(qualifier, order.field, table, bind)}{direction}{nulls}"


def range_sql(span: Range, bind: Binding) -> str:
    """Write limit and offset, or nothing."""
    limit = "" if span.limit is None else f" limit {bind(str(span.limit))}::int8"
    return limit + (f" offset {bind(str(span.offset))}::int8" if span.offset else "")

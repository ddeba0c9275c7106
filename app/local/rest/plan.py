"""From what was asked to what is read: a tree of tables, each joined to its parent by a relationship."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.local.rest.catalog import EXPOSED, quoted
from app.local.rest.errors import no_aggregates, not_embedded, not_to_one
from app.local.rest.joins import find_relationship
from app.local.rest.ranges import ALL, at_most
from app.local.rest.syntax import Column, Embed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.local.rest.catalog import Catalog, Relationship, Table
    from app.local.rest.syntax import Logic, Order, Path, Query, Range

# The CTE in which a change's or a call's rows stand while the answer is read from them.
SOURCE = "pgrst_source"


@dataclass(slots=True)
class Node:
    """One table in the tree. `qualifier` names it in SQL, `output` is what its subquery is called.

    Built step by step and then only read; nothing keeps one beyond its request.
    """

    origin: str
    table: Table | None
    source: str
    alias: str | None
    embed: Embed | None = None
    link: Relationship | None = None
    output: str = ""
    parent_qualifier: str = ""
    columns: list[Column] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    where: list[Logic] = field(default_factory=list)
    orders: tuple[Order, ...] = ()
    span: Range = ALL

    @property
    def qualifier(self) -> str:
        """What stands before a column's name."""
        return quoted(self.alias) if self.alias else self.source

    @property
    def key(self) -> str:
        """The name under which the embedding appears in the answer."""
        return (self.embed.alias or self.embed.relation) if self.embed else ""


def plan_read(
    query: Query,
    catalog: Catalog,
    *,
    origin: str,
    table: Table | None,
    from_source: bool = False,
    root_filters: bool = True,
    max_rows: int | None = None,
) -> Node:
    """Plan a read of `origin`; `from_source` reads what a change or call left in the CTE.

    `root_filters` is off for changes, whose filters choose what is changed instead. Raises RestError
    PGRST108, 118, 119, 123, 200 or 201.
    """
    root = Node(
        origin,
        table,
        SOURCE if from_source else (table.sql if table else f"{quoted(EXPOSED)}.{quoted(origin)}"),
        alias=origin if from_source else None,
    )
    _grow(root, query.select, catalog, depth=1)
    for path, logic in query.filters:
        if path or root_filters:
            _at(root, path).where.append(logic)
    for path, orders in reversed(query.orders):
        _at(root, path).orders = orders
    for path, span in query.ranges.items():
        if path or root_filters:
            _at(root, path).span = span
    for node in _all(root):
        _check_orders(node)
        if max_rows is not None:
            node.span = at_most(node.span, max_rows)
    return root


def _grow(node: Node, items: Iterable[Column | Embed], catalog: Catalog, *, depth: int) -> None:
    for item in items:
        if isinstance(item, Column):
            if item.aggregate:
                raise no_aggregates()
            node.columns.append(item)
            continue
        link = find_relationship(catalog, origin=node.origin, target=item.relation, hint=item.hint)
        if item.spread and not link.to_one:
            raise not_to_one(origin=link.table, target=item.relation, what="spread")
        table = catalog.tables.get(link.other)
        child = Node(
            link.other,
            table,
            f"{quoted(EXPOSED)}.{quoted(link.other)}",
            # A junction joins without an alias of its own, so the far table keeps its name.
            alias=None if link.junction else f"{link.other}_{depth}",
            embed=item,
            link=link,
            output=f"{link.table}_{item.alias or item.relation}_{depth}",
            # A computed relationship takes the row itself, which is named without its schema.
            parent_qualifier=quoted(node.origin)
            if link.kind == "computed" and not node.alias
            else node.qualifier,
        )
        _grow(child, item.items, catalog, depth=depth + 1)
        node.children.append(child)


def _at(node: Node, path: Path) -> Node:
    for name in path:
        for child in node.children:
            if child.embed and name in (child.embed.relation, child.embed.alias):
                node = child
                break
        else:
            raise not_embedded(name)
    return node


def _all(node: Node) -> Iterable[Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def _check_orders(node: Node) -> None:
    for order in node.orders:
        if order.relation is None:
            continue
        child = embedded(node, order.relation)
        if child is None:
            raise not_embedded(order.relation)
        if not child.link or not child.link.to_one:
            raise not_to_one(origin=node.origin, target=child.key, what="order")


def embedded(node: Node, name: str) -> Node | None:
    """Find the embedding that has this name in the answer."""
    return next((child for child in node.children if child.key == name), None)


def needed_columns(node: Node, key: tuple[str, ...]) -> list[str]:
    """The columns that a change must return: the selected ones, and those that embeddings join on.

    Returning more would ask for rights to read that the caller may not have.
    """
    names = [column.field.name for column in node.columns]
    if "*" in names or any(child.link and child.link.kind == "computed" for child in node.children):
        return ["*"]
    for child in node.children:
        if child.link and child.link.junction:
            names.extend(there for there, _ in child.link.junction.near)
        elif child.link:
            names.extend(here for here, _ in child.link.columns)
    return sorted({*names, *key})

"""GET, HEAD, POST, PATCH, PUT and DELETE on a table or view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from app.local.rest.ask import Answer, overridden
from app.local.rest.bodies import media_type_of, parse_rows
from app.local.rest.errors import (
    bad_put_filters,
    bad_range,
    not_singular,
    put_mismatch,
    put_with_limit,
    too_many_affected,
    unfiltered,
    unknown_table,
    unsupported_method,
)
from app.local.rest.fragments import Binding
from app.local.rest.plan import needed_columns, plan_read
from app.local.rest.query import parse_query
from app.local.rest.ranges import ALL, content_range, requested, status_of
from app.local.rest.reads import count_sql, read_statement
from app.local.rest.similar import CLOSE, most_similar
from app.local.rest.syntax import Filter
from app.local.rest.writes import (
    Insert,
    delete_sql,
    insert_sql,
    update_sql,
    writable_columns,
    write_statement,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from app.local.rest.ask import Ask
    from app.local.rest.catalog import Catalog, Table
    from app.local.rest.media import Media
    from app.local.rest.plan import Node
    from app.local.rest.preferences import Preferences
    from app.local.rest.syntax import Query


async def answer_table(ask: Ask, catalog: Catalog) -> Answer:
    """Answer a request on a table. Raises RestError, asyncpg.PostgresError."""
    query = parse_query(ask.query)
    if ask.method in ("GET", "HEAD"):
        return await _read(ask, catalog, query)
    if ask.method in ("POST", "PATCH", "PUT", "DELETE"):
        return await _write(ask, catalog, query)
    raise unsupported_method(ask.method)


def table_of(catalog: Catalog, name: str) -> Table:
    """Look a table up. Raises RestError PGRST205 with the name that may have been meant."""
    table = catalog.tables.get(name)
    if table is None:
        similar = most_similar(name, catalog.tables, least=CLOSE)
        hint = None if similar is None else f"Perhaps you meant the table 'public.{similar}'"
        raise unknown_table(schema="public", table=name, hint=hint)
    return table


async def _read(ask: Ask, catalog: Catalog, query: Query) -> Answer:
    span = requested(query.ranges.get(()), ask.headers.get("range") if ask.method == "GET" else None)
    table = table_of(catalog, ask.name)
    query = replace(query, ranges={**query.ranges, (): span})
    root = plan_read(query, catalog, origin=ask.name, table=table, max_rows=ask.max_rows)
    media, preferences = ask.media, ask.preferences
    bind = Binding()
    counted = counted_sql(root, preferences, bind, max_rows=ask.max_rows)
    sql = read_statement(root, catalog, media, bind, counted=counted, headers_only=ask.method == "HEAD")
    settings = ask.settings(preferences=preferences)
    async with ask.database.transaction(ask.caller, read_only=True, settings=settings) as connection:
        row = await fetch_answer(connection, sql, bind)
        check_singular(media, row)
        total = await estimated(connection, root, preferences, row, max_rows=ask.max_rows)
    return overridden(
        shown(row, span.offset, total, media, preferences, headers_only=ask.method == "HEAD"), row
    )


async def fetch_answer(connection: asyncpg.Connection[Any], sql: str, bind: Binding) -> Mapping[str, Any]:
    """Run a statement that answers with one row. Raises asyncpg.PostgresError."""
    row = await connection.fetchrow(sql, *bind.values)
    if row is None:
        raise RuntimeError("A statement that aggregates returned no row.")
    return dict(row)


def check_singular(media: Media, row: Mapping[str, Any]) -> None:
    """Refuse when one object was asked for and the rows aren't one. Inside the transaction, to undo it."""
    if media.form == "object" and row["rows"] != 1:
        raise not_singular(row["rows"])


def counted_sql(root: Node, preferences: Preferences, bind: Binding, *, max_rows: int) -> str | None:
    """Write the count that runs beside the read, if one was asked for."""
    if preferences.count == "exact":
        return count_sql(root, bind)
    if preferences.count == "estimated":
        # One more than a page tells whether the exact count would be large.
        return f"{count_sql(root, bind)} limit {max_rows + 1:d}"
    return None


async def estimated(
    connection: asyncpg.Connection[Any],
    root: Node,
    preferences: Preferences,
    row: Mapping[str, Any],
    *,
    max_rows: int,
) -> int | None:
    """The total: counted, or as the planner expects it where that was preferred or counting is too much."""
    total: int | None = row["total"]
    large = preferences.count == "estimated" and total is not None and total > max_rows
    if preferences.count != "planned" and not large:
        return total
    bind = Binding()
    plan = await connection.fetchval(f"explain (format json) {count_sql(root, bind)}", *bind.values)
    expected = int(msgspec.json.decode(plan)[0]["Plan"]["Plan Rows"])
    return max(total or 0, expected)


def shown(
    row: Mapping[str, Any],
    offset: int,
    total: int | None,
    media: Media,
    preferences: Preferences,
    *,
    headers_only: bool,
) -> Answer:
    """The answer to a read or a call. Raises RestError 416 for an offset behind the end."""
    last = offset + row["rows"] - 1
    spanned = content_range(first=offset, last=last, total=total)
    status = status_of(first=offset, last=last, total=total)
    headers = {"content-range": spanned, "content-type": media.content_type}
    applied = preferences.applied("count", "handling", "timezone", "max-affected")
    if applied:
        headers["preference-applied"] = applied
    if status == 416:  # noqa: PLR2004
        error = bad_range(f"An offset of {offset} was requested, but there are only {total} rows.")
        error.headers.update(headers)
        raise error
    return Answer(status, headers, b"" if headers_only else row["body"].encode())


async def _write(ask: Ask, catalog: Catalog, query: Query) -> Answer:
    if ask.method == "PUT" and query.ranges.get((), ALL) != ALL:
        raise put_with_limit()
    body_type = media_type_of(ask.headers.get("content-type"))
    body = None
    if ask.method != "DELETE":
        columns = query.columns if ask.method in ("POST", "PATCH") else None
        body = parse_rows(ask.body, body_type, columns=columns)
    table = table_of(catalog, ask.name)
    root = plan_read(query, catalog, origin=ask.name, table=table, from_source=True, root_filters=False)
    preferences, media = ask.preferences, ask.media
    logic = [one for path, one in query.filters if not path]
    key = table.key
    returned = needed_columns(root, key) if preferences.returned in ("representation", "headers-only") else []
    if ask.method in ("PATCH", "DELETE") and not logic:
        raise unfiltered(ask.method)
    bind = Binding()
    defaults = preferences.missing == "default"
    if body is None:
        change = delete_sql(root, table, bind, logic=logic, returned=returned)
    else:
        written = writable_columns(table, body.keys)
        if ask.method == "PATCH":
            change = update_sql(
                body, written, root, table, bind, logic=logic, returned=returned, defaults=defaults
            )
        else:
            insert = Insert(body, written, defaults=defaults)
            if ask.method == "PUT":
                _check_put(query, table)
                insert = replace(insert, defaults=False, conflict=key, merge=True, put=tuple(logic))
            elif preferences.resolution:
                conflict = key if query.on_conflict is None else query.on_conflict
                merge = preferences.resolution == "merge-duplicates"
                insert = replace(insert, conflict=conflict, merge=merge)
            change = insert_sql(insert, root, table, bind, returned=returned)
    show = preferences.returned == "representation"
    located = key if ask.method == "POST" and preferences.returned == "headers-only" else ()
    sql = write_statement(change, root, catalog, media, bind, show=show, located=located)
    settings = ask.settings(preferences=preferences)
    async with ask.database.transaction(ask.caller, settings=settings) as connection:
        row = await fetch_answer(connection, sql, bind)
        _check_written(ask.method, media, preferences, row)
    return overridden(_written(ask, query, table, row), row)


def _check_put(query: Query, table: Table) -> None:
    """PUT replaces one row: its filters are the primary key, whole and by equality."""
    named = []
    for path, logic in query.filters:
        plain = isinstance(logic, Filter) and not path and not logic.field.steps
        if not plain or not isinstance(logic, Filter):
            raise bad_put_filters()
        condition = logic.condition
        if condition.operator != "eq" or condition.negated or condition.quantifier:
            raise bad_put_filters()
        named.append(logic.field.name)
    if not table.key or set(named) != set(table.key):
        raise bad_put_filters()


def _check_written(method: str, media: Media, preferences: Preferences, row: Mapping[str, Any]) -> None:
    if method == "PUT":
        if row["rows"] != 1:
            raise put_mismatch()
        return
    check_singular(media, row)
    most = preferences.max_affected
    if most is not None and preferences.handling == "strict" and method != "POST" and row["rows"] > most:
        raise too_many_affected(row["rows"])


def _written(ask: Ask, query: Query, table: Table, row: Mapping[str, Any]) -> Answer:
    media, preferences = ask.media, ask.preferences
    show = preferences.returned == "representation"
    total = row["rows"] if preferences.count in ("exact", "estimated") else None
    headers: dict[str, str] = {}
    names = ["return", "count", "handling", "timezone"]
    if ask.method == "POST":
        merged = preferences.resolution == "merge-duplicates" and (row["inserted"] or 0) <= 0
        status = 200 if merged else 201
        headers["content-range"] = content_range(first=1, last=0, total=total)
        names.append("missing")
        if table.key or query.on_conflict is not None:
            names.append("resolution")
        if row["location"]:
            headers["location"] = f"/{quote(ask.name)}?{_located(row['location'])}"
    elif ask.method == "PUT":
        status = (201 if (row["inserted"] or 0) > 0 else 200) if show else 204
    else:
        status = 200 if show else 204
        names.append("max-affected")
        first, last = (0, row["rows"] - 1) if ask.method == "PATCH" else (1, 0)
        headers["content-range"] = content_range(first=first, last=last, total=total)
        if ask.method == "PATCH":
            names.append("missing")
    applied = preferences.applied(*names)
    if applied:
        headers["preference-applied"] = applied
    if show:
        headers["content-type"] = media.content_type
    return Answer(status, headers, row["body"].encode() if show else b"")


def _located(pairs: list[str]) -> str:
    """Key columns as the filters that find the row again."""
    named = (pair.partition("=") for pair in pairs)
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, _, value in named)

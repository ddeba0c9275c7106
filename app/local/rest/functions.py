"""Calls of functions: POST with a body of arguments, GET with a query string of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from app.local.rest.ask import Answer, overridden
from app.local.rest.bodies import (
    FORM_TYPE,
    JSON_TYPE,
    RAW_TYPES,
    media_type_of,
    parse_arguments,
    parse_rows,
    text_of,
)
from app.local.rest.calls import arguments_json, can_be_short, full_call, short_call
from app.local.rest.choose import choose_function
from app.local.rest.errors import RestError, bad_body, too_many_affected, wrong_rpc_method
from app.local.rest.fragments import Binding
from app.local.rest.media import JSON
from app.local.rest.plan import plan_read
from app.local.rest.query import EMPTY, parse_query
from app.local.rest.ranges import content_range, requested
from app.local.rest.tables import check_singular, counted_sql, estimated, fetch_answer, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.local.rest.ask import Ask
    from app.local.rest.catalog import Catalog, Function
    from app.local.rest.preferences import Preferences
    from app.local.rest.syntax import Query

_PLANS = 1000


class Functions:
    """The functions of one catalog, with the short statements that were needed so far."""

    def __init__(self, catalog: Catalog, *, max_rows: int) -> None:
        self._catalog = catalog
        self._max_rows = max_rows
        self._short: dict[tuple[str, tuple[str, ...]], tuple[Function, str | None]] = {}

    async def answer(self, ask: Ask) -> Answer:
        """Call a function. Raises RestError, asyncpg.PostgresError."""
        if ask.method not in ("GET", "HEAD", "POST"):
            raise wrong_rpc_method(ask.method)
        if ask.method == "POST" and not ask.query and ask.preferences.plain:
            answer = await self._answer_shortly(ask)
            if answer is not None:
                return answer
        return await self._answer_fully(ask)

    async def _answer_shortly(self, ask: Ask) -> Answer | None:
        """One round trip for the call that clients nearly always make; None when it needs the full form."""
        if media_type_of(ask.headers.get("content-type")) != JSON_TYPE or ask.media is not JSON:
            return None
        body = parse_arguments(ask.body)
        if body.is_array:
            return None
        function, sql = self._shortened(ask.name, body.keys)
        if sql is None:
            return None
        caller = ask.caller
        async with ask.database.pool(caller.role).connection() as connection:
            found = await connection.fetchrow(
                sql, caller.claims_json, body.text, ask.headers_json, ask.path, caller.role
            )
        if found is None:
            raise RuntimeError("A statement that calls a function returned no row.")
        row = dict(found)
        spanned = content_range(first=0, last=row["rows"] - 1, total=None)
        if function.shape == "void":
            return overridden(Answer(204, {"content-range": spanned}), row)
        headers = {"content-range": spanned, "content-type": JSON.content_type}
        return overridden(Answer(200, headers, row["body"].encode()), row)

    def _shortened(self, name: str, keys: tuple[str, ...]) -> tuple[Function, str | None]:
        found = self._short.get((name, keys))
        if found is None:
            function = choose_function(self._catalog, name, keys, media_type=JSON_TYPE, posted=True)
            sql = short_call(function, keys, max_rows=self._max_rows) if can_be_short(function) else None
            if len(self._short) >= _PLANS:
                self._short.clear()
            found = self._short[name, keys] = (function, sql)
        return found

    async def _answer_fully(self, ask: Ask) -> Answer:
        query = parse_query(ask.query, arguments=ask.method != "POST") if ask.query else EMPTY
        span = requested(query.ranges.get(()), ask.headers.get("range") if ask.method == "GET" else None)
        query = replace(query, ranges={**query.ranges, (): span})
        function, names, argument = self._chosen(ask, query)
        media, preferences = ask.media, ask.preferences
        root = plan_read(
            query,
            self._catalog,
            origin=function.table or function.name,
            table=function.row,
            from_source=True,
            max_rows=ask.max_rows,
        )
        bind = Binding()
        counted = counted_sql(root, preferences, bind, max_rows=ask.max_rows)
        sql = full_call(
            function,
            names,
            argument,
            bind,
            root=root,
            catalog=self._catalog,
            media=media,
            counted=counted,
        )
        settings = ask.settings(preferences=preferences, timeout=function.timeout)
        read_only = ask.method != "POST" or not function.volatile
        async with ask.database.transaction(ask.caller, read_only=read_only, settings=settings) as connection:
            row = await fetch_answer(connection, sql, bind)
            check_singular(media, row)
            _check_affected(function, preferences, row)
            total = row["total"] if counted else None
            if preferences.count == "planned":
                total = await estimated(connection, root, preferences, row, max_rows=ask.max_rows)
        answer = shown(row, span.offset, total, media, preferences, headers_only=ask.method == "HEAD")
        if function.shape == "void":
            headers = {name: value for name, value in answer.headers.items() if name != "content-type"}
            answer = Answer(204, headers)
        return overridden(answer, row)

    def _chosen(self, ask: Ask, query: Query) -> tuple[Function, tuple[str, ...], Any]:
        """The function, the names of its arguments, and the arguments as one value."""
        if ask.method != "POST":
            names = tuple(dict.fromkeys(name for name, _ in query.arguments))
            function = choose_function(self._catalog, ask.name, names, media_type="", posted=False)
            return function, names, arguments_json(function, query.arguments)
        kind = media_type_of(ask.headers.get("content-type"))
        if kind in RAW_TYPES:
            function = choose_function(self._catalog, ask.name, (), media_type=kind, posted=True)
            raw = function.parameters and function.parameters[0].base == "bytea"
            return function, (), ask.body if raw else text_of(ask.body)
        if kind == FORM_TYPE:
            pairs = parse_qsl(text_of(ask.body), keep_blank_values=True)
            names = tuple(dict.fromkeys(name for name, _ in pairs))
            function = choose_function(self._catalog, ask.name, names, media_type=kind, posted=True)
            return function, names, arguments_json(function, pairs)
        if kind == JSON_TYPE:
            body = parse_arguments(ask.body)
            if query.columns is not None:
                body = replace(body, keys=query.columns)
        elif kind == "text/csv":
            body = parse_rows(ask.body, kind, columns=None)
        else:
            raise bad_body(f"Content-Type not acceptable: {kind}")
        function = choose_function(self._catalog, ask.name, body.keys, media_type=JSON_TYPE, posted=True)
        return function, body.keys, body.text if function.unnamed else body.rows


def _check_affected(function: Function, preferences: Preferences, row: Mapping[str, Any]) -> None:
    most = preferences.max_affected
    if most is None or preferences.handling != "strict":
        return
    if not function.many:
        raise RestError(
            400,
            "PGRST128",
            "Function must return SETOF or TABLE when max-affected preference is used with handling=strict",
        )
    if row["rows"] > most:
        raise too_many_affected(row["rows"])

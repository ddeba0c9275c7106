"""Statements that call a function: the short one for the common call, the full one for everything else."""

# ruff: noqa: S608 - names come quoted from the catalog, values are bound parameters
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from app.local.rest.catalog import quoted
from app.local.rest.plan import SOURCE
from app.local.rest.reads import SAID, SCALAR, answer_columns, body_sql, select_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from app.local.rest.catalog import Catalog, Function, Parameter
    from app.local.rest.fragments import Binding
    from app.local.rest.media import Media
    from app.local.rest.plan import Node


def short_call(function: Function, names: Collection[str], *, max_rows: int) -> str:
    """Write the call that takes one round trip: claims, arguments and function in one statement.

    `$1` are the claims, `$2` the JSON object of arguments, `$3` the headers as JSON, `$4` the path, `$5` the
    role. Role and claims are set in a materialized CTE and the function stands in the select list above it,
    so it can't run before them; a function in FROM could.
    """
    chosen = [one for one in function.parameters if one.name in names]
    settings = (
        "set_config('role', $5, true), "
        "set_config('request.jwt.claims', $1, true), set_config('request.headers', $3, true), "
        "set_config('request.path', $4, true), set_config('request.method', 'POST', true)"
    )
    if not function.volatile:
        # PostgREST runs these in a read-only transaction, so what they call can't write either.
        settings += ", set_config('transaction_read_only', 'on', true)"
    arguments = ", ".join(_passed(one, "a") for one in chosen)
    # A CTE's row and the arguments' row: nothing else is joined, so both come before the call.
    source = "c"
    if chosen:
        source += f", json_to_record($2::text::json) as a({_typed(chosen)})"
    else:
        source += ", (select $2::text) as a"
    call = f"{function.sql}({arguments})"
    start = f"with c as materialized (select {settings})"
    if function.shape == "void" and not function.many:
        return f"{start} select {call}::text as body, 1::int8 as rows, {SAID} from {source}"
    if not function.many:
        return f"{start} select {_json(function, call)}::text as body, 1::int8 as rows, {SAID} from {source}"
    return (
        f"{start} select coalesce(json_agg({_json(function, 'r')})::text, '[]') as body, count(*) as rows, "
        f"{SAID} from (select {call} as r from {source} limit {max_rows:d}) s"
    )


def can_be_short(function: Function) -> bool:
    """Whether the short form answers as the full one would.

    A single OUT parameter makes a row that the function's own value doesn't show; row types whose columns
    aren't known here (of other schemas) can't be written for a null row; a timeout of its own is set before.
    """
    if (
        function.unnamed
        or function.one_out
        or function.timeout
        or (function.shape == "void" and function.many)
    ):
        return False
    return function.shape != "row" or function.row is not None


def _json(function: Function, value: str) -> str:
    if function.shape == "row":
        # A function that returns no row at all still answers with one row of nulls in FROM.
        nulls = (
            msgspec.json.encode(dict.fromkeys(function.row.columns if function.row else ()))
            .decode()
            .replace("'", "''")
        )
        return f"coalesce(to_json({value}), '{nulls}'::json)"
    return f"coalesce(to_json({value}), 'null'::json)"


def full_call(
    function: Function,
    names: Collection[str],
    argument: Any,
    bind: Binding,
    *,
    root: Node,
    catalog: Catalog,
    media: Media,
    counted: str | None,
) -> str:
    """Write the call whose result can be filtered, ordered, embedded and counted like a table."""
    chosen = [one for one in function.parameters if one.name in names]
    scalar = function.shape != "row"
    if function.unnamed:
        source = ""
        passed = _whole(function.parameters[0], argument, bind)
    elif chosen:
        source = (
            f"(select * from json_to_recordset({bind(argument)}::json) as _({_typed(chosen)}) limit 1) a, "
        )
        passed = ", ".join(_passed(one, "a") for one in chosen)
    else:
        source = passed = ""
    call = f"{function.sql}({passed})"
    if scalar:
        made = f"select pgrst_call.{SCALAR} from {source}lateral (select {call} as {SCALAR}) pgrst_call"
    else:
        made = f"select pgrst_call.* from {source}lateral {call} pgrst_call"
    count = f", counted as ({counted})" if counted else ""
    single = not function.many
    body = body_sql(media, scalar=scalar and not (media.form == "object" and function.many), single=single)
    answered = answer_columns(media, counted=counted is not None, body=body)
    if single:
        answered = answered.replace("count(*) as rows", "1::int8 as rows", 1)
    return f"with {SOURCE} as ({made}){count} select {answered} from ({select_sql(root, catalog, bind)}) t"


def _whole(parameter: Parameter, argument: Any, bind: Binding) -> str:
    if parameter.base == "bytea":
        bind.values.append(argument)
        return f"${len(bind.values)}::bytea"
    return f"{bind(argument)}::{parameter.declared}"


def _typed(chosen: Sequence[Parameter]) -> str:
    return ", ".join(f"{quoted(one.name)} {one.declared}" for one in chosen)


def _passed(one: Parameter, source: str) -> str:
    return f"{'variadic ' if one.variadic else ''}{quoted(one.name)} := {source}.{quoted(one.name)}"


def arguments_json(function: Function, given: Sequence[tuple[str, str]]) -> str:
    """Give the arguments of a GET as a JSON array of one object; repeated variadic ones become an array."""
    variadic = {one.name for one in function.parameters if one.variadic}
    named: dict[str, Any] = {}
    for name, value in given:
        if name in variadic:
            named.setdefault(name, []).append(value)
        else:
            named[name] = value
    return msgspec.json.encode([named]).decode()

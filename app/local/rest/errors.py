"""Every refusal of the REST interface: a status, a code and PostgREST's wording.

Codes and texts follow PostgREST 14 (docs.postgrest.org, "Errors"), because clients match on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class RestError(Exception):
    """An answer that isn't a success: what the client gets as `{code, message, details, hint}`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Any = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`details` may be any JSON value (PGRST201 lists relationships); `headers` join the answer's own."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Write the JSON document; the keys stand in the order PostgREST writes them."""
        return msgspec.json.encode(
            {"code": self.code, "details": self.details, "hint": self.hint, "message": self.message}
        )


def unparsable(*, what: str, column: int, details: str) -> RestError:
    """PGRST100: a query parameter isn't in the grammar. `column` counts from one, as Parsec does."""
    return RestError(400, "PGRST100", f'"failed to parse {what}" (line 1, column {column})', details=details)


def wrong_rpc_method(method: str) -> RestError:
    """PGRST101: functions are called by GET, HEAD or POST."""
    return RestError(405, "PGRST101", f"Cannot use the {method} method on RPC")


def bad_body(message: str) -> RestError:
    """PGRST102: the request body isn't what its Content-Type says, or its objects differ in keys."""
    return RestError(400, "PGRST102", message)


def bad_range(details: str) -> RestError:
    """PGRST103, 416: a range that can't be satisfied."""
    return RestError(416, "PGRST103", "Requested range not satisfiable", details=details)


def bad_put_filters() -> RestError:
    """PGRST105: PUT names exactly the primary key."""
    message = "Filters must include all and only primary key columns with 'eq' operators"
    return RestError(405, "PGRST105", message)


def unknown_schema(schema: str, exposed: Sequence[str]) -> RestError:
    """PGRST106: a profile header asks for a schema that isn't exposed."""
    hint = f"Only the following schemas are exposed: {', '.join(exposed)}"
    return RestError(406, "PGRST106", f"Invalid schema: {schema}", hint=hint)


def unavailable_media(wanted: Sequence[str]) -> RestError:
    """PGRST107: nothing in Accept can be produced."""
    return RestError(406, "PGRST107", f"None of these media types are available: {', '.join(wanted)}")


def not_embedded(name: str) -> RestError:
    """PGRST108: a filter, order or limit names an embedding that isn't in `select`."""
    return RestError(
        400,
        "PGRST108",
        f"'{name}' is not an embedded resource in this request",
        hint=f"Verify that '{name}' is included in the 'select' query parameter.",
    )


def bad_response_headers() -> RestError:
    """PGRST111: a function left something else than JSON headers in `response.headers`."""
    message = (
        "response.headers guc must be a JSON array composed of objects with a single key and a string value"
    )
    return RestError(500, "PGRST111", message)


def bad_response_status() -> RestError:
    """PGRST112: a function left something else than a status in `response.status`."""
    return RestError(500, "PGRST112", "response.status guc must be a valid status code")


def put_with_limit() -> RestError:
    """PGRST114: PUT writes one row, so paging makes no sense."""
    return RestError(400, "PGRST114", "limit/offset querystring parameters are not allowed for PUT")


def put_mismatch() -> RestError:
    """PGRST115: the body's key isn't the URL's."""
    return RestError(400, "PGRST115", "Payload values do not match URL in primary key column(s)")


def not_singular(rows: int) -> RestError:
    """PGRST116, 406: one object was asked for and none or several came."""
    return RestError(
        406,
        "PGRST116",
        "Cannot coerce the result to a single JSON object",
        details=f"The result contains {rows} rows",
    )


def unsupported_method(method: str) -> RestError:
    """PGRST117: a method that a table doesn't have."""
    return RestError(405, "PGRST117", f"Unsupported HTTP method: {method}")


def not_to_one(*, origin: str, target: str, what: str) -> RestError:
    """PGRST118 (`what` = order) and PGRST119 (`what` = spread): only a to-one embedding can do that."""
    code, noun = ("PGRST118", "related order") if what == "order" else ("PGRST119", "spread operation")
    return RestError(
        400,
        code,
        f"A {noun} on '{target}' is not possible",
        details=f"'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship",
    )


def bad_raise(*, details: str, hint: str) -> RestError:
    """PGRST121: RAISE SQLSTATE 'PGRST' whose MESSAGE or DETAIL isn't the JSON it must be."""
    message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
    return RestError(500, "PGRST121", message, details=details, hint=hint)


def bad_preferences(names: Sequence[str]) -> RestError:
    """PGRST122: an unknown preference under `handling=strict`."""
    return RestError(
        400,
        "PGRST122",
        "Invalid preferences given with handling=strict",
        details=f"Invalid preferences: {', '.join(names)}",
    )


def no_aggregates() -> RestError:
    """PGRST123: aggregates are off by default, on hosted projects too."""
    return RestError(400, "PGRST123", "Use of aggregate functions is not allowed")


def too_many_affected(rows: int) -> RestError:
    """PGRST124: more rows than `max-affected` under `handling=strict`."""
    return RestError(
        400,
        "PGRST124",
        "Query result exceeds max-affected preference constraint",
        details=f"The query affects {rows} rows",
    )


def bad_path() -> RestError:
    """PGRST125: a path with too many parts."""
    return RestError(404, "PGRST125", "Invalid path specified in request URL")


def no_root() -> RestError:
    """PGRST126: this server publishes no OpenAPI description of the database."""
    return RestError(404, "PGRST126", "Root endpoint metadata is disabled")


def unknown_column(*, table: str, column: str) -> RestError:
    """PGRST204: a body or `columns` names a column that the table doesn't have."""
    message = f"Could not find the '{column}' column of '{table}' in the schema cache"
    return RestError(400, "PGRST204", message)


def unknown_table(*, schema: str, table: str, hint: str | None) -> RestError:
    """PGRST205: no such table or view is exposed."""
    message = f"Could not find the table '{schema}.{table}' in the schema cache"
    return RestError(404, "PGRST205", message, hint=hint)


def unfiltered(method: str) -> RestError:
    """21000: hosted projects load pg-safeupdate for the API, which refuses to change all rows at once."""
    verb = "UPDATE" if method == "PATCH" else "DELETE"
    return RestError(400, "21000", f"{verb} requires a WHERE clause")


def unreachable_database() -> RestError:
    """PGRST001: the connection to PostgreSQL broke; the client may retry a read."""
    return RestError(503, "PGRST001", "Database client error. Retrying the connection.")


def bad_token(message: str, *, expired: bool) -> RestError:
    """PGRST303 for a token past its time, PGRST301 for every other token that can't be trusted (RFC 6750)."""
    return RestError(
        401,
        "PGRST303" if expired else "PGRST301",
        message,
        headers={"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{message}"'},
    )

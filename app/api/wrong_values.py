"""What is wrong with a value, told by the name that its sender knows, with the values that are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NO_SUCH = "Invalid enum value"
_HEAD, _TAIL = 200, 100


def shortened(message: str) -> str:
    """A message without the middle of a value that it repeats: nobody is sent their own megabytes."""
    return message if len(message) <= _HEAD + _TAIL else f"{message[:_HEAD]}…{message[-_TAIL:]}"


def as_sent(parameters: Mapping[str, Any], errors: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Litestar's `errors` of a request to a handler with these parameters, each `{message, key, source}`."""
    return [_as_sent(parameters, each) for each in errors]


def _as_sent(parameters: Mapping[str, Any], error: Mapping[str, str]) -> dict[str, str]:
    key, message = error.get("key", ""), shortened(error.get("message", ""))
    told = {**error, "message": message}
    of_body = told.get("source") == "body"
    parameter = parameters.get("data" if of_body else key)
    if parameter is None:
        return told
    if message == f"'{key}'":  # what a missing one comes to
        told["message"] = "It is needed"
    if of_body and key == "data":  # ours for all of it
        told["key"] = "body"
    elif not of_body:
        # The handler has another name for what is a word of Python: `from`, `format`.
        told["key"] = getattr(parameter.kwarg_definition, "name", None) or key
    if message.startswith(_NO_SUCH):
        path = key.split(".") if of_body else []
        allowed = list(_allowed(inspect.type_info(parameter.annotation), path))
        told["message"] = f"{message}; it is one of {', '.join(allowed)}" if allowed else message
    return told


def _allowed(kind: inspect.Type, path: Sequence[str]) -> Iterator[str]:
    """The names that a type, or what is at a path within it, may be."""
    if isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _allowed(each, path)
    elif isinstance(kind, inspect.Metadata):
        yield from _allowed(kind.type, path)
    elif isinstance(kind, inspect.StructType) and path:
        for field in kind.fields:
            if field.encode_name == path[0]:
                yield from _allowed(field.type, path[1:])
    elif isinstance(kind, inspect.EnumType) and not path:
        yield from (str(each.value) for each in kind.cls)
    elif isinstance(kind, inspect.LiteralType) and not path:
        yield from map(str, kind.values)

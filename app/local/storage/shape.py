"""Reading a JSON body as the real server's schema validation does, sentences included."""

from __future__ import annotations

from typing import Any

from app.local.storage import faults


def required(body: dict[str, Any], *names: str) -> None:
    """Refuse a body without one of these properties."""
    for name in names:
        if name not in body:
            raise faults.invalid_request(f"body must have required property '{name}'")


def text(body: dict[str, Any], name: str, default: str = "", *, path: str = "body") -> str:
    """A string property; numbers are taken as their text."""
    value = body.get(name, default)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise faults.invalid_request(f"{path}/{name} must be string")
    return str(value)


def one_of(
    body: dict[str, Any], name: str, allowed: tuple[str, ...], default: str, *, path: str = "body"
) -> str:
    """A string property with few values."""
    value = text(body, name, default, path=path)
    if value not in allowed:
        raise faults.invalid_request(f"{path}/{name} must be equal to one of the allowed values")
    return value


def integer(body: dict[str, Any], name: str, default: int, *, least: int) -> int:
    """An integer property; a text of digits is taken as its number, as storage3 sends expiresIn."""
    value = body.get(name, default)
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            raise faults.invalid_request(f"body/{name} must be integer") from None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise faults.invalid_request(f"body/{name} must be integer")
    if value < least:
        raise faults.invalid_request(f"body/{name} must be >= {least}")
    return value


def boolean(body: dict[str, Any], name: str) -> bool | None:
    """A boolean property, or None when it isn't there."""
    value = body.get(name)
    if value in ("true", "false"):
        return bool(value == "true")
    if value is not None and not isinstance(value, bool):
        raise faults.invalid_request(f"body/{name} must be boolean")
    return value


def texts(body: dict[str, Any], name: str, *, most: int | None = None) -> list[str]:
    """A non-empty array of strings."""
    value = body.get(name)
    if not isinstance(value, list):
        raise faults.invalid_request(f"body/{name} must be array")
    if not value:
        raise faults.invalid_request(f"body/{name} must NOT have fewer than 1 items")
    if most is not None and len(value) > most:
        raise faults.invalid_request(f"body/{name} must NOT have more than {most} items")
    if not all(isinstance(item, str) for item in value):
        raise faults.invalid_request(f"body/{name}/0 must be string")
    return value

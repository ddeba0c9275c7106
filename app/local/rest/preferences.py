"""The `Prefer` header (RFC 7240) and what of it was applied."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from app.local.rest.errors import bad_preferences

if TYPE_CHECKING:
    from collections.abc import Iterable

_KNOWN = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
    # Hosted projects run with `db-tx-end = commit`: the preference is known, and has no effect.
    "tx": ("commit", "rollback"),
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """What was preferred; None where nothing (known) was said."""

    resolution: str | None = None
    returned: str | None = None
    count: str | None = None
    missing: str | None = None
    handling: str | None = None
    timezone: str | None = None
    max_affected: int | None = None

    @property
    def plain(self) -> bool:
        """Whether nothing is preferred that matters to a function call."""
        return (self.count, self.handling, self.timezone, self.max_affected) == (None, None, None, None)

    def applied(self, *names: str) -> str | None:
        """Give the value of Preference-Applied, of the named preferences only, in PostgREST's order."""
        order = (
            ("resolution", self.resolution),
            ("missing", self.missing),
            ("return", self.returned),
            ("count", self.count),
            ("handling", self.handling),
            ("timezone", self.timezone),
        )
        said = [f"{name}={value}" for name, value in order if value and name in names]
        if self.max_affected is not None and self.handling == "strict" and "max-affected" in names:
            said.append(f"max-affected={self.max_affected}")
        return ", ".join(said) or None


NONE = Preferences()


@lru_cache(maxsize=256)
def parse_preferences(text: str) -> Preferences:
    """Read the header. Raises RestError PGRST122 for an unknown one under `handling=strict`.

    A time zone isn't checked here: PostgreSQL refuses one that it doesn't know.
    """
    said: dict[str, str] = {}
    unknown: list[str] = []
    for part in _parts(text):
        name, _, value = part.partition("=")
        if (
            value in _KNOWN.get(name, ())
            or (name == "max-affected" and value.isdecimal() and len(value) < 10)  # noqa: PLR2004
            or (name == "timezone" and value)
        ):
            said.setdefault(name, value)
        else:
            unknown.append(part)
    if unknown and said.get("handling") == "strict":
        raise bad_preferences(unknown)
    return Preferences(
        resolution=said.get("resolution"),
        returned=said.get("return"),
        count=said.get("count"),
        missing=said.get("missing"),
        handling=said.get("handling"),
        timezone=said.get("timezone"),
        max_affected=int(said["max-affected"]) if "max-affected" in said else None,
    )


def _parts(text: str) -> Iterable[str]:
    return (part for part in (piece.strip() for piece in text.split(",")) if part)

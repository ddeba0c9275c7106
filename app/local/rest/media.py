"""Which form the answer takes: a JSON array, one JSON object, or CSV."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from app.local.rest.errors import unavailable_media


@dataclass(frozen=True, slots=True)
class Media:
    """One form, and the Content-Type that goes with it. `stripped` leaves out keys whose value is null."""

    form: Literal["array", "object", "csv"]
    content_type: str
    stripped: bool = False


JSON = Media("array", "application/json; charset=utf-8")
_ARRAY_STRIPPED = Media(
    "array", "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8", stripped=True
)
_OBJECT = Media("object", "application/vnd.pgrst.object+json; charset=utf-8")
_OBJECT_STRIPPED = Media(
    "object", "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8", stripped=True
)
_CSV = Media("csv", "text/csv; charset=utf-8")


@lru_cache(maxsize=256)
def negotiate(accept: str) -> Media:
    """Choose the first type of Accept, by weight, that can be produced. Raises RestError PGRST107."""
    wanted = _by_weight(accept)
    for name, parameters in wanted:
        stripped = "nulls=stripped" in parameters
        match name:
            case "*/*" | "application/json" | "application/*":
                return JSON
            case "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object":
                return _OBJECT_STRIPPED if stripped else _OBJECT
            case "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array":
                return _ARRAY_STRIPPED if stripped else JSON
            case "text/csv":
                return _CSV
    raise unavailable_media([name for name, _ in wanted])


def _by_weight(accept: str) -> list[tuple[str, list[str]]]:
    ranked: list[tuple[float, str, list[str]]] = []
    for part in accept.split(","):
        name, *rest = (piece.strip() for piece in part.split(";"))
        parameters = [piece.replace(" ", "") for piece in rest]
        ranked.append((_weight(parameters), name.lower() or "*/*", parameters))
    # The sort is stable: equal weights keep the client's order (RFC 9110 §12.5.1 leaves it open).
    return [(name, parameters) for _, name, parameters in sorted(ranked, key=lambda one: -one[0])]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 1.0
    return 1.0

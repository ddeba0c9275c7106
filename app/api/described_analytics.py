"""What the OpenAPI document says of analytics, beside `described.py`."""

from __future__ import annotations

from typing import Any

from app.api.described import Operation

_CSV: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}, "example": "start,stage,actor,project,…"}}
_PERIOD = ("bad_period", "period_too_long", "not_acceptable")
OPERATIONS: dict[str, Operation] = {
    "read_analytics": Operation(refuses=_PERIOD, produces=_CSV),
    "read_all_analytics": Operation(refuses=_PERIOD, produces=_CSV),
}
"""By operationId."""

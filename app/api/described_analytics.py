"""What the OpenAPI document says of analytics, beside `described.py`."""

from __future__ import annotations

from typing import Any

from app.api.described import Operation

_CSV: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}, "example": "start,stage,actor,project,…"}}
_LIST: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}, "example": "project,document,path,…"}}
_PERIOD = ("bad_period", "period_too_long", "not_acceptable")
OPERATIONS: dict[str, Operation] = {
    "read_analytics": Operation(refuses=_PERIOD, produces=_CSV),
    "read_all_analytics": Operation(refuses=_PERIOD, produces=_CSV),
    "list_contested": Operation(refuses=("bad_period", "not_acceptable"), produces=_LIST),
    "list_all_contested": Operation(refuses=("bad_period", "not_acceptable"), produces=_LIST),
    "list_stale": Operation(refuses=("not_acceptable",), produces=_LIST),
    "list_all_stale": Operation(refuses=("not_acceptable",), produces=_LIST),
    "read_gauges": Operation(
        produces={"text/plain": {"schema": {"type": "string"}, "example": "verso_work_in_progress{…} 3.0"}}
    ),
}
"""By operationId."""

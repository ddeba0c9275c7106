"""For operators and balancers: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from prometheus_client import generate_latest

from app.api.gauges import MEDIA_TYPE
from app.api.services import Services
from app.errors import VersoError

SCHEMA_VERSION = "20261122"
"""What `schema_version()` of the migrations that this service is for answers."""


_GET_AND_HEAD = [HttpMethod.GET, HttpMethod.HEAD]
"""Balancers ask with either."""


@route("/health/live", http_method=_GET_AND_HEAD, tags=["operations"], summary="Is the process alive")
async def live() -> dict[str, str]:
    """Answers as long as the process does; asks nobody."""
    return {"status": "live"}


@route("/health/ready", http_method=_GET_AND_HEAD, tags=["operations"], summary="Can it serve")
async def ready(services: NamedDependency[Services]) -> dict[str, str]:
    """Asks the database for its schema version; 503 with the reason when it cannot serve."""
    found = await services.ledger.schema_version()
    if found != SCHEMA_VERSION:
        raise VersoError(
            "schema_missing",
            f"The database has schema {found}, this service needs {SCHEMA_VERSION}. Run `verso doctor`.",
        )
    return {"status": "ready", "schema": found}


@get("/metrics", tags=["operations"], summary="Prometheus metrics", include_in_schema=True)
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Counts and durations by route, and round trips to Supabase; nothing about documents or people."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=MEDIA_TYPE)

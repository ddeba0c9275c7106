"""How lists are asked for: `limit` and `cursor`."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from app.errors import VersoError
from app.settings import Settings

Limit = Annotated[int | None, QueryParameter(description="Entries of a page.")]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before.", max_length=4000)]


def page_size(limit: int | None, settings: Settings) -> int:
    """The page size that a request asks for. Raises VersoError `bad_value` outside 1 to the maximum."""
    if limit is None:
        return settings.default_page_size
    if not 1 <= limit <= settings.max_page_size:
        raise VersoError(
            "bad_value", f"limit is 1 to {settings.max_page_size}.", limit=settings.max_page_size
        )
    return limit

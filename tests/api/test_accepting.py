"""Accept (RFC 9110, 12.5.1): which form an answer takes."""

from __future__ import annotations

import pytest
from litestar import Request

from app.api.accepting import wanted_type

OFFERED = ["text/x-diff", "application/json", "text/html"]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ([], "text/x-diff"),
        ([""], "text/x-diff"),
        (["*/*"], "text/x-diff"),
        (["application/json, text/plain, */*"], "application/json"),
        (["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], "text/html"),
        (["text/html, application/json"], "text/html"),
        (["APPLICATION/Json ; Q=0.5"], "application/json"),
        (["application/json;q=0.2, text/html;q=0.3"], "text/html"),
        (["text/*;q=0.3, application/*;q=0.4"], "application/json"),
        (["text/html;q=0.1", "application/json;q=0.2"], "application/json"),
        (["text/x-diff;q=0, */*;q=0.1"], "application/json"),
        (["*/*;q=0.1, text/x-diff;q=0"], "application/json"),
        (["text/x-diff;q=0, text/*"], "text/html"),
        (["application/json;profile=x"], "application/json"),
        (["application/json;q=1e400"], "application/json"),
        (["text/html;q=inf, text/html;q=nan"], "text/html"),
        (["*/*;q=0"], None),
        (["application/json;q=0"], None),
        (["application/json;q=0.000"], None),
        (["image/png, text"], None),
        ([",;=,/"], None),
        (["image/png," * 1000 + "text/html"], None),
    ],
)
def test_what_is_wanted(lines: list[str], wanted: str | None) -> None:
    headers = [(b"accept", line.encode()) for line in lines]
    request = Request({"type": "http", "method": "GET", "headers": headers})  # type: ignore[typeddict-item]
    assert wanted_type(request, OFFERED) == wanted

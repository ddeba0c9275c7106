"""Whatever JSON and headers a stranger sends, Storage answers and doesn't break."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.local.storage_cases.world import World, world

__all__ = ["world"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=10)
    | st.sampled_from(["docs", "open", "name", "asc", "created_at", "60", "1KB"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = (
    "prefixes", "prefix", "limit", "offset", "search", "sortBy", "cursor", "with_delimiter", "expiresIn", "paths", "bucketId", "sourceKey", "destinationKey", "destinationBucket", "metadata", "copyMetadata", "name", "id", "public", "file_size_limit", "allowed_mime_types", "type", "column", "order",
)  # fmt: skip
REQUESTS = (
    "DELETE /object/open", "POST /object/list/open", "POST /object/list-v2/open", "POST /object/sign/open",
    "POST /object/sign/open/x", "POST /object/move", "POST /object/copy", "POST /bucket", "PUT /bucket/open",
)  # fmt: skip


@given(
    request=st.sampled_from(REQUESTS),
    body=JSON
    | st.dictionaries(
        st.sampled_from(NAMES), JSON | st.fixed_dictionaries({"column": JSON, "order": JSON}), max_size=6
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_json_breaks_the_server(world: World, request: str, body: Any) -> None:
    method, path = request.split()
    answer = await world.http.request(method, path, headers=world.headers["owner"], json=body)
    assert answer.status_code in (200, 400), answer.text


@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                "range",
                "if-none-match",
                "if-modified-since",
                "x-metadata",
                "x-upsert",
                "content-type",
                "cache-control",
            ]
        ),
        st.text(
            st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=30
        ).map(str.strip),
    ),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_header_breaks_the_server(world: World, headers: dict[str, str], method: str) -> None:
    raw = [(name, value.encode("latin-1")) for name, value in {**world.headers["owner"], **headers}.items()]
    answer = await world.http.request(method, "/object/open/headers", headers=raw, content=b"x")
    assert answer.status_code in (200, 206, 304, 400, 416), answer.text

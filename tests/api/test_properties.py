"""Whatever comes in, the answer is one that the API knows: never a 5xx, never a shape of its own.

Person holds each answer to that (`Contract.check`), so most of these only have to ask.
"""

from __future__ import annotations

import itertools
import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.world import People, Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterable

FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
FIELD = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60
).map(lambda text: text.strip().encode("latin-1"))
TAGS = st.sampled_from(
    [b'"x"', b"*", b'W/"x"', b",", b'"', b"bytes=", b"0-", b"-5", b"sha-256=:", b"=:", b";q=", b"*/*", b" "]
)
LIKELY = st.lists(TAGS, max_size=6).map(b"".join).map(bytes.strip)


@pytest.fixture(scope="module")
def shared(people: People) -> Project:
    project = make_project(people)
    project.written("known.md", "# Known\n")
    return project


@FEW
@given(path=st.lists(TEXT, min_size=1, max_size=4).map("/".join), content=st.binary(max_size=50))
def test_every_path_is_refused_with_a_reason_or_gives_back_its_bytes(
    shared: Project, path: str, content: bytes
) -> None:
    url = f"{shared.url}/files/{quote(path, safe='/')}"
    if path.split("/", maxsplit=1)[0] in {".", ".."} or any(
        each in {".", "..", ""} for each in path.split("/")
    ):
        url = f"{shared.url}/files/{quote(path, safe='').replace('.', '%2E')}"  # or the client mends it
    answer = shared.people.editor.put(url, content=content)
    assert answer.status_code in {201, 404, 405, 409, 422, 428}, answer.text
    if answer.status_code == 201:
        assert answer.json()["version"]["path"] == unicodedata.normalize("NFC", path)
        assert shared.people.reader.get(url).content == content


@FEW
@given(
    name=st.sampled_from(
        [
            "If-Match",
            "If-None-Match",
            "If-Range",
            "Range",
            "Accept",
            "Content-Digest",
            "Repr-Digest",
            "Idempotency-Key",
            "Content-Type",
            "X-Request-Id",
            "Content-Range",
            "Content-Encoding",
            "If-Modified-Since",
            "Expect-Digest",
        ]
    ),
    value=st.one_of(LIKELY, FIELD),
    method=st.sampled_from(["GET", "HEAD", "PUT"]),
)
def test_no_header_makes_a_fault(shared: Project, name: str, value: bytes, method: str) -> None:
    headers = {name.encode(): value, b"Range": b"bytes=0-1"} if name == "If-Range" else {name.encode(): value}
    content = {"content": b"# Known\n"} if method == "PUT" else {}
    shared.people.editor.request(method, shared.file("known.md"), headers=headers, **content)
    assert shared.people.reader.get(shared.file("known.md")).text == "# Known\n"


@FEW
@given(value=st.one_of(LIKELY, FIELD))
def test_no_accept_field_makes_a_fault(shared: Project, value: bytes) -> None:
    document = shared.people.reader.get(shared.file("known.md")).headers["verso-document"]
    answer = shared.people.reader.get(f"/v1/documents/{document}/diff", headers={b"Accept": value})
    assert answer.status_code in {200, 406}


@FEW
@given(
    route=st.sampled_from(["/tree", "/changes", "/tags", "/sessions", "/files/known.md"]),
    query=st.dictionaries(
        st.sampled_from(["at", "limit", "cursor", "prefix", "author", "since", "until", "text", "status"]),
        st.one_of(
            TEXT, st.integers().map(str), st.sampled_from(["1", "v1", "0" * 64, "9" * 5000, "null", "\0"])
        ),
        max_size=3,
    ),
)
def test_no_query_makes_a_fault(shared: Project, route: str, query: dict[str, str]) -> None:
    assert shared.people.reader.get(shared.url + route, params=query).status_code in {200, 304, 400, 404, 422}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "path",
    "document",
    "from",
    "base",
    "create",
    "delete",
    "restore",
    "media_type",
    "text",
    "base64",
    "part",
]
ITEM = st.dictionaries(
    st.sampled_from(KEYS), st.one_of(JSON, st.sampled_from(["known.md", "latest", "new"])), max_size=4
)


@FEW
@given(body=st.one_of(JSON, st.fixed_dictionaries({"items": st.lists(ITEM, max_size=3), "message": JSON})))
def test_no_json_makes_a_fault(shared: Project, body: Any) -> None:
    for route in ("/changes", "/tags", "/sessions"):
        answer = shared.people.editor.post(shared.url + route, json=body)
        assert answer.status_code in {200, 201, 400, 404, 409, 412, 415, 422, 428}


def chunked(data: bytes, edges: list[int]) -> Iterable[bytes]:
    places = [0, *sorted({edge % (len(data) + 1) for edge in edges}), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(places) if start < stop]


NAME = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='"\\/%\u2028\u2029'),
    min_size=1,
    max_size=20,
)


@FEW
@given(
    names=st.lists(NAME, min_size=1, max_size=3, unique_by=lambda name: unicodedata.normalize("NFC", name)),
    content=st.binary(max_size=200),
    boundary=st.text("abcXYZ019'()+_,-./:=?", min_size=1, max_size=60),
    edges=st.lists(st.integers(0, 5000), max_size=12),
)
def test_a_form_means_the_same_wherever_it_is_cut(
    people: People, shared: Project, *, names: list[str], content: bytes, boundary: str, edges: list[int]
) -> None:
    mark = boundary.encode()
    if b"--" + mark in content or {".", ".."} & set(names):
        return
    folder = f"f{abs(hash((tuple(names), content, boundary, tuple(edges)))):x}"
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="f"; filename="%s/%s"\r\n\r\n%s\r\n'
        % (mark, folder.encode(), name.encode(), content)
        for name in names
    ]
    body = b"".join(parts) + b"--%s--\r\n" % mark
    answer = people.owner.post(
        f"{shared.url}/changes",
        content=iter(chunked(body, edges)),
        headers={"Content-Type": f'multipart/form-data; boundary="{boundary}"'},
    )
    assert answer.status_code in {201, 428}, answer.text
    for name in names:
        assert people.reader.get(shared.file(f"{folder}/{name}")).content == content


@FEW
@given(body=st.binary(max_size=300), edges=st.lists(st.integers(0, 300), max_size=5), cut=st.booleans())
def test_no_form_makes_a_fault(shared: Project, body: bytes, edges: list[int], cut: bool) -> None:
    framed = body if cut else b"--b\r\nContent-Disposition: form-data; " + body + b"\r\n--b--\r\n"
    answer = shared.people.editor.post(
        f"{shared.url}/changes",
        content=iter(chunked(framed, edges) or [b""]),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code in {201, 400, 409, 413, 415, 422, 428}

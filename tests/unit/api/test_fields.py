"""Header fields: ranges, digests, links and cursors, dispositions, media types."""

from __future__ import annotations

import base64
import hashlib
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.datastructures import Headers

from app.api.content import _disposition
from app.api.digests import check_digest, claimed_sha256, digest_field
from app.api.links import cursor_of, position_of
from app.api.media_types import media_type_of
from app.api.ranges import range_of
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable


def outcome(act: Callable[[], Any]) -> Any:
    """What a call gives, or the refusal that it raises."""
    try:
        return act()
    except VersoError as refusal:
        return refusal


@given(st.text(max_size=40), st.integers(0, 5000))
def test_any_range_field_is_within_the_content_or_ignored_or_refused(field: str, size: int) -> None:
    for text in (field, f"bytes={field}"):
        found = outcome(lambda text=text: range_of(text, size=size))
        if isinstance(found, VersoError):
            assert (found.code, found.detail) == ("range_not_satisfiable", {"size": size})
        else:
            assert found is None or 0 <= found[0] < found[1] <= size


@given(st.integers(0, 10**25), st.integers(0, 10**25), st.integers(1, 10**6))
def test_a_range_is_what_rfc_9110_says(first: int, last: int, size: int) -> None:
    expected: Any = None if last < first else (first, min(last + 1, size))
    if expected is not None and first >= size:
        with pytest.raises(VersoError):
            range_of(f"bytes={first}-{last}", size=size)
    else:
        assert range_of(f"bytes={first}-{last}", size=size) == expected
    if last:
        assert range_of(f"bytes=-{last}", size=size) == (max(size - last, 0), size)


@given(st.binary(max_size=100))
def test_a_digest_field_comes_back(content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    assert claimed_sha256({"content-digest": digest_field(sha256)}) == sha256
    several = f"sha-512=:AAAA:, {digest_field(sha256)};q=1 , unixsum=:AA==:"
    assert claimed_sha256({"repr-digest": several}) == sha256
    check_digest(sha256, sha256)
    check_digest(None, sha256)


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_digest_field_is_read_ignored_or_refused(field: str) -> None:
    found = outcome(lambda: claimed_sha256({"content-digest": field}))
    if isinstance(found, VersoError):
        assert found.code == "bad_digest"
    else:
        assert found is None or len(found) == 64


@pytest.mark.parametrize(
    "field", ["", "sha-256", "sha-256=x", "sha-256=:AA==:", "SHA-256=:AA==:", "sha-256=::", ","]
)
def test_digest_fields_that_are_none(field: str) -> None:
    with pytest.raises(VersoError, match="bad_digest"):
        claimed_sha256({"content-digest": field})


def test_digests_of_repeated_fields_must_agree() -> None:
    one, two = (digest_field(hashlib.sha256(content).hexdigest()) for content in (b"1", b"2"))
    same = Headers([(b"content-digest", one.encode()), (b"content-digest", one.encode())])
    assert claimed_sha256(same) == hashlib.sha256(b"1").hexdigest()
    other = Headers([(b"content-digest", one.encode()), (b"content-digest", two.encode())])
    with pytest.raises(VersoError, match="contradict"):
        claimed_sha256(other)


@given(
    st.one_of(
        st.integers(1, 2**31 - 1), st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
    )
)
def test_a_cursor_is_opaque_and_comes_back(value: int | str) -> None:
    cursor = cursor_of(value)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert position_of(cursor, type(value)) == value


@given(st.text(max_size=40))
def test_any_cursor_is_a_position_or_refused(cursor: str) -> None:
    for kind in (int, str):
        found = outcome(lambda kind=kind: position_of(cursor, kind))
        assert isinstance(found, kind) or found.code == "bad_cursor"


@given(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40).map(lambda name: name.replace("/", ""))
)
def test_a_file_name_in_a_header_is_ascii_and_comes_back(name: str) -> None:
    field = _disposition(f"folder/{name}", "text/html")
    assert field.isascii()
    assert field.isprintable()
    message = Message()
    message["Content-Disposition"] = field
    assert field.startswith('attachment; filename="')
    assert unquote(field.rpartition("UTF-8''")[2]) == name


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.md", "text/markdown"),
        ("a/b.PNG", "image/png"),
        ("a.yaml", "application/yaml"),
        ("a.tar.gz", "application/gzip"),
        ("notes.md.gz", "application/gzip"),
        ("data:text/html,x", "application/octet-stream"),
        ("data:,x.md", "text/markdown"),
        ("README", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_name_suggests_a_type(path: str, kind: str) -> None:
    for unspoken in (None, "", "application/octet-stream", "application/x-www-form-urlencoded; charset=x"):
        assert media_type_of(unspoken, path) == kind
    assert media_type_of("Text/Plain", path) == "text/plain"


def test_base64_of_a_digest_is_the_standard_alphabet() -> None:
    digest = hashlib.sha256(b"").digest()
    assert digest_field(digest.hex()) == f"sha-256=:{base64.b64encode(digest).decode()}:"

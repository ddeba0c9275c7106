"""The pure rules: paths, digests, media types, canonical times."""

from __future__ import annotations

import time
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import VersoError
from app.model import MAX_PATH_BYTES, canonical_time, is_sha256, is_slug, nfc, normal_media_type, normal_path

if TYPE_CHECKING:
    from collections.abc import Callable


def outcome(rule: Callable[[str], str], text: str) -> str | VersoError:
    try:
        return rule(text)
    except VersoError as refusal:
        return refusal


def refused(path: str) -> str:
    with pytest.raises(VersoError) as refusal:
        normal_path(path)
    assert refusal.value.code == "bad_path"
    assert refusal.value.sentence.endswith(".")
    return refusal.value.sentence


@given(st.text(max_size=60))
def test_a_path_is_its_normal_form_or_refused(path: str) -> None:
    normal = outcome(normal_path, path)
    if isinstance(normal, VersoError):
        assert normal.code == "bad_path"
        return
    assert normal == unicodedata.normalize("NFC", path)
    assert normal_path(normal) == normal
    assert 1 <= len(normal.encode()) <= MAX_PATH_BYTES
    assert all(segment not in {"", ".", ".."} for segment in normal.split("/"))
    assert not any(unicodedata.category(each) in {"Cc", "Zl", "Zp", "Cs"} for each in normal)


MARKS = st.sampled_from(
    "ae\u1100\u1161\u0300\u0301\u0327\u0345\u0344\u0340\u0f71\u0f72\u0f73\u0f74\u0f81\u05b0\u3099\u1fb7/"
)


@given(st.text(MARKS | st.characters(), max_size=30))
def test_marks_that_are_put_in_order_before_are_normalised_to_the_same(text: str) -> None:
    assert nfc(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("marks", ["\u0300\u0327", "\u0f73"])
def test_marks_in_any_number_cost_what_their_length_does(marks: str) -> None:
    """They cost the square of it: a change with such a path stopped the process for hours."""
    began = time.process_time()
    refused(marks * 500_000)
    nfc("a" + marks * 20_000)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("path", ["", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "./a", "a/.", "a/.."])
def test_segments_are_names(path: str) -> None:
    refused(path)


@pytest.mark.parametrize("each", [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)])
def test_a_path_is_one_line_everywhere(each: str) -> None:
    assert "control" in refused(f"a{each}b")


def test_half_a_surrogate_is_no_text() -> None:
    assert "UTF-8" in refused("a\ud800")


def test_length_is_counted_in_bytes_of_the_normal_form() -> None:
    assert normal_path("e\u0301" * 512) == "é" * 512
    assert "1025 bytes" in refused("é" * 512 + "x")


@pytest.mark.parametrize(
    "path", ["**Intent", "a:b", "a b", "…", "...", "..a", "a..", "日本/語", "🚀", "a\\b", "%2e%2e"]
)
def test_names_that_are_fine(path: str) -> None:
    assert normal_path(path) == path


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("text/plain", "text/plain"),
        (" Text/HTML ", "text/html"),
        ("text/html; charset=UTF-8", "text/html; charset=UTF-8"),
        ('text/html;charset="utf-8"', "text/html;charset=utf-8"),
        ("application/vnd.api+json", "application/vnd.api+json"),
    ],
)
def test_media_types_are_lower_case(given: str, normal: str) -> None:
    assert normal_media_type(given) == normal


@given(st.text(max_size=30))
def test_a_media_type_never_breaks_a_header(text: str) -> None:
    normal = outcome(normal_media_type, f"text/{text}")
    if isinstance(normal, VersoError):
        assert normal.code == "bad_media_type"
        return
    assert normal.isascii()
    assert normal.isprintable()
    assert '"' not in normal
    assert normal_media_type(normal) == normal


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_is_64_lower_case_digits(digest: bytes) -> None:
    assert is_sha256(digest.hex())
    assert not is_sha256(digest.hex() + "\n")
    assert not is_sha256(digest.hex()[1:])
    assert is_sha256(digest.hex().upper()) == digest.hex().isdigit()


def test_times_are_canonical_in_utc_with_six_decimals() -> None:
    there = datetime(2026, 3, 2, 1, 2, 3, 40, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert canonical_time(there) == "2026-03-01T19:32:03.000040Z"
    assert canonical_time(datetime(2026, 3, 2, tzinfo=UTC)) == "2026-03-02T00:00:00.000000Z"


@pytest.mark.parametrize("text", ["a", "7", "idse-core", "a.b_c-d", "x" * 64])
def test_a_short_name_is_of_letters_and_digits_with_marks_between(text: str) -> None:
    assert is_slug(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", ".a", "A", "a b", "ä", "a\n", "x" * 65])
def test_what_is_no_short_name(text: str) -> None:
    assert not is_slug(text)

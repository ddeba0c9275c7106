"""Properties of what Storage reads from strangers: keys, Range headers, multipart bodies cut anywhere; its files."""

from __future__ import annotations

import os
import re
import uuid
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.local.storage.faults import StorageFault
from app.local.storage.files import Files
from app.local.storage.listing import Cursor
from app.local.storage.multipart import FIELD_LIMIT, FormFile
from app.local.storage.names import check_bucket_name, check_key, check_storable
from app.local.storage.ranges import parse_range
from app.local.storage.service import route

ALLOWED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _/!-.*'()&$@=;:+,?")


# A busy machine is no defect; the directory of a test may serve all its examples.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refused(check: object, *arguments: object) -> StorageFault | None:
    try:
        check(*arguments)  # type: ignore[operator]
    except StorageFault as fault:
        return fault
    return None


# Keys


@UNHURRIED
@given(st.text(max_size=60))
@example("")
@example("a\n")
@example("\u0660")  # a digit, and no ASCII one
def test_a_key_is_taken_exactly_when_all_its_characters_are(key: str) -> None:
    fault = refused(check_key, key)
    assert (fault is None) == (key != "" and set(key) <= ALLOWED)
    assert fault is None or (fault.code, fault.message) == ("InvalidKey", f"Invalid key: {key}")


@UNHURRIED
@given(
    st.lists(
        st.sampled_from(["a", "", ".", "..", "...", "a.b", "x" * 255, "x" * 256]), min_size=1, max_size=5
    )
)
def test_no_key_with_a_dot_segment_is_stored(segments: list[str]) -> None:
    fault = refused(check_storable, "/".join(segments))
    if {".", ".."} & set(segments):
        assert fault is not None
        assert fault.code == "InvalidKey"
    else:
        assert (fault is None) == ("x" * 256 not in segments)


@UNHURRIED
@given(st.text(alphabet=sorted(ALLOWED), max_size=110))
def test_a_bucket_s_name_has_no_slash_and_no_outer_space(name: str) -> None:
    taken = 0 < len(name) <= 100 and "/" not in name and name == name.strip()
    assert (refused(check_bucket_name, name) is None) == taken


@UNHURRIED
@given(st.text(alphabet=sorted(ALLOWED | set("%#é\n")), max_size=40))
@example("/a")
@example("sign/x")
def test_a_key_reaches_its_handler_unchanged(name: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        handler, bucket, key = route(method, f"/object/docs/{name}")
        assert (bucket, key) == ("docs", name)
        assert handler is not None
    handler, bucket, key = route("GET", f"/object/info/authenticated/docs/{name}")
    assert (getattr(handler, "__name__", ""), bucket, key) == ("info_authenticated", "docs", name)


@UNHURRIED
@given(st.text(), st.text())
def test_a_file_is_always_below_the_directory(
    files: Files, tmp_path: Path, bucket: str, version: str
) -> None:
    bucket = bucket.encode(
        "utf-8", "replace"
    ).decode()  # a lone surrogate comes out of no URL and no database
    below = rf"{re.escape(str(tmp_path))}/objects/[0-9a-f]{{2}}/[0-9a-f]{{64}}-[0-9a-f-]{{36}}"
    path = files.path(bucket, "n", version)
    assert path is None or re.fullmatch(below, path)
    assert re.fullmatch(below, files.place(bucket, "n", str(uuid.uuid4())))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


# Ranges


@UNHURRIED
@given(st.integers(0, 50), st.one_of(st.none(), st.integers(0, 60)), st.one_of(st.none(), st.integers(0, 60)))
def test_a_range_is_what_a_slice_is(size: int, first: int | None, last: int | None) -> None:
    whole = bytes(range(size))
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None:
        expected = whole[-last:] if last else b""
    elif last is None:
        expected = whole[first:]
    else:
        expected = whole[first : last + 1] if last >= first else b""
    fault = refused(parse_range, header, size)
    if expected:
        start, end = parse_range(header, size)
        assert whole[start : end + 1] == expected
    else:
        assert fault is not None
        assert (fault.http, fault.status) == (416, 416)


@UNHURRIED
@given(st.text(max_size=30), st.integers(0, 10))
@example("bytes=0-1,2-3", 10)
@example("bytes = 0-1", 10)
@example("bytes=0-1\n", 10)
@example("bytes=\u0660-\u0661", 10)
@example("bytes=" + "9" * 5000 + "-", 10)
@example("bytes=0-" + "9" * 30, 10)
def test_any_other_range_is_416(header: str, size: int) -> None:
    fault = refused(parse_range, header, size)
    if fault is None:
        start, end = parse_range(header, size)
        assert re.fullmatch(r"bytes=[0-9]*-[0-9]*", header)
        assert 0 <= start <= end < size
    else:
        assert fault.http == 416


# Cursors


@UNHURRIED
@given(
    st.text(alphabet=sorted(ALLOWED), min_size=1),
    st.sampled_from(["name", "created_at"]),
    st.sampled_from(["asc", "desc"]),
)
def test_a_cursor_comes_back(after: str, column: str, order: str) -> None:
    cursor = Cursor(after, column, order, "2026-01-02T03:04:05.678Z")
    assert Cursor.read(cursor.write()) == cursor


@UNHURRIED
@given(st.text(max_size=50))
def test_no_cursor_breaks_the_server(text: str) -> None:
    fault = refused(Cursor.read, text)
    assert fault is None or fault.code == "InvalidParameter"


# Multipart


def cut(body: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(min(edge, len(body)) for edge in at)})
    return [body[start:end] for start, end in pairwise(edges)]


NASTY = st.lists(
    st.sampled_from(
        [b"\r\n", b"--", b"boundary", b"\r\n--boundary", b"\r\n--boundar", b"\r", b"\n", b"-", b"x", b"\0"]
    ),
    max_size=30,
).map(b"".join)


def without_boundary(content: bytes) -> bytes:
    return content.replace(b"\r\n--boundary", b"")


@UNHURRIED
@given(
    content=st.one_of(st.binary(max_size=3000), NASTY)
    .map(without_boundary)
    .filter(lambda c: b"--boundary" not in c[:10]),
    fields=st.dictionaries(
        st.sampled_from(["cacheControl", "metadata", "x"]), st.text("abc\r-ü{}", max_size=20), max_size=3
    ),
    edges=st.lists(st.integers(0, 4000), max_size=40),
    epilogue=st.sampled_from([b"", b"\r\n", b"\r\nepilogue"]),
)
def test_a_form_cut_anywhere_is_the_same_form(
    content: bytes, fields: dict[str, str], edges: list[int], epilogue: bytes
) -> None:
    parts = [
        f'--boundary\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    parts.append(
        b'--boundary\r\ncontent-disposition: form-data; name="f"; filename="n"\r\nContent-Type: A/B; c=d\r\n\r\n'
    )
    body = b"".join(parts) + content + b"\r\n--boundary--" + epilogue
    form = FormFile("multipart/form-data; boundary=boundary")
    found = []
    for chunk in cut(body, edges):
        form.feed(chunk)
        found += form.take()
    form.finish()
    assert b"".join(found) == content
    assert form.fields == fields
    assert form.mime == "a/b"


@UNHURRIED
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=10))
def test_no_body_breaks_the_parser(body: bytes, edges: list[int]) -> None:
    form = FormFile("multipart/form-data; boundary=b")

    def read() -> None:
        for chunk in cut(body, edges):
            form.feed(chunk)
        form.finish()

    fault = refused(read)
    assert fault is None or fault.status == 400


@UNHURRIED
@given(st.integers(1, 30))
def test_a_truncated_form_is_never_whole(missing: int) -> None:
    body = (
        b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\ncontent of the file\r\n--b--'
    )
    form = FormFile("multipart/form-data; boundary=b")
    form.feed(body[:-missing])
    with pytest.raises(StorageFault, match="Unexpected end of form"):
        form.finish()


@pytest.mark.parametrize(("size", "kept"), [(FIELD_LIMIT, True), (FIELD_LIMIT + 1, False)])
def test_a_field_beyond_a_mebibyte_is_dropped(size: int, kept: bool) -> None:
    form = FormFile("multipart/form-data; boundary=b")
    form.feed(b'--b\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n' + b"x" * size)
    form.feed(b'\r\n--b\r\ncontent-disposition: form-data; name="f"; filename=""\r\n\r\n\r\n--b--')
    form.finish()
    assert ("metadata" in form.fields) is kept


def test_only_the_first_file_counts_and_later_fields_do_not() -> None:
    form = FormFile("multipart/form-data; boundary=b")
    form.feed(b'--b\r\ncontent-disposition: form-data; name="f"; filename="1"\r\n\r\none\r\n')
    form.feed(b'--b\r\ncontent-disposition: form-data; name="cacheControl"\r\n\r\n9\r\n')
    form.feed(b'--b\r\ncontent-disposition: form-data; name="g"; filename="2"\r\n\r\ntwo\r\n--b--')
    form.finish()
    assert (b"".join(form.take()), form.fields) == (b"one", {})


@pytest.mark.parametrize(
    "type_",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 2000}"],
)
def test_a_form_without_a_usable_boundary_is_refused(type_: str) -> None:
    with pytest.raises(StorageFault, match="Boundary"):
        FormFile(type_)


# Files


def test_a_file_that_can_t_be_written_leaves_nothing(files: Files, tmp_path: Path) -> None:
    version = str(uuid.uuid4())
    with pytest.raises(FileNotFoundError):
        files.write(b"x", str(tmp_path / "no such directory" / "x"), version)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_drafts_are_swept_and_files_kept_at_start(files: Files, tmp_path: Path) -> None:
    version = str(uuid.uuid4())
    files.draft(version).write([b"half"])
    files.write(b"whole", files.place("b", "n", version), str(uuid.uuid4()))
    again = Files(tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert Path(again.place("b", "n", version)).read_bytes() == b"whole"


def test_a_link_is_a_file_of_its_own(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, copied = (files.place("b", name, str(uuid.uuid4())) for name in "abc")
    files.write(b"bytes", source, str(uuid.uuid4()))
    files.link(source, target)
    monkeypatch.setattr(os, "link", _no_links)
    files.link(source, copied)
    files.remove([source, source])
    for path in (target, copied):
        assert Path(path).read_bytes() == b"bytes"
    with pytest.raises(FileNotFoundError):
        files.link(source, target)


def _no_links(source: str, target: str) -> None:
    raise (FileNotFoundError if not Path(source).exists() else PermissionError)(target)

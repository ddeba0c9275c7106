"""Frames of Realtime: whatever comes is a frame or is refused, and what is written is read as it was meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.local.realtime.frames import Broadcast, Frame, Malformed, Version1, Version2, version

texts = st.text(max_size=40).filter(lambda text: text.isprintable())
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300), values.map(json.dumps)))
def test_anything_is_a_frame_or_refused(raw: Any):
    for each in (Version1(), Version2()):
        try:
            frame = each.decode(raw)
        except Malformed:
            continue
        assert isinstance(frame.topic, str)
        assert isinstance(frame.event, str)


@given(texts, texts, values, st.none() | texts, st.none() | texts)
def test_what_is_written_is_read(topic: str, event: str, payload: Any, ref: str | None, join_ref: str | None):
    frame = Frame(topic, event, payload, ref, join_ref)
    assert Version2().decode(Version2().encode(frame)) == frame
    assert Version1().decode(Version1().encode(frame)) == Frame(topic, event, payload, ref, None)


@given(texts, texts, values)
def test_a_broadcast_says_the_same_in_both(topic: str, event: str, payload: Any):
    message = Broadcast(event, json.dumps(payload).encode(), meta={"id": "1"})
    written = Version1().encode_broadcast(topic, message)
    assert json.loads(written or "") == {
        "topic": topic,
        "event": "broadcast",
        "payload": {"event": event, "payload": payload, "type": "broadcast", "meta": {"id": "1"}},
        "ref": None,
    }
    raw = Version2().encode_broadcast(topic, message)
    assert isinstance(raw, bytes)
    sizes = raw[1:4]
    at = 5
    fields = []
    for size in sizes:
        fields.append(raw[at : at + size].decode())
        at += size
    assert (raw[0], raw[4], fields[:2], json.loads(raw[at:])) == (4, 1, [topic, event], payload)
    assert json.loads(fields[2]) == {"id": "1"}


def test_what_a_form_cannot_hold_is_left_out():
    assert Version1().encode_broadcast("t", Broadcast("e", b"\x00", is_json=False)) is None
    assert Version2().encode_broadcast("t", Broadcast("e" * 256, b"1")) is None
    with pytest.raises(Malformed):
        Version1().decode('{"topic":"t","event":"e","payload":NaN}')


@pytest.mark.parametrize(
    ("asked", "kind"),
    [(None, Version1), ("1.0.0", Version1), ("2.0.0", Version2), ("3.0.0", type(None)), ("", Version1)],
)
def test_the_serialisation_is_what_is_asked_for(asked: str | None, kind: type):
    assert isinstance(version(asked), kind)

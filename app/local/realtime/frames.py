"""Frames in both serialisations, as Phoenix and Realtime's own version 2 have them.

Version 1 is a JSON object a frame; version 2 a JSON array, and a binary form for broadcasts: a byte that says
which form, a byte for the length of each header field, those fields, and the payload as it was sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

USER_BROADCAST_PUSH = 3
USER_BROADCAST = 4
LONGEST_FIELD = 255
DEEPEST = 200
"""Levels of JSON, more than anybody means to send: what could be read here must be writable everywhere."""


class Malformed(Exception):  # noqa: N818 - it says what is the matter
    """Not a frame of this serialisation. A server takes no notice of it."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What somebody broadcasts. `body` is the payload's bytes: JSON's, or any when `is_json` is false."""

    event: str
    body: bytes
    is_json: bool = True
    meta: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, in or out. The payload of an incoming binary broadcast is a Broadcast."""

    topic: str
    event: str
    payload: Any
    ref: str | None = None
    join_ref: str | None = None


Encoded = str | bytes


class Version1:
    """Objects: {topic, event, payload, ref}, and join_ref on the way in."""

    def decode(self, raw: Encoded) -> Frame:
        """Read a frame. Raises Malformed; there are no binary ones."""
        message = parsed(raw)
        if isinstance(raw, bytes) or not isinstance(message, dict):
            raise Malformed("expected an object")
        return _frame(*(message.get(name) for name in ("join_ref", "ref", "topic", "event", "payload")))

    def encode(self, frame: Frame) -> Encoded:
        """Write a frame, always with its ref: clients require the field."""
        return _json({"topic": frame.topic, "event": frame.event, "payload": frame.payload, "ref": frame.ref})

    def encode_broadcast(self, topic: str, broadcast: Broadcast) -> Encoded | None:
        """Write a broadcast; None for binary ones, which objects can't hold."""
        if not broadcast.is_json:
            return None
        meta = f',"meta":{_json(broadcast.meta)}' if broadcast.meta is not None else ""
        said = f'"event":{_json(broadcast.event)},"payload":{broadcast.body.decode()}'
        payload = f'{{{said},"type":"broadcast"{meta}}}'
        return f'{{"topic":{_json(topic)},"event":"broadcast","payload":{payload},"ref":null}}'


class Version2:
    """Arrays: [join_ref, ref, topic, event, payload]; broadcasts in binary."""

    def decode(self, raw: Encoded) -> Frame:
        """Read a frame. Raises Malformed."""
        if isinstance(raw, bytes):
            return _binary(raw)
        message = parsed(raw)
        if not isinstance(message, list) or len(message) < 5:  # noqa: PLR2004 - the five fields above
            raise Malformed("expected an array of five")
        return _frame(*message[:5])

    def encode(self, frame: Frame) -> Encoded:
        """Write a frame."""
        return _json([frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload])

    def encode_broadcast(self, topic: str, broadcast: Broadcast) -> Encoded | None:
        """Write a broadcast; None when a field is longer than its length's one byte can say."""
        fields = [topic.encode(), broadcast.event.encode(), _json(broadcast.meta).encode()]
        if broadcast.meta is None:
            fields[2] = b""
        if any(len(field) > LONGEST_FIELD for field in fields):
            return None
        head = bytes([USER_BROADCAST, *(len(field) for field in fields), int(broadcast.is_json)])
        return b"".join((head, *fields, broadcast.body))


Version = Version1 | Version2


def parsed(raw: Encoded) -> Any:
    """Read JSON that everybody can be told again. Raises Malformed.

    Python's own parser isn't asked: it takes half a surrogate pair, UTF-16, a byte order mark, and numbers
    beyond a float's range, and what is written of those breaks the connections of all who listen.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("not JSON") from None
    level = [value]
    for _ in range(DEEPEST):
        if not (level := [each for one in level for each in _inside(one)]):
            return value
    raise Malformed("nested too deeply")


def version(vsn: str | None) -> Version | None:
    """The serialisation that a client asks for: 1.0.0 unless it says; None for one that there isn't."""
    major = (vsn or "1.0.0").partition(".")[0]
    if major == "1":
        return Version1()
    return Version2() if major == "2" else None


def _binary(raw: bytes) -> Frame:
    if len(raw) < 7 or raw[0] != USER_BROADCAST_PUSH:  # noqa: PLR2004 - the seven bytes of the head
        raise Malformed("expected a broadcast")
    fields: list[bytes] = []
    at = 7
    for length in raw[1:6]:
        fields.append(raw[at : at + length])
        at += length
    if at > len(raw):
        raise Malformed("a field ends after the frame")
    try:
        join_ref, ref, topic, event = (field.decode() for field in fields[:4])
        is_json = raw[6] != 0
        if is_json:
            parsed(raw[at:])  # a body that isn't JSON would break everybody's frames
    except UnicodeDecodeError:
        raise Malformed("a field isn't UTF-8") from None
    return Frame(topic, "broadcast", Broadcast(event, raw[at:], is_json), ref or None, join_ref or None)


def _frame(join_ref: Any, ref: Any, topic: Any, event: Any, payload: Any) -> Frame:
    if not isinstance(topic, str) or not isinstance(event, str):
        raise Malformed("expected a topic and an event")
    return Frame(topic, event, payload, _ref(ref), _ref(join_ref))


def _ref(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    raise Malformed("a ref is a text")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

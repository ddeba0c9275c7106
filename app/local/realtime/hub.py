"""Who listens to which topic, and delivery to all of them: encoded once for each serialisation.

A private topic and a public one of the same name are two topics: what one hears the other doesn't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from app.local.realtime.frames import Broadcast, Encoded, Frame, Version
from app.local.realtime.presence import Presence

if TYPE_CHECKING:
    from typing import Any

PREFIX = "realtime:"


class Listener(Protocol):
    """A joined channel, as the hub sees it."""

    version: Version
    reads_broadcasts: bool
    reads_presence: bool

    def deliver(self, encoded: Encoded) -> None:
        """Put a frame into the way to the client, at once."""


class Topic:
    """One topic: its listeners in order of joining, and who is present."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listeners: dict[Listener, None] = {}
        self.presence = Presence()

    def broadcast(self, message: Broadcast | dict[str, Any], *, sender: Listener | None = None) -> None:
        """Tell everybody who may read broadcasts, but for the sender. An object is told as it is."""
        made: dict[type, Encoded | None] = {}
        for listener in list(self.listeners):
            if listener is sender or not listener.reads_broadcasts:
                continue
            kind = type(listener.version)
            if kind not in made:
                made[kind] = (
                    listener.version.encode_broadcast(PREFIX + self.name, message)
                    if isinstance(message, Broadcast)
                    else listener.version.encode(Frame(PREFIX + self.name, "broadcast", message))
                )
            if (encoded := made[kind]) is not None:
                listener.deliver(encoded)

    def track(self, listener: Listener, key: str, told: dict[str, Any]) -> None:
        """Track a listener, and tell everybody who may read presence."""
        self._tell(self.presence.track(listener, key, told))

    def untrack(self, listener: Listener) -> None:
        """Stop tracking a listener, and tell everybody who may read presence."""
        if (difference := self.presence.untrack(listener)) is not None:
            self._tell(difference)

    def _tell(self, difference: dict[str, Any]) -> None:
        made: dict[type, Encoded] = {}
        frame = Frame(PREFIX + self.name, "presence_diff", difference)
        for listener in list(self.listeners):
            if listener.reads_presence:
                kind = type(listener.version)
                if kind not in made:
                    made[kind] = listener.version.encode(frame)
                listener.deliver(made[kind])


class Hub:
    """The topics that somebody listens to."""

    def __init__(self) -> None:
        self._topics: dict[tuple[str, bool], Topic] = {}

    def names(self) -> set[str]:
        """The names of the topics that somebody listens to."""
        return {name for name, _ in self._topics}

    def find(self, name: str, *, private: bool) -> Topic | None:
        """The topic, if somebody listens to it."""
        return self._topics.get((name, private))

    def join(self, name: str, listener: Listener, *, private: bool) -> Topic:
        """Listen to a topic from now on."""
        topic = self._topics.setdefault((name, private), Topic(name))
        topic.listeners[listener] = None
        return topic

    def leave(self, name: str, listener: Listener, *, private: bool) -> None:
        """Stop listening and being present; a topic that nobody listens to is forgotten."""
        topic = self._topics.get((name, private))
        if topic is None:
            return
        topic.listeners.pop(listener, None)
        topic.untrack(listener)
        if not topic.listeners:
            del self._topics[name, private]

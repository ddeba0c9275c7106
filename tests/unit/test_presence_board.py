"""The board of who is present: differences for who keeps up, everything for who doesn't, nothing said twice."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.flows.follow_presence import KEPT_CHANGES, Board
from app.model import Person
from app.model.presence import Presence, PresenceState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(person: str, device: str = "tab", path: str | None = "a.md", *, until: int = 45) -> Presence:
    return Presence(
        person=Person(id=person),
        device=device,
        document=None,
        path=path,
        state=PresenceState.viewing,
        since=NOW,
        until=NOW + timedelta(seconds=until),
    )


def told(frames: bytes) -> list[dict[str, Any]]:
    found = []
    for frame in frames.split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        assert name == b"event: presence"
        found.append(msgspec.json.decode(data.removeprefix(b"data: ")))
    return found


class Client:
    """What a client makes of the frames."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.seen: int | None = None
        self.here: dict[tuple[str, str], str | None] = {}

    def look(self) -> None:
        for frame in told(self.board.since(self.seen)):
            if frame["complete"]:
                self.here.clear()
            for each in frame["gone"]:
                del self.here[each["person"], each["device"]]
            for each in frame["present"]:
                self.here[each["person"]["id"], each["device"]] = each["path"]
        self.seen = self.board.version


def test_only_what_others_see_is_told() -> None:
    board = Board()
    assert not board.take([])
    assert board.since(None) == b""
    assert board.take([entry("ada")])
    assert not board.take([entry("ada", until=90)])  # said again
    assert board.take([entry("ada", path="b.md")])
    assert [frame["complete"] for frame in told(board.since(1))] == [False]
    assert [frame["complete"] for frame in told(board.since(None))] == [True]
    assert board.take([])
    assert told(board.since(2)) == [
        {"complete": False, "present": [], "gone": [{"person": "ada", "device": "tab"}]}
    ]
    assert board.since(board.version) == b""
    assert board.since(None) == b""


def test_the_first_to_end_is_known() -> None:
    board = Board()
    board.take([entry("ada", until=45), entry("bob", until=20)])
    assert board.ends_at == (NOW + timedelta(seconds=20)).timestamp()
    board.take([])
    assert board.ends_at is None


def test_clients_that_look_now_and_then_see_what_is_there() -> None:
    rng = random.Random(7)
    board = Board()
    clients = [Client(board) for _ in range(5)]
    for _ in range(20 * KEPT_CHANGES):
        people = rng.sample("abcdefgh", rng.randrange(9))
        found = [entry(each, path=rng.choice(["a.md", "b.md", None])) for each in people]
        board.take(found)
        for slow, client in enumerate(clients):
            if rng.random() < 0.1**slow * 2:
                client.look()
                assert client.here == {(each.person.id, "tab"): each.path for each in found}

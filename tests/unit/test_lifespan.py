"""What the service opens is closed again, whatever fails while it stops."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from app import main
from app.flows.follow_events import Hub
from app.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.filterwarnings("ignore:.*Inferred dependency field")
async def test_one_thing_that_fails_to_close_keeps_no_other_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def fail(_: Hub) -> None:
        raise RuntimeError("not this one")

    monkeypatch.setattr(Hub, "close", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(main, "configure_logs", lambda _: None)  # it is the whole process's
    told = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    said: list[str] = []
    there: list[int] = []

    def directories() -> int:
        return len(list(tmp_path.glob("verso-git-*")))

    async def receive() -> Any:
        there.append(directories())
        return told.pop(0)

    async def send(message: Any) -> None:
        said.append(message["type"])

    app = main.create_app(Settings(supabase_url="http://127.0.0.1:9", supabase_publishable_key="x"))
    with pytest.raises((RuntimeError, ExceptionGroup)):
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.failed"]
    assert there == [0, 1]
    assert directories() == 0

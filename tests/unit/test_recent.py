"""What the heads of pages say is remembered for a moment, by token, and forgotten when told."""

from __future__ import annotations

from app.supabase.answers import Me
from app.web.recent import MOST, RECENT_SECONDS, Recent


def test_it_is_there_for_a_moment_and_for_nobody_else() -> None:
    now = [100.0]
    recent = Recent(clock=lambda: now[0])
    me = Me(id="1", projects=[])
    recent.keep("token", me)
    assert recent.get("token") is me
    assert recent.get("other") is None
    now[0] += RECENT_SECONDS
    assert recent.get("token") is None
    recent.keep("token", me)
    recent.forget("token")
    assert recent.get("token") is None


def test_many_tokens_take_no_more_room_than_said() -> None:
    recent = Recent()
    me = Me(id="1", projects=[])
    for number in range(MOST + 1):
        recent.keep(str(number), me)
    assert recent.get("0") is None
    assert recent.get(str(MOST)) is me

"""What is said of a call that broke: that nothing was changed, only where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from app.errors import VersoError
from app.settings import Settings
from app.supabase import pool as pool_module
from app.supabase.faults import UNAVAILABLE, UNKNOWN_OUTCOME
from app.supabase.pool import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Broken = Exception | httpx.Response


SETTINGS = Settings(supabase_url="http://rows.test", supabase_publishable_key="k")
NEVER_SENT = httpx.ConnectError("nobody there")
BROKE = httpx.ReadError("the connection broke")
SILENT = httpx.ReadTimeout("no answer")
STARTING = {"code": "PGRST002", "message": "no schema cache yet", "hint": None, "details": None}
UPSTREAM = {"message": "An invalid response was received from the upstream server"}
"""What the gateway of a hosted project answers while what is behind it restarts."""
LOST = {"code": "PGRST001", "message": "the connection to the database broke", "hint": None, "details": None}


def answered(status: int, body: object) -> httpx.Response:
    return httpx.Response(status, json=body)


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setattr(pool_module, "RETRY_DELAYS", (0.0, 0.0))
    made = Pool(SETTINGS)
    yield made
    await made.close()


async def told(pool: Pool, function: str, happens: list[Broken], *, repeatable: bool = True) -> VersoError:
    def answer(_: httpx.Request) -> httpx.Response:
        now = happens.pop(0) if len(happens) > 1 else happens[0]
        if isinstance(now, Exception):
            raise now
        return httpx.Response(now.status_code, content=now.content, headers=now.headers)

    pool.http._transport = httpx.MockTransport(answer)
    with pytest.raises(VersoError) as refused:
        await pool.rpc("token", function, {}, repeatable=repeatable)
    assert refused.value.code == "supabase_unavailable"
    return refused.value


@pytest.mark.parametrize("function", ["commit_change", "create_comment", "set_member", "report_stage"])
@pytest.mark.parametrize(
    "happens",
    [
        [SILENT],
        [BROKE],
        # What broke first may have been written, whatever becomes of the tries after it.
        [BROKE, NEVER_SENT],
        [httpx.Response(504, text="upstream timed out"), answered(503, STARTING)],
        [answered(503, LOST), NEVER_SENT],
        [answered(502, UPSTREAM), NEVER_SENT],
    ],
    ids=[
        "silent",
        "broke",
        "broke-then-gone",
        "gateway-then-starting",
        "lost-then-gone",
        "upstream-then-gone",
    ],
)
async def test_what_may_have_been_written_is_not_said_to_be_unchanged(
    pool: Pool, function: str, happens: list[Broken]
) -> None:
    assert (await told(pool, function, list(happens))).sentence == UNKNOWN_OUTCOME


@pytest.mark.parametrize(
    "happens", [[NEVER_SENT], [answered(503, STARTING)], [httpx.PoolTimeout("no room")]], ids=str
)
async def test_what_never_arrived_changed_nothing(pool: Pool, happens: list[Broken]) -> None:
    assert (await told(pool, "create_comment", list(happens))).sentence == UNAVAILABLE


@pytest.mark.parametrize("function", ["list_changes", "read_file", "me", "search", "prepare_change"])
@pytest.mark.parametrize(
    "happens",
    [[SILENT], [BROKE], [httpx.Response(504, text="upstream timed out")]],
    ids=["silent", "broke", "gateway"],
)
async def test_reading_changes_nothing_whatever_happens(
    pool: Pool, function: str, happens: list[Broken]
) -> None:
    assert (await told(pool, function, list(happens))).sentence == UNAVAILABLE


async def test_what_may_not_be_sent_twice_is_sent_once(pool: Pool) -> None:
    error = await told(pool, "create_project", [BROKE, NEVER_SENT], repeatable=False)
    assert error.sentence == UNKNOWN_OUTCOME


async def test_a_gateway_that_fails_for_a_moment_is_asked_again(pool: Pool) -> None:
    answers = [
        answered(502, UPSTREAM),
        answered(503, {"message": "name resolution failed"}),
        answered(200, 1),
    ]
    pool.http._transport = httpx.MockTransport(lambda _: answers.pop(0))
    assert await pool.rpc("token", "read_project", {}) == 1


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_two_in_each_other_s_way_are_told_apart_from_faults(pool: Pool, state: str) -> None:
    """The database took all of it back, so it is asked again, and nothing was changed."""
    refused = answered(500, {"code": state, "message": "deadlock detected", "hint": None, "details": None})
    answers = [refused, answered(200, 1)]
    pool.http._transport = httpx.MockTransport(lambda _: answers.pop(0))
    assert await pool.rpc("token", "create_comment", {}) == 1
    assert (await told(pool, "create_comment", [refused])).sentence == UNAVAILABLE

"""What escapes every handler: one line that says why, and no answer that looks whole."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.api.observing import Metrics, Observer

SCOPE = {"type": "http", "method": "GET", "path": "/", "path_template": "/", "headers": []}
START = {"type": "http.response.start", "status": 200, "headers": []}
PIECE = {"type": "http.response.body", "body": b"half", "more_body": True}


async def observed(*messages: Any, error: BaseException) -> tuple[list[Any], list[Any]]:
    """What is sent and what is logged when an application sends these and then fails."""
    sent: list[Any] = []

    async def failing(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(dict(message))
        raise error

    async def keep(message: Any) -> None:
        sent.append(message)

    with capture_logs() as logged:
        observer = Observer(failing, Metrics())
        await observer(dict(SCOPE), None, keep)  # type: ignore[arg-type]
    return sent, logged


async def test_a_failure_before_the_answer_is_a_problem_and_a_line_with_its_cause() -> None:
    error = RuntimeError("a handler of errors failed")
    (start, body), (escaped, request) = await observed(error=error)
    assert (start["status"], body["more_body"]) == (500, False)
    problem = json.loads(body["body"])
    assert (problem["code"], "handler of errors" in problem["detail"]) == ("internal", False)
    assert (escaped["event"], escaped["begun"], escaped["exc_info"]) == ("escaped", False, error)
    assert escaped["request_id"] == request["request_id"] == problem["request_id"]
    assert request["status"] == 500


async def test_a_failure_in_the_middle_of_an_answer_leaves_it_unfinished() -> None:
    sent, (escaped, request) = await observed(START, PIECE, error=ExceptionGroup("g", [OSError("gone")]))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]
    assert (escaped["event"], escaped["begun"], escaped["log_level"]) == ("escaped", True, "error")
    assert (request["status"], request["bytes"]) == (200, 4)


async def test_what_the_server_cuts_off_within_its_answer_is_no_fault() -> None:
    sent, (cut, request) = await observed(START, PIECE, error=asyncio.CancelledError())
    assert len(sent) == 2
    assert (cut["event"], cut["begun"], cut["log_level"]) == ("cut_off", True, "warning")
    assert request["status"] == 200


async def test_what_the_server_cuts_off_before_its_answer_is_told_that_it_stops() -> None:
    (start, body), (cut, request) = await observed(error=asyncio.CancelledError())
    problem = json.loads(body["body"])
    assert (start["status"], problem["code"]) == (503, "server_stopping")
    assert b"retry-after" in dict(start["headers"])
    assert (cut["event"], cut["begun"], cut["log_level"]) == ("cut_off", False, "warning")
    assert request["status"] == 503


async def test_what_ends_the_process_ends_it() -> None:
    with pytest.raises(SystemExit):
        await observed(error=SystemExit(1))

"""What is wrong with a value is told by the name that its sender knows, with what is allowed."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - Litestar reads the annotations
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest
from litestar import post
from litestar.exceptions import HTTPException
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.testing import create_test_client

from app.api.problems import on_http_exception


class State(StrEnum):
    PENDING = "pending"
    DONE = "done"


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    of: Literal["all", "some"] = "all"


class Body(msgspec.Struct, forbid_unknown_fields=True):
    state: State | None = None
    inner: Inner | None = None
    many: list[State] = []


@post("/{which:str}", sync_to_thread=False)
def handler(
    which: FromPath[State],
    data: JSONBody[Body],
    first_day: Annotated[date | None, QueryParameter(name="from")] = None,
    group: Annotated[Literal["day", "week"] | None, QueryParameter(description="…")] = None,
) -> None:
    """Take values."""


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/done?from=x", {}, "from: Invalid RFC3339 encoded date."),
        ("/done?group=x", {}, "group: Invalid enum value 'x'; it is one of day, week."),
        ("/x", {}, "which: Invalid enum value 'x'; it is one of pending, done."),
        ("/done", {"state": "x"}, "state: Invalid enum value 'x'; it is one of pending, done."),
        ("/done", {"inner": {"of": "x"}}, "inner.of: Invalid enum value 'x'; it is one of all, some."),
        ("/done", {"inner": {"of": 7}}, "inner.of: Expected `str`, got `int`."),
        ("/done", {"more": 7}, "body: Object contains unknown field `more`."),
    ],
)
def test_the_sender_is_told_what_would_do(path: str, body: object, told: str) -> None:
    with create_test_client([handler], exception_handlers={HTTPException: on_http_exception}) as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["detail"] == f"The request is not well formed: {told}"


def test_a_body_that_is_missing_is_asked_for() -> None:
    with create_test_client([handler], exception_handlers={HTTPException: on_http_exception}) as client:
        answer = client.post("/done")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The request is not well formed: body: It is needed."


def test_in_a_list_it_is_told_at_least_that_it_is_wrong() -> None:
    with create_test_client([handler], exception_handlers={HTTPException: on_http_exception}) as client:
        answer = client.post("/done", json={"many": ["done", "x"]})
    assert answer.status_code == 400
    assert "Invalid enum value 'x'" in answer.json()["detail"]

"""Requests and the answers that real servers gave (tests/local/storage_cases/*.toml, from wire/storage.md)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.storage_cases.world import World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["world"]

CASES = Path(__file__).parent / "storage_cases"


def _cases() -> Iterator[Any]:
    for path in sorted(CASES.glob("*.toml")):
        for case in tomllib.loads(path.read_text())["case"]:
            yield pytest.param(case, id=f"{path.stem}: {case['says']}")


@pytest.fixture(scope="module")
async def furnished(world: World) -> World:
    """The world with the objects that the cases name."""
    for key in (
        f"docs/{world.ids['owner']}/there.txt",
        f"docs/{world.ids['other']}/theirs.txt",
        "public/open.txt",
    ):
        answer = await world.put("service", key, b"0123456789", **{"content-type": "text/plain"})
        assert answer.status_code == 200, answer.text
    return world


@pytest.mark.parametrize("case", list(_cases()))
async def test_the_answer_is_the_real_server_s(furnished: World, case: dict[str, Any]) -> None:
    case = _filled(case, furnished.ids)
    method, path = case["request"].split(" ", 1)
    headers = {**furnished.headers[case["as"]], **case.get("headers", {})}
    body = _body(case)
    if "json" not in case and "content-type" not in {name.lower() for name in headers} and "content" in body:
        headers["content-type"] = "application/octet-stream"
    before = furnished.files()

    answer = await furnished.http.request(method, path, headers=headers, **body)

    refused = "refusal" in case or case.get("status", 200) != 200
    assert answer.status_code == case.get("status", 400 if refused else 200), answer.text
    if "refusal" in case:
        expected = dict(zip(("statusCode", "error", "message", "code"), case["refusal"], strict=True))
        assert answer.json() == expected
    if "answer" in case:
        _check(answer.json(), case["answer"])
    if "text" in case:
        assert answer.text == case["text"]
    for name, value in case.get("gives", {}).items():
        assert answer.headers.get(name, "absent") == value
    if refused:
        assert furnished.files() == before, "a refused request left a file or took one"


def _body(case: dict[str, Any]) -> dict[str, Any]:
    if "json" in case:
        return {"json": case["json"]}
    if "file" in case:
        given = case["file"]
        content = given["content"].encode() if "content" in given else b"x" * given["size"]
        return {"files": {"file": ("name", content, given["type"])}, "data": given.get("fields", {})}
    if "body" in case or "size" in case:
        return {"content": case["body"].encode() if "body" in case else b"x" * case["size"]}
    return {}


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.replace("{owner}", ids["owner"]).replace("{other}", ids["other"])
    if isinstance(value, list):
        return [_filled(item, ids) for item in value]
    if isinstance(value, dict):
        return {name: _filled(item, ids) for name, item in value.items()}
    return value


def _check(found: Any, expected: Any) -> None:
    """A list must be the list, an object must hold at least what is expected."""
    if isinstance(expected, list):
        assert len(found) == len(expected), found
        for one, other in zip(found, expected, strict=True):
            _check(one, other)
    elif isinstance(expected, dict):
        assert {name: found.get(name) for name in expected} == expected
    else:
        assert found == expected

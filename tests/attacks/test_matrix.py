"""Every route by every role: `matrix.txt` says what each gets, the running service is asked, and they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from app.api.problems import PROBLEMS
from tests.attacks.asks import ASKS
from tests.attacks.world import (
    PLACEHOLDER,
    ROLES,
    STRANGERS,
    TABLE,
    Row,
    World,
    ask_all,
    outcome,
    read_table,
    routes_of,
    telling,
)

if TYPE_CHECKING:
    from tests.api.world import Contract

ROWS = read_table()
Answers = dict[tuple[str, str], httpx.Response]


@pytest.fixture(scope="module")
def answers(world: World) -> Answers:
    """What the service says to each cell of the table."""
    cells = [(row, role) for row in ROWS for role in ROLES]
    told = ask_all([world.ask(row, role) for row, role in cells])
    return {(row.route, role): answer for (row, role), answer in zip(cells, told, strict=True)}


@pytest.fixture(scope="module")
def of_nothing(world: World, answers: Answers) -> Answers:
    """What the service says to strangers who ask the same of ids that nothing has."""
    cells = [(row, role) for row in ROWS if names_things(row) for role in STRANGERS]
    told = ask_all([world.ask(row, role, nothing=True) for row, role in cells])
    return {(row.route, role): answer for (row, role), answer in zip(cells, told, strict=True)}


def names_things(row: Row) -> bool:
    return bool(set(PLACEHOLDER.findall(row.template)) - {"code"})


def test_every_route_has_a_row(contract: Contract) -> None:
    missing = routes_of(contract) - {row.route for row in ROWS}
    gone = {row.route for row in ROWS} - routes_of(contract)
    assert not missing, (
        f"No row of {TABLE.name} says who may ask {sorted(missing)}. Add one line for each to "
        f"tests/attacks/{TABLE.name}, with what every role gets. If the route takes a query or a body, give a "
        "complete one in tests/attacks/asks.py; if it names a new kind of thing, give tests/attacks/world.py "
        "one that is there (_shared, _cells_own) and one that isn't (NOTHING). `python -m tests.attacks` "
        "prints the table as the service answers now: judge its cells before you take them."
    )
    assert not gone, f"{TABLE.name} has rows of routes that are no more: {sorted(gone)}. Delete them."
    assert not set(ASKS) - routes_of(contract), "asks.py has entries of routes that are no more."


def test_the_table_speaks_of_known_codes_and_lists_each_route_once() -> None:
    assert len({row.route for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert all(cell.isdigit() or cell in PROBLEMS for cell in row.cells.values()), row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route)
def test_each_role_gets_what_the_table_says(row: Row, answers: Answers) -> None:
    told = {role: outcome(answers[row.route, role]) for role in ROLES}
    bodies = {role: answers[row.route, role].text[:300] for role in ROLES if told[role] != row.cells[role]}
    assert told == row.cells, bodies


@pytest.mark.parametrize("row", [row for row in ROWS if names_things(row)], ids=lambda row: row.route)
def test_a_stranger_is_told_of_what_is_there_what_is_told_of_nothing(
    row: Row, answers: Answers, of_nothing: Answers
) -> None:
    """Byte for byte: status, header fields and body, all but the request's id and the date."""
    for role in STRANGERS:
        there = telling(answers[row.route, role])
        assert there == telling(of_nothing[row.route, role]), role
        assert there[0] >= 400, role
        assert b"secret" not in there[2], role


def test_a_stranger_that_is_refused_has_written_nothing(world: World, answers: Answers) -> None:
    """After all of it, the log and the members are those that the table allows."""
    assert answers
    owner = {"Authorization": f"Bearer {world.tokens['owner']}"}
    project = f"{world.url}/v1/projects/{world.shared['project']}"
    with httpx.Client(headers=owner, trust_env=False) as client:
        log = client.get(f"{project}/changes", params={"limit": 200}).json()
        assert log["next"] is None
        writers = {change["author"]["handle"].rsplit("-", 1)[0] for change in log["items"]}
        assert writers == {"owner", "editor", "writer", "ours"}
        members = client.get(f"{project}/members").json()["items"]
        roles = {each["person"]["handle"].rsplit("-", 1)[0]: each["role"] for each in members}
        assert roles == {
            "owner": "owner",
            "editor": "editor",
            "deleted": "editor",  # keeps its place among the members; the account is no more
            "writer": "editor",
            "ours": "editor",
            "reviewer": "reviewer",
            "reader": "reader",
            "spare": "reader",
            "scribe": "editor",
        }
        assert client.get(project).json()["description"] == "x"


def test_lists_of_ones_own_hold_nothing_of_others(world: World, answers: Answers) -> None:
    for role in STRANGERS:
        for route in ("GET /v1/me", "GET /v1/projects"):
            assert world.shared["project"] not in answers[route, role].text

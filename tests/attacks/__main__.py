"""`python -m tests.attacks` prints the matrix as the service answers now, new routes included.

What it prints is a proposal: judge each cell before it goes into matrix.txt.
"""

from __future__ import annotations

import httpx

from tests.api.world import Api, Contract
from tests.attacks.world import ROLES, Row, ask_all, build_world, draw, outcome, read_table, routes_of
from tests.stack import Stack


def main() -> None:
    with Stack() as stack, Api(stack) as api:
        contract = Contract(httpx.get(f"{api.url}/schema/openapi.json", trust_env=False).json())
        known = [row.route for row in read_table()]
        new = sorted(routes_of(contract) - set(known))
        rows = [Row(route, {}) for route in [*known, *new]]
        world = build_world(stack, api, contract, rows)
        cells = [(row, role) for row in rows for role in ROLES]
        for (row, role), answer in zip(cells, ask_all([world.ask(*cell) for cell in cells]), strict=True):
            row.cells[role] = outcome(answer)
    print(draw(rows), end="")  # noqa: T201 - it is a command


if __name__ == "__main__":
    main()

"""The codes that SQL raises, the table that explains them, and the API's own table say the same."""

from __future__ import annotations

import re
from collections import defaultdict

from app.api.problems import PROBLEMS
from tests.stack import MIGRATIONS, REPOSITORY

RAISED = re.compile(r"private\.(?:fail\(|problem\([^,']+, ?)(\d{3}), '([a-z_]+)'", re.DOTALL)
ROW = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \| (.+) \| (.+) \|$", re.MULTILINE)


# The API stores the bytes itself: when they aren't right, it is not the client who sent something wrong.
STORED_BY_THE_API = {"blob_missing", "blob_unproven", "blob_altered"}


def raised() -> dict[str, set[int]]:
    found = defaultdict(set)
    for path in MIGRATIONS.glob("*.sql"):
        for status, code in RAISED.findall(path.read_text()):
            found[code].add(int(status))
    return dict(found)


def explained() -> dict[str, set[int]]:
    text = (REPOSITORY / "docs" / "errors.md").read_text()
    section = text.partition("## From the database")[2].partition("\n## ")[0]
    return {code: {int(status)} for code, status, _, _ in ROW.findall(section)}


def test_the_table_explains_what_is_raised_and_nothing_else():
    assert len(raised()) > 35
    assert explained() == raised()


def test_the_api_gives_each_code_the_status_that_the_database_gives_it():
    expected = raised() | {code: {502} for code in STORED_BY_THE_API}
    assert {code: {PROBLEMS[code].status} for code in raised()} == expected

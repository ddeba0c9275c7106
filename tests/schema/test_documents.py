"""docs/schema.md names what there is."""

from __future__ import annotations

import re

from tests.schema.expected import EXPOSED, TABLES, VIEWS
from tests.stack import MIGRATIONS, REPOSITORY

PAGE = (REPOSITORY / "docs" / "schema.md").read_text()


def test_it_names_every_table_view_and_function():
    for name in TABLES | VIEWS | EXPOSED:
        assert re.search(rf"`{name}[`(]", PAGE), name


def test_it_names_every_key_that_an_item_may_have():
    text = next(MIGRATIONS.glob("*commit_change.sql")).read_text()
    keys = set(re.findall(r"item (?:->>|->|\?) '([a-z0-9_]+)'", text))
    for group in re.findall(r"unnest\(array\[((?:'[a-z0-9_]+'(?:, )?)+)\]\)", text):
        keys |= set(re.findall(r"'([a-z0-9_]+)'", group))
    assert len(keys) > 12
    for key in keys:
        assert f"`{key}`" in PAGE, key

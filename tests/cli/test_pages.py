"""The project's pages name files that are there."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from tests.cli.running import REPOSITORY

PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("fixtures/*/README.md")]
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_of_a_page_leads_to_a_file(page) -> None:
    links = [unquote(target) for target, _ in LINK.findall(page.read_text(encoding="utf-8"))]
    assert [target for target in links if not (page.parent / target).exists()] == []


def test_the_readme_is_found_to_have_links() -> None:
    assert len(LINK.findall((REPOSITORY / "README.md").read_text(encoding="utf-8"))) >= 5

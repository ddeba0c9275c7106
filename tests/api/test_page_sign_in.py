"""Pages sign in: to GitHub and back, into cookies; what the cookies open, and what they do not."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.api.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import Api, Contract


@pytest.fixture
def browser(api: Api, contract: Contract) -> Iterator[Browser]:
    with Browser(api, contract) as opened:
        yield opened


def test_a_person_signs_in_with_github_and_the_cookie_says_who_it_is(browser: Browser) -> None:
    login = f"Zoe-{uuid.uuid4().hex[:8]}"
    end = browser.sign_in(login)
    assert end.url.path == "/auth/session"
    me = browser.get("/v1/me")
    assert me.status_code == 200, me.text
    assert me.json()["handle"] == login.lower()

"""One embedded Supabase, one API process and one Chromium for the whole directory; see browsing.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import async_playwright, expect

from tests.api.world import Api, Contract, Person, make_project
from tests.stack import Stack
from tests.web.browsing import CHROMIUM, FLAGS, PATIENCE_MS, ROLES, Site, session_of, sign_in

INSTALLED = Path(CHROMIUM).exists()

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser

    from tests.api.world import Project


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[Api]:
    with Api(stack) as running:
        yield running
    shutil.rmtree(running.directory)


@pytest.fixture(scope="session")
def contract(api: Api) -> Contract:
    return Contract(httpx.get(f"{api.url}/schema/openapi.json").json())


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not INSTALLED:
        pytest.skip(f"{CHROMIUM} is not there: apt install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        await running.close()


@pytest.fixture(scope="session")
async def site(browser: Browser, api: Api, contract: Contract) -> AsyncIterator[Site]:
    """Everybody has signed in once, by clicking; tests start with their cookies."""
    context = await browser.new_context(base_url=api.url)
    page = await context.new_page()
    states = {}
    for role in ROLES:
        await context.clear_cookies()
        await sign_in(page, role)
        # Not the context's storage_state(), for which Chromium opens a page: there is nothing else yet.
        states[role] = {"cookies": await context.cookies(), "origins": []}
    await context.close()
    people = {role: Person(api, session_of(state), contract) for role, state in states.items()}
    yield Site(browser, api.url, states, people)
    for person in people.values():
        person.close()


@pytest.fixture
async def web(site: Site) -> AsyncIterator[Site]:
    """The site; at the end no page may have complained of anything, and all are closed."""
    yield site
    await site.close_all()


@pytest.fixture(scope="module")
def project(site: Site) -> Project:
    """A project of this module's, with a member of each role."""
    return make_project(site.members())

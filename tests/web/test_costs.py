"""What pages cost in requests to Supabase: the same however many versions, documents and members there are."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from tests.api.world import make_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.world import Api, Project
    from tests.stack import Stack
    from tests.web.browsing import Site

PAGES = {
    "/": 3,
    "/p/{project}": 3,
    "/p/{project}/history": 3,
    "/p/{project}/files/a.md": 2,
    "/p/{project}/documents/{document}": 1,
    "/p/{project}/documents/{document}/diff": 1,
    "/p/{project}/changes/2": 4,
    "/p/{project}/documents/{document}/blame": 2,
    "/p/{project}/people": 4,
    "/p/{project}/pipelines": 7,
    "/p/{project}/import": 1,
    "/p/{project}/search?q=line": 2,
}
"""Round trips of a page at most, once contents and the visitor's profile are known."""

MEMBERS = 120
_PROFILES = """
    insert into public.profiles (id, handle, display_name)
    select gen_random_uuid(), 'cost-' || n, 'Member ' || n from generate_series(1, $1::int) n
"""
_MEMBERS = """
    insert into public.members (user_id, project_id, role, added_by)
    select p.id, j.id, 'reader', j.created_by from public.profiles p, public.projects j
    where j.id = $1::text::uuid and p.handle like 'cost-%'
"""


def filled(project: Project, *, documents: int, versions: int) -> dict[str, str]:
    """A project with a document of so many versions, and so many documents beside it."""
    version = project.written("a.md", "# A\n\nline 1\n", content_type="text/markdown")
    for number in range(2, versions + 1):
        text = f"# A\n\nline {number % 2}\n"
        version = project.written("a.md", text, base=version["hash"], content_type="text/markdown")
    if documents:
        project.change(*({"path": f"d{n % 7}/{n}.md", "text": f"line {n % 3}"} for n in range(documents)))
    return {"project": project.id, "document": version["document"]}


@pytest.fixture(scope="module")
def small(site: Site) -> dict[str, str]:
    return filled(make_project(site.members()), documents=2, versions=2)


@pytest.fixture(scope="module")
async def large(site: Site, stack: Stack) -> dict[str, str]:
    """More of all that grows: members, documents, versions."""
    project = make_project(site.members())
    conn = await asyncpg.connect(stack.dsn("supabase_admin"))
    async with conn.transaction():
        # Profiles without accounts; members with all that the database keeps of them.
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(_PROFILES, MEMBERS)
        await conn.execute("set local session_replication_role = origin")
        await conn.execute(_MEMBERS, project.id)
    await conn.close()
    return filled(project, documents=120, versions=25)


@pytest.fixture(scope="module")
def cost(site: Site, api: Api) -> Callable[[str], int]:
    cookies = {each["name"]: each["value"] for each in site.states["editor"]["cookies"]}

    def count(path: str) -> int:
        with httpx.Client(base_url=site.url, cookies=cookies, trust_env=False, timeout=30) as client:
            client.get(path)  # contents are cached from here on
            # Who the visitor is was maybe known already, and is asked again every ten seconds: by one of two.
            return min(api.cost(client.get(path)) for _ in range(2))

    return count


def test_all_members_are_on_pages(site: Site, large: dict[str, str]) -> None:
    cookies = {each["name"]: each["value"] for each in site.states["editor"]["cookies"]}
    seen: list[str] = []
    following: str | None = f"/p/{large['project']}/people"
    with httpx.Client(base_url=site.url, cookies=cookies, trust_env=False, timeout=30) as client:
        while following is not None:
            page = client.get(following).raise_for_status().text
            seen += re.findall(r'id="member-([^"]+)"', page)
            more = re.search(r'href="([^"]*of=members[^"]*)"', page)
            following = None if more is None else html.unescape(more[1])
    assert len(seen) == len(set(seen)) == MEMBERS + 4


@pytest.mark.parametrize("page", PAGES)
def test_a_page_costs_the_same_whatever_there_is(
    page: str, small: dict[str, str], large: dict[str, str], cost: Callable[[str], int]
) -> None:
    few, many = cost(page.format(**small)), cost(page.format(**large))
    assert many <= few, f"{page}: {few} round trips, and {many} of more"
    assert few <= PAGES[page], f"{page}: {few} round trips"

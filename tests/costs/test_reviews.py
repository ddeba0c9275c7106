"""Reviews cost what a version's own reviews and comments are, whatever else the project holds.

A project has 5,000 documents, 50,000 comments and 20,000 reviews beside the one document that is asked about,
which has 5,000 comments of its own. The rows are made by SQL with triggers off, in the shape that the
functions give them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.costs.counted import pages, pages_of_write
from tests.schema.world import sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World

pytestmark = pytest.mark.slow

DOCUMENTS = 5_000
OWN_COMMENTS = 5_000
FIRST_EVENT = 1_000_000

TABLES = ("versions", "documents", "comments", "comment_texts", "comment_acts", "reviews")

OTHERS = """
insert into public.sessions (project_id, slug, title, type, root, created_by)
select '{project}', 'other-' || n, 'x', 'exploratory', 'sessions/other-' || n, '{reviewer}' from generate_series(1, 100) n;
with n as (select n, s.id as session, gen_random_uuid() as id, encode(sha256(('m{project}' || n)::bytea), 'hex') as hash
  from generate_series(1, {documents}) n join public.sessions s on s.project_id = '{project}' and s.slug = 'other-' || n % 100 + 1),
d as (insert into public.documents (id, project_id, path, live, stage, session_id, head, head_number, head_sequence)
  select id, '{project}', 'sessions/other/specs/' || n || '.md', true, 'spec', session, hash, 1, 1 from n),
r as (insert into public.reviews (id, project_id, sequence, version, reviewer_id, actor, verdict)
  select gen_random_uuid(), '{project}', 8000000 + n.n * 4 + k, n.hash, '{reviewer}', 'human',
    (array['approve', 'withdraw', 'request_changes', 'approve'])[k]::public.review_verdict
  from n cross join generate_series(1, 4) k),
c as (insert into public.comments (id, project_id, sequence, document_id, version, thread_id, author_id, actor)
  select x.id, '{project}', 4000000 + n.n * 10 + x.k, n.id, n.hash, x.id, '{reviewer}', 'human'
  from n cross join lateral (select gen_random_uuid() as id, k from generate_series(1, 10) k where n.n > 0) x
  returning id, sequence),
t as (insert into public.comment_texts (comment_id, project_id, body) select id, '{project}', 'x' from c),
a as (insert into public.comment_acts (project_id, sequence, comment_id, act, actor_id, actor)
  select '{project}', sequence + 2000000, id, 'resolve', '{reviewer}', 'human' from c where sequence % 2 = 0)
insert into public.versions (hash, project_id, document_id, number, change_sequence, position, action, path, sha256, size, media_type, object_id)
select hash, '{project}', id, 1, 1, n + 1, 'add', 'sessions/other/specs/' || n || '.md', '{sha256}', 1, 'text/markdown', '{object}' from n;
"""
OWN = """
with c as (insert into public.comments (id, project_id, sequence, document_id, version, thread_id, author_id, actor, side, first_line, last_line)
  select x.id, '{project}', {first} + x.k, '{document}', '{version}', x.id, '{reviewer}', 'human', 'new', 1, 1
  from (select gen_random_uuid() as id, k from generate_series(1, {comments}) k) x returning id, sequence)
insert into public.comment_texts (comment_id, project_id, body) select id, '{project}', 'x' from c;
"""


@dataclass(frozen=True)
class Place:
    """A project, and in it a session `s` with one document that has many comments and a verdict."""

    team: Team
    version: str
    document: str
    comment: str


async def place(world: World) -> Place:
    team = await world.team()
    await world.rpc(team.editor, "create_session", project=team.id, slug="s")
    written = await world.write(team.editor, team.id, "sessions/s/specs/a.md", "one\ntwo\n")
    await world.rpc(team.reviewer, "create_review", version=written["hash"], verdict="approve")
    made = await world.rpc(team.reviewer, "create_comment", version=written["hash"], body="Why?")
    return Place(team, written["hash"], written["document"], made["id"])


@pytest_asyncio.fixture(scope="module")
async def small(world: World) -> Place:
    return await place(world)


@pytest_asyncio.fixture(scope="module")
async def large(world: World) -> Place:
    made = await place(world)
    team = made.team
    names = {
        "project": team.id,
        "reviewer": team.reviewer.id,
        "document": made.document,
        "version": made.version,
        "sha256": sha256(b"x"),
        "object": await world.store(team.id, b"x"),
        "documents": DOCUMENTS,
        "comments": OWN_COMMENTS,
        "first": FIRST_EVENT,
    }
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(OTHERS.format(**names))
        await conn.execute(OWN.format(**names))
    await world.pool.execute(f"vacuum analyze {', '.join(f'public.{table}' for table in TABLES)}")
    return made


def alike(*counts: int) -> bool:
    # Ids are random, so pages share more or fewer of an index's pages; after other files' tests up to a fifth more.
    return max(counts) <= min(counts) * 1.3 + 10


@pytest.mark.parametrize(
    "call",
    [
        "list_comments('{version}', {seen}, 50)",
        "list_document_comments('{document}', null, null, {seen}, 50)",
    ],
)
async def test_every_page_of_comments_costs_what_the_first_costs(world, large, call):
    counts = []
    for seen in (FIRST_EVENT, FIRST_EVENT + OWN_COMMENTS // 2, FIRST_EVENT + OWN_COMMENTS - 50):
        sql = call.format(version=large.version, document=large.document, seen=seen)
        counts.append(await pages(world, large.team.reader, sql, tables=TABLES))
    assert alike(*counts), counts


@pytest.mark.parametrize(
    "call",
    [
        "list_reviews('{version}')",
        "list_reviews('{version}', 1)",
        "read_comment('{comment}')",
        "list_comments('{version}', 0, 1)",
        "list_document_comments('{document}', null, null, 0, 1)",
        "list_document_comments('{document}', 'v1', false, 0, 1)",
        "read_rules('{project}')",
    ],
)
async def test_a_read_costs_the_same_beside_many_reviews_and_comments(world, small, large, call):
    counts = [
        await pages(world, each.team.reader, said(call, each), tables=TABLES) for each in (small, large)
    ]
    assert alike(*counts), counts


@pytest.mark.parametrize(
    "call",
    [
        "create_comment('{version}', 'x', 'new', 1, 2, 'key')",
        "reply('{comment}', 'x')",
        "act_on_comment('{comment}', 'resolve')",
        "create_review('{version}', 'request_changes', 'because', 'key')",
    ],
)
async def test_a_write_costs_the_same_beside_many_reviews_and_comments(world, small, large, call):
    counts = [
        await pages_of_write(world, each.team.reviewer, said(call, each), tables=TABLES)
        for each in (small, large)
    ]
    assert alike(*counts), counts


async def test_a_rule_costs_what_it_asks_about(world, small, large):
    """Completing one session looks at its own documents; a tag on one version at that version."""
    for each in (small, large):
        rules = {"tags_need_approval": True, "completion_needs_approval": True}
        await world.rpc(each.team.owner, "set_rules", project=each.team.id, **rules)
    for call in (
        "update_session('{project}', 's', null, 'complete')",
        "create_tag('{project}', 'approved', '{version}')",
    ):
        counts = [
            await pages_of_write(world, each.team.editor, said(call, each), tables=TABLES)
            for each in (small, large)
        ]
        assert alike(*counts), (call, counts)


def said(call: str, place: Place) -> str:
    return call.format(
        version=place.version, document=place.document, comment=place.comment, project=place.team.id
    )

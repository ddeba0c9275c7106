"""`verso rollups`: an operator's check that analytics are what a recount gives, and the recount."""

from __future__ import annotations

import sys
from typing import NamedTuple

import rich_click as click

from app.cli.exits import Exit, json_option, telling
from app.errors import VersoError

_DB_URL = click.option(
    "--db-url",
    required=True,
    envvar="VERSO_DB_URL",
    metavar="URL",
    help="postgresql://postgres:…@host:5432/postgres, as the schema's owner; better: VERSO_DB_URL.",
)
_PROJECT = click.option("--project", "-p", metavar="P", help="Only this project, by slug or id.")
_PROJECTS = """
    select id::text, slug::text from public.projects
    where $1::text is null or id::text = $1 or slug::text = $1 order by id
"""


class Counted(NamedTuple):
    """A project, and how many rows of its rollups a recount took away or added."""

    project: str
    slug: str
    differing: int


@click.group(name="rollups")
def rollups() -> None:
    """Check or count anew what analytics are made of. For operators, with the database's own address.

    Each project takes no writes while it is counted.
    """


@rollups.command()
@_DB_URL
@_PROJECT
@json_option
def check(*, db_url: str, project: str | None, as_json: bool) -> None:
    """Compare every project's rollups with a recount, and change nothing: 1 when any differ."""
    with telling(as_json) as out:
        found = _counted(db_url, project, keep=False)
        wrong = [each for each in found if each.differing]
        out.tell(
            [each._asdict() for each in found],
            _list(wrong, "differ") or f"{len(found)} projects: what is kept is what a recount gives.",
        )
        if wrong:
            sys.exit(Exit.REFUSED)


@rollups.command()
@_DB_URL
@_PROJECT
@json_option
def rebuild(*, db_url: str, project: str | None, as_json: bool) -> None:
    """Count every project's rollups anew, one project after the other."""
    with telling(as_json) as out:
        found = _counted(db_url, project, keep=True)
        mended = _list([each for each in found if each.differing], "were mended")
        out.tell(
            [each._asdict() for each in found],
            "\n".join(filter(None, (mended, f"{len(found)} projects were counted anew."))),
        )


def _list(found: list[Counted], what: str) -> str:
    return "\n".join(f"{each.slug} ({each.project}): {each.differing} rows {what}" for each in found)


def _counted(db_url: str, project: str | None, *, keep: bool) -> list[Counted]:
    import asyncio

    try:
        import asyncpg
    except ImportError:
        raise VersoError(
            "bad_usage", "This needs a PostgreSQL driver: pip install '.[local]' in a checkout."
        ) from None
    try:
        return asyncio.run(_each(db_url, project, keep=keep))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise VersoError(
            "unreachable", f"The database can't be reached, or not as that user: {error}."
        ) from None


async def _each(db_url: str, project: str | None, *, keep: bool) -> list[Counted]:
    import asyncpg

    conn = await asyncpg.connect(db_url, statement_cache_size=0)
    try:
        found = []
        rows = await conn.fetch(_PROJECTS, project)
        if project is not None and not rows:
            raise VersoError("project_not_found", f"There is no project {project} in this database.")
        for row in rows:
            # What is only checked is undone: the recount was never there.
            transaction = conn.transaction()
            await transaction.start()
            differing = await conn.fetchval("select private.recount_rollups($1::text::uuid)", row["id"])
            await (transaction.commit() if keep else transaction.rollback())
            found.append(Counted(row["id"], row["slug"], differing))
        return found
    finally:
        await conn.close()

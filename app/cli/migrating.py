"""`verso migrate`: the schema that ships with Verso, applied to any Supabase database."""

from __future__ import annotations

import asyncio

from app.settings import data_directory


class MigrateError(Exception):
    """The schema couldn't be applied; the message says why and what to do."""


def apply_migrations(db_url: str) -> list[str]:
    """Apply what the database doesn't have yet; give the names of the applied files. Raises MigrateError."""
    try:
        import asyncpg

        from app.local.migrate import MigrationError, migrate
    except ImportError:
        raise MigrateError(
            "This needs a PostgreSQL driver: pip install '.[local]' in a checkout. Or apply the same files "
            "with the Supabase CLI: supabase --workdir storage_schema db push --db-url …"
        ) from None
    directory = data_directory("storage_schema") / "supabase" / "migrations"
    try:
        return asyncio.run(migrate(db_url, directory))
    except MigrationError as error:
        raise MigrateError(str(error)) from None
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrateError(
            f"The database can't be reached as that user: {error}. "
            "Check --db-url; a hosted project shows it under Connect."
        ) from None

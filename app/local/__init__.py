"""An embedded Supabase for laptops, tests and demos: real PostgreSQL and one small ASGI app.

What lives here: the launcher of PostgreSQL (`postgres`), what a hosted project has before any migration
(`bootstrap/`), the project's own migrations (`migrate`), the keys (`keys`), who is calling (`caller`), the
way into the database (`database`), and the servers that the official clients talk to (`auth/`, `rest/`,
`storage/`, `realtime/`), joined by `gateway`. `python -m app.local` runs it all.

What may not live here: anything of the service itself. The service can't tell this from a hosted project,
so nothing in here may know about documents or versions; only `app.cli` and the tests import this package.
Access is decided by the same row-level security as in production, never by Python.
"""

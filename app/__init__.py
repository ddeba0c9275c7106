"""Verso: document versioning on Supabase.

Every upload is an immutable object in Supabase Storage and a row in `versions`; a change is an atomic
set of versions, numbered and hash-chained per project. The map, from the outside in:

    main       create_app(settings): the only place that joins real things
    web        the pages: templates on the same use cases
    api        HTTP: parse, call a flow or the ledger, shape
    cli        the `verso` command
    client     on people's machines: HTTP to a server, a mirror of its history, working folders
    flows      use cases that are more than one call
    supabase   the only user of the `supabase` package: rows, objects, tokens
    text       pure: diffs, words, patches, merges, blame, and their bounds
    model      frozen structs and pure rules: paths, roles, hashes
    errors     VersoError: a code and a sentence
    settings   what the service can be told, read from the environment here only
    local      an embedded Supabase for laptops, tests and demos; knows nothing of the service

Imports point downwards, `make check` holds them (pyproject.toml, import contracts with their reasons).
The database is the authority: what matters is enforced in storage_schema/, and what is said here of
rights, numbers and hashes is said again there. docs/architecture.md is the ten-minute tour.
"""

"""Verso: document versioning on Supabase.

Every upload is an immutable object in Supabase Storage and a row in `versions`; a change is an atomic
set of versions, numbered and hash-chained per project. The map, from the outside in:

    cli          the `verso` command
    main         create_app(settings): the only place that joins real things
    web          the pages: templates on the same use cases
    api          HTTP: parse, call a flow or the ledger, shape
    client       on people's machines: HTTP to a server, a mirror of its history, working folders
    flows        use cases that are more than one call
    sources      what is imported, safely taken apart: folders, archives, Git histories; knows no server
    supabase     the only user of the `supabase` package: rows, objects, tokens
    git          Git histories taken apart, made, and served; knows no server
    webhooks     one message to an address of somebody's: signed, and never back inside
    text         pure: diffs, words, patches, merges, blame, and their bounds
    model        frozen structs and pure rules: paths, roles, hashes
    errors       VersoError: a code and a sentence
    settings     what the service can be told, read from the environment here only
    progress     how far long work is, for whoever shows it
    trailers     who else wrote a change, by its message
    media_types  what kind of content a name suggests
    apart        processes of ours that read strangers' bytes
    turns        turns at what takes long
    local        an embedded Supabase for laptops, tests and demos; knows nothing of the service

Imports point downwards, `make check` holds them (pyproject.toml, import contracts with their reasons).
The database is the authority: what matters is enforced in storage_schema/, and what is said here of
rights, numbers and hashes is said again there. docs/architecture.md is the ten-minute tour.
"""

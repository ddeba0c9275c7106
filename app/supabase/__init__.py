"""Everything that Verso asks of Supabase, and the only user of the `supabase` package.

    pool.py      the shared connections and one call: rpc(token, function, arguments)
    connections.py  what carries it, with errors that say what happened
    faults.py       Supabase's errors as VersoErrors
    ledger.py       rows: changes, versions, documents, projects, members, sessions, tags
    answers.py      what the SQL functions behind it answer
    reviews.py, invitations.py, agents.py, pipelines.py, analytics.py, erasures.py, webhooks.py, audit.py
                    the rows of these, one method a use case
    imports.py, mirroring.py   history in and out in bulk
    insights.py     what is derived from the bytes: blame, search
    glances.py      what a page shows, in one round trip
    blobs.py        objects: put bytes in, prove what is stored, get verified bytes out
    intake.py, upload.py       bytes as they arrive, and while they wait
    spool.py        where they wait on disk, and what a killed process left there
    cache.py        verified bytes on local disk, bounded
    own_directory.py   a temporary one of a process's own, and what killed ones left
    feed.py         events: pages after a number; who is present
    live.py         hints that something happened, over Realtime
    identity.py     access tokens: who is calling
    old_tokens.py   tokens of an older system, for a while
    auth.py         pages' sign-in: codes, passwords, refresh tokens
    accounts.py     accounts by Auth's admin API: the one user of the secret key, where there is one

Every call carries the caller's own token, so row-level security decides; there is no other right to
act with, but for making and closing agents' accounts. Nothing here knows HTTP towards Verso's own callers.
"""

"""Everything that Verso asks of Supabase, and the only user of the `supabase` package.

    pool.py      the shared connections and one call: rpc(token, function, arguments)
    ledger.py    rows: changes, versions, documents, projects, members, sessions, tags
    blobs.py     objects: put bytes in, prove what is stored, get verified bytes out
    cache.py     verified bytes on local disk, bounded
    feed.py      events: pages after a number
    live.py      hints that something happened, over Realtime
    identity.py  access tokens: who is calling
    accounts.py  accounts by Auth's admin API: the one user of the secret key, where there is one
    faults.py    Supabase's errors as VersoErrors

Every call carries the caller's own token, so row-level security decides; there is no other right to
act with, but for making and closing agents' accounts. Nothing here knows HTTP towards Verso's own callers.
"""

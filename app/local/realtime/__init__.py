"""The embedded Realtime server: channels, broadcasts and presence over websockets, as on a hosted project.

    socket       one websocket: its frames, its channels, its limits
    channel      one joined channel: what may be said on it, and what is told
    joining      the answer to a join
    frames       both serialisations: objects (vsn 1.0.0), arrays and binary broadcasts (vsn 2.0.0)
    hub          who listens to which topic, and delivery to all of them
    presence     who is tracked on a topic
    policies     what a token may do on a private topic, asked of PostgreSQL's own policies
    tokens       whose token it is, and the sentence when it's none
    database     broadcasts from the database: rows of realtime.messages, told by NOTIFY; they're kept 3 days
    over_http    broadcasts by POST
    limits       how much is allowed

Postgres Changes are answered as unsupported (they need logical replication), and replay isn't there either.
The sentences and codes are those of the server's 2026 sources; a refused join is answered at once, where a
hosted server waits five seconds first.
"""

from __future__ import annotations

from app.local.realtime.limits import Limits
from app.local.realtime.service import Realtime

__all__ = ["Limits", "Realtime"]

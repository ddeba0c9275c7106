"""HTTP: one file a resource, each handler in three steps: parse, call a flow or the ledger, shape.

problems.py     the one table from error code to status, and every error's shape (RFC 9457)
services.py     what handlers work with, and who is calling
conditions.py   ETag, If-Match, If-None-Match (RFC 9110)
digests.py      Content-Digest and Repr-Digest (RFC 9530)
ranges.py       Range and If-Range (RFC 9110)
links.py        Link relations (RFC 8288, RFC 5829) and cursors
bodies.py       raw, multipart and JSON bodies in, with their limits
content.py      a version's bytes out
media_types.py  what kind of content a name suggests
rates.py        how often is too often; whose address a request comes from
limiting.py     429 for accounts and addresses, before any other work
observing.py    request ids, one log line a request, metrics, headers that every answer has
logs.py         JSON lines
openapi.py      the OpenAPI document; described.py and examples.py say what signatures don't
reference.py    its page at /schema

cookies.py, same_site.py, page_session.py   pages' sessions, and against forged requests
bridging.py     tokens of an older system
witness.py      what is noted for the audit trail
paging.py       limit and cursor
spreadsheets.py CSV
leaving.py      work that ends when its client goes; stopping.py: when the server does

One file a resource: projects.py (with members) people.py sessions.py files.py changes.py documents.py
tags.py history.py patches.py blame.py reviews.py … operations.py; writing.py is what every write shares.
"""

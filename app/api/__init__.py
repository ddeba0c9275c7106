"""HTTP: one file a resource, each handler in three steps: parse, call a flow or the ledger, shape.

A request, from outside in:
    observing      request ids, a log line each, metrics, headers that every answer has; logs: JSON lines
    limiting       429 for accounts and addresses, before any other work; rates: how often is too often
    arriving       bodies on their way in: none stands still, none differs from its digest
    services       what handlers work with, and who is calling
    page_session   pages' sessions by their cookies; same_site: against forged requests
    bridging       tokens of an older system
    problems       the one table from error code to status, and every error's shape (RFC 9457)
    wrong_values   what is wrong with a value, by the name that its sender knows
    witness        what is noted for the audit trail

What handlers share:
    bodies         raw and JSON bodies in, with their limits; multipart: a change's parts; parts: any form's
    writing        what every write has in common
    conditions     ETag, If-Match, If-None-Match (RFC 9110)
    digests        Content-Digest and Repr-Digest (RFC 9530)
    ranges         Range and If-Range (RFC 9110)
    accepting      which form a client wants (RFC 9110)
    paging         limit and cursor
    links          Link relations (RFC 8288, RFC 5829), cursors, pages of lists
    content        a version's bytes out
    diff_forms     differences as a patch, JSON or HTML
    spreadsheets   CSV; gauges: Prometheus' text
    media_types    what kind of content a writer says, or a name suggests
    leaving        work that ends when its client goes; stopping: when the server does
    cookies        the cookies of pages; pages: the small pages of signing in

The document of it all:
    openapi        the OpenAPI document; described, examples and samples say what signatures don't
    reference      its page at /schema

Everything else is a resource, under the name that its address has (`auth` and its neighbours: /auth/…), or of
what is done at it: `history` (diff, archive, restore), `patches`, `memento` (times), `mirroring` (in bulk).
"""

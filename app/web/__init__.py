"""The pages: server-rendered HTML on the same use cases as the API, for people who never open a terminal.

    router     the one list of the pages' routes, joined into the service by `app.main`
    visiting   who looks at a page: cookies in, a `Visitor` out; forms say their token
    rendering  templates and facts in, a compressed answer with the pages' policy out
    assets     the static files, at addresses that change with their content
    recent     who somebody is, for the head of each page, remembered for some seconds
    notices    one sentence that a page leaves for the next one
    faults     refusals as pages; 401 leads to the sign-in
    shown      times, sizes, names and addresses as people read them
    acts       what an entry of the audit trail says, in words

One module a family of pages (`projects`, `overview`, `documents`, `history`, …), with its templates in
templates/<family>/ and its tests in tests/web/test_<family>.py; docs/pages.md says how to add one. Pages
call flows and the ledger like the API's handlers do, and never this service over HTTP. Everything works
without scripts: a form is posted, and answered with 303. Nothing is inline, so the policy needs no exception.
"""

"""Git histories: `read` takes one apart into changes, `write` makes one out of changes.

pygit2 does the work on repositories. Nothing here knows HTTP, accounts or a server: what is read is given to
a caller, and what is written comes from one.
"""

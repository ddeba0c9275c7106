"""What people's and agents' machines do: talk to the API, mirror a project's history, keep a folder in step.

    api          HTTP to a Verso server: JSON, streams, uploads; retries; refusals as VersoError
    multipart    many files in one request, with flat memory
    bulk         many contents in one request
    place        the working folder: where it is, which project and server it belongs to, whose token
    mirror       the project's history on this machine: changes, versions, tags; every hash checked
    worktree     the folder's files: scanned with a stat cache, ignored, read, written without losing any
    glance       what the last look said, as long as nothing has changed since
    contents     the mirror's bytes by their SHA-256
    pull, push   history into the folder, and the folder's edits into history
    follow       a folder that is kept in step by itself

Nothing here knows click or prints; `app.cli` does. Nothing here imports the server's side (`app.api`,
`app.flows`, `app.supabase`): what both sides share is the domain (`app.model`, `app.text`, `app.errors`).
The rule that everything obeys: what a person has written on this machine and the server hasn't accepted yet
is never overwritten and never deleted; what stands in the way of it goes beside it, or waits.
"""

"""What people's and agents' machines do: talk to the API, mirror a project's history, keep a folder in step.

    api          HTTP to a Verso server: JSON, streams, uploads; retries; refusals as VersoError
    multipart    many files in one request, with flat memory
    bulk         many contents in one request
    events       what happens in a project, as its server tells it

    login, auth, credentials, vault   signing in, and where a sign-in is kept

    place        the working folder: where it is, which project and server it belongs to, whose token
    folder       it with all that belongs to it, opened together
    store        SQLite files that survive a kill, and the lock of a folder
    mirror       the project's history on this machine: changes, versions, tags
    history      the mirror filled from a server, every hash computed again
    contents     the mirror's bytes by their SHA-256
    work         what each file was made from, and what is under way
    scan         the folder's files with their hashes, by a stat cache
    glance       what the last look said, as long as nothing has changed since
    edits        what was done to the files since: adds, edits, moves, deletes
    names        which names are the same here, and what theirs is called beside yours
    meeting      how history and edits meet: a plan
    applying     the plan done, so that a kill loses nothing
    pull, push   history into the folder, and the folder's edits into history
    pending      a push whose answer isn't known yet
    hand_edits   moves, removals, old versions, decisions: what a person does by a command
    follow       a folder that is kept in step by itself
    looking      the log, differences, blame: from the mirror alone
    stages       marks that a document still has

    import_folder, idse                 folders and archives as changes of what differs, trees of IDSE
    import_git                          histories of Git
    export_folder, export_git, bundle   all of it out again

Nothing here knows click or prints; `app.cli` does. Nothing here imports the server's side (`app.api`,
`app.flows`, `app.supabase`), nor that side anything of this: what both share is below them (`app.model`,
`app.text`, `app.git`, `app.sources`).
The rule that everything obeys: what a person has written on this machine and the server hasn't accepted yet
is never overwritten and never deleted; what stands in the way of it goes beside it, or waits.
"""

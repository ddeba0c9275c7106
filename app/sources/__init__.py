"""What a project is imported from, safely taken apart: folders, archives, histories of Git.

    filters    what an import takes and what it leaves out, the same for every source
    names      which documents may be files, and where links may lead
    listing    what a source of files is, and the limits that hold for each
    folder     a folder on this machine
    archive    zip and tar
    opening    whatever is at a path as a source
    git        a history into a project, whoever carries it there

Nothing here knows HTTP, accounts or a server: the client on somebody's machine asks a service to make changes
of what is read here, and so do the pages of the service itself.
"""

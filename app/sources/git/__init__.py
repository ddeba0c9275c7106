"""A Git history into a project: read here (`app.git.read`), sent in batches, proven in the end.

    target     what is asked of the project, whoever carries that there
    wire       planned commits as a project takes them
    batches    planned commits gathered to batches, read ahead in a thread while one is on its way
    past       what the project holds already, for a run that goes on
    tags       Git's tags as the project's
    proof      the history read back, and Git's tree ids computed again from it
    report     what was done, what was left out, what was proven
    run        all of it together
    frames     what a process that reads a stranger's bundle and the one that started it say to each other
    worker     that process: bounded, and without a token

A run that was ended anywhere is gone on with by running it again: where it stands is what the project says.
"""

"""IDSE layouts: pipelines that lived in folders become projects and sessions.

    layout    which path belongs to which project and session, in each layout that there was
    metadata  session_state.json, .owner, .collaborators, read with patience
    stages    what session_state.json says of the stages, reported
    run       projects, people, sessions, documents, then stages, in that order

docs/import.md says which layouts and fields are read.
"""

"""Use cases that are more than one call: one a file, one async function each. No HTTP here.

    add_change.py    check → take the bytes in → store the blobs → commit
    read_content.py  a version's verified bytes
    compare.py       the difference between two versions
    follow_events.py events as they happen, read once for all who follow; subscribe.py: one of them
    afterwards.py    work that no request waits for: upkeep.py derives, keep_trail.py says what was done
    side_by_side.py  several at once, and nobody works on when one has failed

A use case that is one round trip has no flow: its handler calls the ledger.
"""

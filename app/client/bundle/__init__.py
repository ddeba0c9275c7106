"""Bundles: everything of a project in one file that anyone can check, and that can be put back elsewhere.

    container   the file's form: a tar of which every byte is determined by what it holds
    parts       which rows there are, and how a row becomes a line
    export      a project out of its API into a file
    history     the chain: every version's and change's hash, parents, order, tree
    references  what names what: every version, event and person that is named is there
    verify      a whole file, checked without trusting anyone
    live        a project where it is, checked in the same way
    restore     a file into a Supabase
    operator    that Supabase under its secret key, for one run

docs/bundle.md tells the format.
"""

"""Bundles: everything of a project in one file that anyone can check, and that can be put back elsewhere.

    container   the file's form: a tar of which every byte is determined by what it holds
    parts       which rows there are, and how a row becomes a line
    export      a project out of its API into a file
    history     the chain: every version's and change's hash, parents, order, tree
    verify      a whole file, or a live project, checked without trusting anyone
    restore     a file into a Supabase, by an operator

docs/bundle.md tells the format.
"""

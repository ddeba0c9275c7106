"""History written as Git objects: one commit a change, the same ones for the same history, always.

    names       paths and tags that Git would refuse, under names that it takes
    commits     a change as the bytes of a commit: as it came, or with what Git can't say in a header
    trees       the tree before, and what changed in it: the tree after
    state       what a copy remembers of the history that it was made from, so that it can be continued
    copy        a bare repository that is brought up to date change by change
    tags        tags as refs and tag objects

Whoever calls brings changes in their order (whole, as `…/history` gives them) and the contents that
`GitCopy.missing` names. An imported change whose tree and parents come out as they were is written with the
very bytes of its origin, so its commit has the very same id.
"""

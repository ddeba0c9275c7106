"""A Git history, read as a line of changes.

    objects      raw commits, trees and tags taken apart as they are, whatever their encoding
    notes        what Verso itself says of a commit that it wrote
    names        Git's names as Verso's paths
    trees        trees as an import takes them: filtered, named, compared with one another
    contents     blobs: their SHA-256, and whether they must stay out
    order        commits in one line, and dates that never go back
    renames      which added path continues which removed one
    identities   which document each path is, commit by commit
    assigning    which document a path becomes in a commit
    planning     one commit as the items of one change
    people       authors mapped to accounts
    deltas       the objects of a pack as they are stored, within limits
    indexing     a pack gone through, and its index
    bundle       a bundle file as a repository
    repository   where the history is: a path, a URL, a branch, its tags
    history      all of it together: an iterator of planned commits
    proof        the tree ids that a history must give, computed again from what a server says it holds

The rule that everything serves: after the change of commit C, the project's tree is C's tree, as filtered.
"""

"""Texts: comparing, merging and attributing them. Pure functions on bytes, with no I/O and no idea of HTTP.

Only the byte 0x0A ends a line, everywhere in here.

======================  ====================================================================================
`lines`                 lines, and the edits between two texts (xdiff over ids); what white space to ignore
`unified`               `unified_diff`: a patch that git and GNU patch apply, byte for byte
`hunks`                 `diff_hunks`: the same as data, with changed words and a summary
`html`                  `diff_page`: that data as a page of HTML which stands alone
`markdown`              Markdown as HTML that can do nothing
`words`, `similarity`   what the hunks say about changed words, moved blocks and likeness
`patch`, `patch_scan`   `parse_patch` and `apply_patch`: untrusted patches, screened, applied strictly
`merge`                 `merge`: three ways, structured conflicts, markers
`restore`               `restore_lines`: a section of an old version back into a newer text
`blame`                 `attribute`: who wrote each line, from the versions that a text was made from
`lineage`               the same along many versions, in numbers as the database keeps it
`follow`                where lines of one text are in another, for comments
`ends`                  what two texts have in common at both ends
`errors`                what these raise
`bounded`               `TextWorkers`: each of the above as a coroutine, in bounded time whatever the input
`tasks`, `worker`       what can be asked of these, and the process that does it
`pool`                  such processes, kept warm
======================  ====================================================================================

A caller that serves requests uses `TextWorkers` and nothing else; the functions are for what is known to be
small, and for tests.

Texts come from strangers. Their line hashes cannot be forged, no library reads freed memory (`lines`), no
regular expression sees what it cannot finish (`patch_scan`), nothing computes without a deadline (`bounded`).
"""

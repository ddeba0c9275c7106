"""A section of an old version back into the newest one, as a merge of the two.

The new version's parent is the head, and its `merged_from` the old version that the lines come from: not
`restored_from`, which says that the whole content is that version's. Blame finds the lines' first writer
through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import VersoError
from app.flows.add_change import Item
from app.flows.merge import check_base, conflict, merge_impossible, merged_of, read_both, text_of
from app.flows.side_by_side import side_by_side
from app.supabase.upload import Upload
from app.text.errors import TookTooLongError
from app.text.merge import Labels
from app.text.unified import is_binary

if TYPE_CHECKING:
    from app.flows.merge import Merging


async def restore_section(
    merging: Merging, *, document: str, base: str, version: str, lines: tuple[int, int]
) -> Item:
    """The item that brings lines of an old version (first and last, from 1) back into the version `base`.

    Raises VersoError: `merge_conflict` where the section's edge was rewritten since, `bad_value` for lines
    that the old version doesn't have, `merge_impossible` for texts that are too large.
    """
    head, old = await read_both(merging, document=document, versions=(base, version))
    here, there = await side_by_side(lambda read: text_of(merging, read), [head, old])
    check_base(head, base)
    labels = Labels(yours=f"version {old.version.number}", base="", theirs=f"version {head.version.number}")
    if is_binary(here) or is_binary(there):
        raise merge_impossible(merging.limit)
    try:
        result = await merging.workers.restore_lines(
            here, there, first=lines[0], last=lines[1], labels=labels
        )
    except ValueError as error:
        raise VersoError("bad_value", str(error)) from None
    except TookTooLongError:
        raise merge_impossible(merging.limit) from None
    if not result.clean:
        raise conflict([merged_of(result, base=old.version, head=head.version)])
    return Item(
        document=document,
        base=head.version.hash,
        merged_from=None if old.version.hash == head.version.hash else old.version.hash,
        media_type=head.version.media_type,
        upload=Upload.of(result.text),
    )

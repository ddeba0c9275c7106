"""Somebody else was faster: base, theirs and yours, a merged proposal, and a choice at every conflict.

Nothing is stored before it is decided, and nothing typed is lost: each page has the whole text in its form.
What is saved names both: its parent is theirs, and it was merged from the version that yours began with.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.writing import merging_with
from app.errors import VersoError
from app.flows.merge import Merged, merge_versions
from app.model import Project, VersionRead
from app.text.merge import Choice, Style, decide
from app.web import notices
from app.web.addresses import path_after
from app.web.forms import PageForm
from app.web.rendering import Crumb, render
from app.web.shown import in_url
from app.web.typed import Typed, save
from app.web.uploading import go_on
from app.web.visiting import Sender, Visitor

MOST_CHOICES = 20
"""Conflicts that are decided one by one; more are for the text field."""
_NOT_MERGED = frozenset({"merge_impossible", "version_not_found", "document_deleted"})
_GONE = frozenset({"document_deleted", "document_moved", "document_not_found"})
_MARKERS = ("<<<<<<< ", ">>>>>>> ")


async def conflict_page(
    visitor: Visitor, *, here: Project, typed: Typed, written: str | None = None, sentence: str = ""
) -> Response[Any] | None:
    """What was typed beside what is there now; None where they can't be merged.

    `written` is a text that was written by hand and can't be saved as it is, for the reason in `sentence`.
    """
    try:
        newer = await visitor.services.ledger.read_file(visitor.token, project=here.id, path=typed.path)
        merged = await _merge(visitor, newer, typed)
    except VersoError as error:
        if error.code not in _GONE | _NOT_MERGED:
            raise
        return None
    if merged.lossy:
        return None  # a text field would not give these bytes back
    plain = merged.text.replace("\r\n", "\n") if typed.ends == "crlf" else merged.text
    return await render(
        visitor,
        "documents/conflict.html",
        title="Somebody was faster",
        crumbs=[Crumb(typed.path, f"/files/{in_url(typed.path)}"), Crumb("Conflict")],
        project=here,
        typed=typed,
        newer=newer,
        merged=merged,
        written=plain if written is None else written,
        by_hand=written is not None or len(merged.conflicts) > MOST_CHOICES,
        choosing=0 < len(merged.conflicts) <= MOST_CHOICES,
        sentence=sentence,
        status=409,
    )


@post("/p/{project:str}/resolve/{path:path}", status_code=303)
async def resolve_conflict(
    request: Request[Any, Any, Any], sender: NamedDependency[Sender], project: FromPath[str]
) -> Response[Any]:
    """Save what was decided: by choices (`choice-0` and on), or as it was written by hand (`written`)."""
    path = path_after(request, "resolve")
    with PageForm(sender) as form:
        visitor = await form.read()
    fields = form.fields
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    yours = Typed.sent(fields, path)
    decided = msgspec.structs.replace(yours, base=fields.get("head", ""))
    if fields.get("by") == "hand":
        decided = msgspec.structs.replace(decided, text=fields.get("written", ""))
        if any(line.startswith(_MARKERS) for line in decided.text.split("\n")):
            sentence = "Markers of conflicts are still in the text. Decide those places and take them out."
            return await _again(visitor, here, yours, written=decided.text, sentence=sentence)
    else:
        head = await visitor.services.ledger.read_file(
            visitor.token, project=here.id, path=path, at=decided.base
        )
        merged = await _merge(visitor, head, yours)
        choices = [fields.get(f"choice-{index}", "") for index in range(len(merged.conflicts))]
        if not set(choices) <= {each.value for each in Choice}:
            sentence = "Choose yours, theirs or both at every place."
            return await _again(visitor, here, yours, written=None, sentence=sentence)
        text = decide(merged.text, merged.conflicts, [Choice(each) for each in choices])
        decided = msgspec.structs.replace(decided, text=text)
    try:
        merged_from = yours.base if yours.base != decided.base else None
        change = await save(visitor, here=here, typed=decided, merged_from=merged_from)
    except VersoError as error:
        if error.code != "stale_base":
            raise
        # Once more somebody was faster: what was decided meets what is there now.
        return await _again(visitor, here, decided, written=None, sentence="")
    home = await visitor.home(here)
    shown, left = path, notices.leave("unchanged")
    if change is not None:
        shown, left = change.versions[0].path, notices.leave("merged", change=change.sequence)
    return go_on(visitor.request, f"{home}/files/{in_url(shown)}", [left])


async def _merge(visitor: Visitor, head: VersionRead, yours: Typed) -> Merged:
    merged, _ = await merge_versions(
        merging_with(visitor.services, visitor.actor),
        document=head.version.document,
        base=yours.base,
        yours=yours.content(),
        style=Style.MERGE,
        head=head.version.hash,
    )
    return merged


async def _again(
    visitor: Visitor, here: Project, typed: Typed, *, written: str | None, sentence: str
) -> Response[Any]:
    page = await conflict_page(visitor, here=here, typed=typed, written=written, sentence=sentence)
    if page is None:
        raise VersoError(
            "merge_impossible",
            "The document was moved, deleted or made anew meanwhile, so your text can't be merged with it. "
            "Go back, copy your text, and save it as a new document.",
        )
    return page

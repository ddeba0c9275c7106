"""What somebody typed into a form, and writing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from app.api.writing import write_change
from app.errors import VersoError
from app.flows.add_change import Item
from app.media_types import suggested_media_type
from app.model import normal_path
from app.supabase.upload import Upload
from app.web import messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.model import Change, Project
    from app.web.visiting import Visitor

MAX_EDITED = 1 << 20
"""The most bytes of a document that is edited in a text field: beyond, browsers get slow."""


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """What the form holds. `base` is the version's hash that the text was made from; empty for a new one."""

    path: str
    text: str
    base: str = ""
    message: str = ""
    ends: Literal["lf", "crlf"] = "lf"

    @classmethod
    def sent(cls, fields: Mapping[str, str], path: str | None) -> Typed:
        """What a form was sent with, of the document at a path; of a new one (None) the path is a field."""
        return cls(
            path=fields.get("path", "") if path is None else path,
            text=fields.get("text", ""),
            base="" if path is None else fields.get("base", ""),
            message=fields.get("message", ""),
            ends="crlf" if fields.get("ends") == "crlf" else "lf",
        )

    def content(self) -> bytes:
        """The text's bytes, with the line ends of the document."""
        text = self.text.replace("\r\n", "\n").replace("\r", "\n")
        return (text.replace("\n", "\r\n") if self.ends == "crlf" else text).encode()


async def save(
    visitor: Visitor,
    *,
    here: Project,
    typed: Typed,
    merge: str | None = None,
    merged_from: str | None = None,
) -> Change | None:
    """Write what was typed; None when it is there already. Raises VersoError: `stale_base` and others.

    `merged_from` is the version that the text was made from at first, before it met the one that is its base.
    """
    path = normal_path(typed.path.strip())
    content = typed.content()
    if len(content) > 2 * MAX_EDITED:
        raise VersoError("too_large", "This is too long for a text field. Upload it as a file.")
    item = Item(
        path=path,
        base=typed.base or None,
        merged_from=merged_from,
        create=not typed.base,
        media_type=suggested_media_type(path),
        upload=Upload.of(content),
    )
    return await write_change(
        visitor.services,
        actor=visitor.actor,
        project=here.id,
        items=[item],
        message=messages.message_of(
            visitor, typed.message, proposed=messages.saved(path, is_new=not typed.base)
        ),
        key=None,
        merge="auto" if merge else None,
    )

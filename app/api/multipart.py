"""A change as multipart/form-data (RFC 7578), parsed as it streams in.

Parts:
    change    JSON like a JSON change's body; put it first, so that a stale base is told early
    message   text; in place of the JSON's
    anything  with a filename: a file. It is the content of the item whose `part` is the part's name, else
              of the item whose `path` is the filename, else a new document at the path <filename>
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from app.api.bodies import ChangeBody, ChangeItem, check_message, decode_json, item_of
from app.api.digests import check_digest, claimed_sha256
from app.api.parts import Part, Parts
from app.errors import VersoError
from app.model import normal_path
from app.supabase.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar import Request

    from app.flows.add_change import Item
    from app.settings import Settings


class _File(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    filename: str
    media_type: str | None
    upload: Upload


class Form(Parts):
    """Takes a multipart body in.

    `check` is called once, with the items known by then, before the first file's bytes are taken in.
    """

    def __init__(self, settings: Settings, check: Callable[[list[Item]], Awaitable[None]] | None) -> None:
        super().__init__(settings)
        self._check = check
        self._body = ChangeBody()
        self._message: str | None = None
        self._files: list[_File] = []
        self._seen: set[str] = set()

    async def read(self, request: Request[Any, Any, Any]) -> tuple[str, list[Item]]:
        """The message and the items of a body; their uploads are the caller's. Raises VersoError."""
        try:
            await self.take(request)
            return self._told(), self._items()
        except BaseException:
            self.close()
            for file in self._files:
                file.upload.discard()
            raise

    async def begin(self, part: Part) -> None:
        """Before the first file, look at the message and ask whether the items may be written."""
        if part.filename is None:
            return
        if len(self._files) >= self._settings.max_files_per_change:
            raise too_many(self._settings.max_files_per_change)
        if self._check is not None:
            check, self._check = self._check, None
            check_message(self._told(), self._settings)
            await check([item_of(item, pending=_awaits_file(item)) for item in self._body.items])

    async def end(self, part: Part, upload: Upload) -> None:
        """Keep a file, or read what the change says."""
        if part.filename is not None:
            self._files.append(
                _File(name=part.name, filename=part.filename, media_type=part.media_type, upload=upload)
            )
            check_digest(claimed_sha256(part.headers), upload.sha256)
        elif part.name in self._seen:
            raise VersoError("bad_multipart", f"There are two parts {part.name}. Send one.")
        elif part.name == "change":
            self._seen.add(part.name)
            self._body = decode_json(upload.data or b"", ChangeBody)
        elif part.name == "message":
            self._seen.add(part.name)
            try:
                self._message = (upload.data or b"").decode()
            except UnicodeDecodeError:
                raise VersoError("bad_multipart", "The message is not UTF-8.") from None
        else:
            raise VersoError(
                "bad_multipart",
                f"The part {part.name[:100]!r} is neither change, message nor a file with a filename.",
            )

    def _told(self) -> str:
        return self._body.message if self._message is None else self._message

    def _items(self) -> list[Item]:
        by_part = {item.part: item for item in self._body.items if item.part is not None}
        by_path = {
            normal_path(item.path): item
            for item in self._body.items
            if item.path is not None and item.part is None
        }
        content: dict[int, _File] = {}
        new: list[Item] = []
        for file in self._files:
            item = by_part.get(file.name) or by_path.get(normal_path(file.filename))
            if item is None:
                item = ChangeItem(path=file.filename)
                new.append(item_of(item, upload=file.upload, kind=file.media_type))
            elif id(item) in content:
                raise VersoError("bad_multipart", "Two files are content of one item.", path=item.path)
            else:
                content[id(item)] = file
        items: list[Item] = []
        for item in self._body.items:
            file_of = content.get(id(item))
            if file_of is not None:
                items.append(item_of(item, upload=file_of.upload, kind=file_of.media_type))
            elif item.part is not None:
                raise VersoError(
                    "bad_multipart", f"There is no file part {item.part[:100]!r}.", path=item.path
                )
            else:
                items.append(item_of(item))
        return items + new


def _awaits_file(item: ChangeItem) -> bool:
    """Whether a file may still come for an item: the check before its bytes must not miss its content."""
    if item.part is not None:
        return True
    other = (item.text, item.base64, item.restore, item.document, item.from_path)
    return item.path is not None and not item.delete and all(each is None for each in other)


def too_many(limit: int) -> VersoError:
    """The refusal of a change with too many items."""
    return VersoError(
        "too_many_files",
        f"A change has at most {limit:,} files. Send the rest as further changes.",
        limit=limit,
    )

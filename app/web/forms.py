"""A page's multipart form, taken in as it streams: fields, and files that may be large.

The token must stand before the first file (in pages it is the form's first field): nobody's bytes are taken
in before it is known whose they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.api.multipart import too_many
from app.api.parts import Part, Parts
from app.errors import VersoError
from app.web.visiting import FIELD, Sender, Visitor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from app.supabase.upload import Upload

MOST_FIELDS = 30


class File(msgspec.Struct, frozen=True):
    """A file of a form: its name as the browser says it (with folders, where a folder was chosen)."""

    name: str
    media_type: str | None
    upload: Upload


class PageForm(Parts):
    """Takes a form in. Use it as a context manager: at its end the files that were taken in are removed.

    `check` is called once, before the first file's bytes are taken in: with who sends it, and its name.
    """

    def __init__(
        self, sender: Sender, check: Callable[[Visitor, str], Awaitable[None]] | None = None
    ) -> None:
        super().__init__(sender.services.settings)
        self._sender = sender
        self._check = check
        self._visitor: Visitor | None = None
        self._begun = 0
        self.fields: dict[str, str] = {}
        sender.request.state.typed = self.fields  # shown again should it be refused (faults.py)
        self.files: list[File] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for file in self.files:
            file.upload.discard()

    async def read(self) -> Visitor:
        """Take the whole body in; return who sent it, with its fields. Raises VersoError."""
        if "multipart/form-data" not in self._sender.request.headers.get("content-type", ""):
            raise VersoError("bad_multipart", "This form is sent as multipart/form-data.")
        await self.take(self._sender.request)
        return msgspec.structs.replace(await self._proven(), form=self.fields)

    async def begin(self, part: Part) -> None:
        """Before a file's bytes, know whose they are. Before a field's, that there aren't too many."""
        if part.filename is None:
            self._begun += 1
            if self._begun > MOST_FIELDS:
                raise VersoError("bad_multipart", "The form has too many fields.")
            return
        if len(self.files) >= self._settings.max_files_per_change:
            raise too_many(self._settings.max_files_per_change)
        visitor = await self._proven()
        if self._check is not None and part.filename:
            check, self._check = self._check, None
            await check(visitor, part.filename)

    async def end(self, part: Part, upload: Upload) -> None:
        """Keep a file or a field. A file without a name is a file field that nobody filled in."""
        if part.filename is None:
            try:
                self.fields[part.name] = (upload.data or b"").decode()
            except UnicodeDecodeError:
                raise VersoError("bad_multipart", "A field of the form is not UTF-8.") from None
        elif part.filename:
            self.files.append(File(part.filename, part.media_type, upload))
        else:
            upload.discard()

    async def _proven(self) -> Visitor:
        if self._visitor is None:
            self._visitor = await self._sender.prove(self.fields.get(FIELD))
        return self._visitor

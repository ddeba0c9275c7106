"""Many parts in bounded memory: what comes after enough small files waits on the disk."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from app.api import parts
from app.api.parts import Part, Parts
from app.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from app.supabase.upload import Upload

NUMBER, SIZE = 20, 100


class Kept(Parts):
    """Keeps every upload."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.uploads: list[Upload] = []

    async def begin(self, part: Part) -> None: ...

    async def end(self, part: Part, upload: Upload) -> None:  # noqa: ARG002 - the names are the base's
        self.uploads.append(upload)


def form() -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="f{n}"; filename="f"\r\n\r\n{n % 10}'.encode()
        + b"x" * (SIZE - 1)
        for n in range(NUMBER)
    ]
    return b"\r\n".join(parts) + b"\r\n--b--\r\n"


def test_small_files_wait_in_memory_only_until_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_IN_MEMORY", 5 * SIZE)

    async def stream() -> AsyncIterator[bytes]:
        yield form()

    request: Any = SimpleNamespace(headers={"content-type": "multipart/form-data; boundary=b"}, stream=stream)
    settings = Settings(supabase_url="http://x", supabase_publishable_key="x", spool_dir=tmp_path)
    kept = Kept(settings)
    asyncio.run(kept.take(request))
    assert [upload.data is not None for upload in kept.uploads] == [True] * 5 + [False] * (NUMBER - 5)
    assert len(list(tmp_path.iterdir())) == NUMBER - 5
    assert [upload.read() for upload in kept.uploads] == [
        f"{n % 10}".encode() + b"x" * (SIZE - 1) for n in range(NUMBER)
    ]
    for upload in kept.uploads:
        upload.discard()
    assert not list(tmp_path.iterdir())

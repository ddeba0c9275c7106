"""Archives taken apart: in bounded memory, with nothing left behind, and whatever their bytes are."""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import tarfile
import threading
import time
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import VersoError
from app.settings import Settings
from app.supabase.upload import Upload
from app.web.unpacking import MOST_IN_MEMORY, GivenUpError, _taken, unpack, unpacked

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    spool = tmp_path / "spool"
    spool.mkdir()
    return Settings(supabase_url="http://127.0.0.1:1", supabase_publishable_key="k", spool_dir=spool)


def zip_of(files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def tar_of(files: dict[str, bytes], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


FILES = {"a.md": b"# A\n" * 40, "folder/b.md": b"b" * 300_000, "é/" + "long" * 60: b"c", "empty": b""}


@pytest.mark.parametrize("kind", ["zip", "stored zip", "tar", "tar.gz", "gnu tar"])
def test_what_was_packed_comes_out(settings: Settings, kind: str) -> None:
    packed = {
        "zip": lambda: zip_of(FILES),
        "stored zip": lambda: zip_of(FILES, method=zipfile.ZIP_STORED),
        "tar": lambda: tar_of(FILES),
        "tar.gz": lambda: gzip.compress(tar_of(FILES)),
        "gnu tar": lambda: tar_of(FILES, form=tarfile.GNU_FORMAT),
    }[kind]()
    archive = unpack(Upload.of(packed), settings, strip=0)
    assert {each.path: each.upload.read() for each in archive.files} == FILES
    again = {each.path: Upload.of(FILES[each.path]) for each in archive.files}
    for each in archive.files:
        assert (each.upload.sha256, each.upload.md5) == (again[each.path].sha256, again[each.path].md5)
    archive.close()
    assert settings.spool_dir is not None
    assert list(settings.spool_dir.iterdir()) == []


def test_a_refusal_leaves_nothing_behind(settings: Settings) -> None:
    large = random.Random(1).randbytes(MIB)
    for packed in (zip_of({"large": large, "/out": b""}), tar_of({"large": large, "../out": b""})):
        with pytest.raises(VersoError) as refused:
            unpack(Upload.of(packed), settings, strip=0)
        assert refused.value.code == "archive_refused"
    damaged = gzip.compress(tar_of({"large": large, "other": large}))[: MIB + 5000]
    with pytest.raises(VersoError) as refused:
        unpack(Upload.of(damaged), settings, strip=0)
    assert refused.value.code == "source_unreadable"
    assert settings.spool_dir is not None
    assert list(settings.spool_dir.iterdir()) == []


def test_many_and_large_files_take_little_memory(settings: Settings, tmp_path: Path) -> None:
    block = random.Random(2).randbytes(200 * 1024)
    path = tmp_path / "many.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(400):  # 78 MiB of small files
            info = tarfile.TarInfo(f"{number}.bin")
            info.size = len(block)
            archive.addfile(info, io.BytesIO(block))
        info = tarfile.TarInfo("large.bin")
        info.size = 100 * len(block)
        archive.addfile(info, io.BytesIO(block * 100))
    upload = Upload(sha256="", md5="", size=path.stat().st_size, path=path)
    tracemalloc.start()
    try:
        taken = unpack(upload, settings, strip=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    taken.close()
    assert len(taken.files) == 401
    assert peak < MOST_IN_MEMORY + 16 * MIB


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_bytes_that_were_altered_are_refused_or_read_and_nothing_else(settings: Settings, kind: str) -> None:
    files = {"a.md": b"# A\n" * 40, "b/c.md": b"c" * 2000, "long" * 60: b"d"}
    packed = {"zip": zip_of(files), "tar": tar_of(files), "tar.gz": gzip.compress(tar_of(files), mtime=0)}[
        kind
    ]
    chance = random.Random(3)
    outcomes = set()
    for _ in range(600):
        altered = bytearray(packed)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(altered))
            act = chance.random()
            if act < 0.7:
                altered[at] = chance.randrange(256)
            elif act < 0.85:
                del altered[at : at + chance.randrange(1, 40)]
            else:
                altered[at:at] = chance.randbytes(chance.randrange(1, 40))
            if not altered:
                altered = bytearray(b"\0")
        try:
            unpack(Upload.of(bytes(altered)), settings, strip=0).close()
            outcomes.add("read")
        except VersoError as error:
            outcomes.add(error.code)
    assert (
        {"read", "source_unreadable"}
        <= outcomes
        <= {"read", "source_unreadable", "archive_refused", "file_changed"}
    )


LARGE = {f"{number}.bin": random.Random(number).randbytes(300_000) for number in range(8)}


def until_empty(directory: Path) -> None:
    deadline = time.monotonic() + 10
    while list(directory.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("files", [3, 8], ids=["while it runs", "when it has just ended"])
async def test_who_is_cancelled_leaves_neither_files_nor_work_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    assert settings.spool_dir is not None
    held, go_on, taken = threading.Event(), threading.Event(), []

    def hold(*args: Any, **more: Any) -> Upload:
        taken.append(_taken(*args, **more))
        if len(taken) == files:
            held.set()
            assert go_on.wait(10)
        return taken[-1]

    monkeypatch.setattr("app.web.unpacking._taken", hold)
    task = asyncio.create_task(unpacked(Upload.of(zip_of(LARGE)), settings, strip=0))
    assert await asyncio.to_thread(held.wait, 10)
    assert len(list(settings.spool_dir.iterdir())) == files
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.to_thread(until_empty, settings.spool_dir)
    assert len(taken) == files, "nothing more was unpacked"


def test_a_large_file_is_given_up_between_two_of_its_pieces(settings: Settings) -> None:
    looks: list[bool] = []

    def given_up() -> bool:
        looks.append(len(looks) == 2)
        return looks[-1]

    with pytest.raises(GivenUpError):
        unpack(Upload.of(zip_of({"large": bytes(8 * MIB)})), settings, strip=0, given_up=given_up)
    assert looks == [False, False, True]
    assert settings.spool_dir is not None
    assert list(settings.spool_dir.iterdir()) == []

"""An API that is killed while it erases: nobody is given the bytes meanwhile, and whoever comes next goes on."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.faults.proxy import Hold
from tests.faults.service import Service
from tests.faults.world import World, client_of, problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.slow

SECRET = b"Jane Roe lives at 1 Elm Street. " * 40_000
"""1.2 MB: the cache keeps it on disk, where it outlives the process."""
WORD = b"1 Elm Street"


@pytest.fixture
async def doomed(world: World, settings: dict[str, str], tmp_path: Path) -> AsyncIterator[World]:
    """The same world through an API process of the test's own, with directories that it keeps when it is killed."""
    own = settings | {"VERSO_CACHE_DIR": str(tmp_path / "cache"), "VERSO_GIT_DIR": str(tmp_path / "git")}
    with Service(own, log=tmp_path / "api.log") as service:
        async with client_of(service, world.owner["access_token"]) as client:
            yield World(world.stack, world.proxy, service, client, world.project, world.owner, tmp_path)


def clone(world: World, directory: Path) -> bytes:
    """All that a clone has of all changes."""
    token = world.owner["access_token"]
    url = f"http://x:{token}@{urlsplit(world.service.url).netloc}/git/{world.project}"
    subprocess.run(["git", "clone", "-q", url, str(directory)], check=True, capture_output=True)
    told = subprocess.run(
        ["git", "-C", str(directory), "log", "-p", "--all", "--text"], check=True, capture_output=True
    )
    return told.stdout


async def from_storage(world: World, name: str) -> httpx.Response:
    """What storage itself gives a member of the project, around the API."""
    headers = {
        "apikey": world.stack.publishable_key,
        "Authorization": f"Bearer {world.owner['access_token']}",
    }
    url = f"{world.stack.supabase_url}/storage/v1/object/authenticated/documents/{name}"
    async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
        return await client.get(url)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_bytes_whose_erasure_was_recorded_are_gone_for_everybody_although_the_api_was_killed(
    doomed: World, tmp_path: Path, moment: str
) -> None:
    """`before` storage was asked to delete them, or `after` it did and before anybody noted it."""
    first = (await doomed.put("a.md", SECRET)).json()["version"]
    await doomed.put("a.md", b"nothing\n", base=f'"{first["hash"]}"')
    sha256, document = first["sha256"], first["document"]
    here = f"/v1/projects/{doomed.project}"
    readings = [
        doomed.where("a.md") + "?at=1",
        f"/v1/documents/{document}/versions/1/content",
        f"/v1/documents/{document}/diff?from=1&to=2",
        f"{here}/contents/{sha256}",
        f"{here}/changes/1/diff",
    ]
    for reading in readings:
        answer = await doomed.client.get(reading)
        assert answer.is_success, answer.text
    assert WORD in await asyncio.to_thread(clone, doomed, tmp_path / "before")
    (name,) = [each for each in await doomed.objects() if sha256 in each]
    assert WORD in (await from_storage(doomed, name)).content

    held = Hold()
    doomed.proxy.rule("DELETE", "/storage/v1/object/documents", getattr(held, moment), times=1)
    body = {"sha256": sha256, "confirm": sha256, "reason": "A leaked secret."}
    erasing = asyncio.create_task(doomed.client.post(f"{here}/erasures", json=body))
    await asyncio.wait_for(held.reached.wait(), 20)
    workers = doomed.service.process.children(recursive=True)
    doomed.service.kill()
    # They have what it had open, and end when they see that it has ended.
    assert not (await asyncio.to_thread(psutil.wait_procs, workers, timeout=20))[1]
    with pytest.raises(httpx.TransportError):
        await erasing
    assert (sha256 in "".join(await doomed.objects())) == (moment == "before")

    doomed.service.start()
    for reading in readings:
        problem(await doomed.client.get(reading), 410, "content_erased")
    await nothing_is_told(doomed, tmp_path, document=document, sha256=sha256, name=name)
    assert [each["sha256"] for each in await pending(doomed)] == [sha256]
    assert not [
        each for each in (tmp_path / "cache").rglob("*") if each.is_file() and WORD in each.read_bytes()
    ]

    doomed.proxy.clear()
    held.release.set()
    done = await doomed.client.post(f"{here}/erasures", json=body)
    assert (done.status_code, await pending(doomed)) == (201, [])
    assert done.json()["finished_at"] is not None
    assert sha256 not in "".join(await doomed.objects())
    assert (await doomed.get("a.md")).content == b"nothing\n"


async def nothing_is_told(world: World, tmp_path: Path, *, document: str, sha256: str, name: str) -> None:
    """By what answers with something else than a refusal."""
    here = f"/v1/projects/{world.project}"
    assert (await world.client.get(f"{here}/search?q=elm&latest=false")).json()["items"] == []
    answers = [
        await world.client.get(f"{here}/archive?at=1&format=tar.gz"),
        await world.client.post(f"{here}/contents", json={"sha256": [sha256]}),
        await world.client.get(f"{here}/history"),
        await world.client.get(f"/v1/documents/{document}/occurrences?text=Elm"),
        await from_storage(world, name),
    ]
    for answer in answers:
        assert WORD not in answer.content, answer.url
    assert answers[-1].status_code in {400, 404}
    told = await asyncio.to_thread(clone, world, tmp_path / "after")
    assert WORD not in told
    assert b"nothing" in told


async def pending(world: World) -> list[dict[str, Any]]:
    """The erasures that the project tells of as unfinished."""
    answer = await world.client.get(f"/v1/projects/{world.project}/erasures?pending=true")
    return list(answer.json()["items"])

"""Erasing over HTTP: nobody is given the bytes again, by any way, from any process; and what broke off goes on."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from app.model import erased_note
from tests.api.world import Api, Contract, Person, Project, code_of, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.api.world import People
    from tests.stack import Stack

SECRET = "Jane Roe lives at 1 Elm Street.\n"
LARGE = "Jane Roe, at length. " * 20_000
"""Kept on disk by the cache, not in memory."""
WHY = "Asked for under Art. 17 GDPR."


@pytest.fixture(scope="module")
def other_api(stack: Stack) -> Iterator[Api]:
    with Api(stack) as running:
        yield running
    shutil.rmtree(running.directory)


@pytest.fixture
def elsewhere(other_api: Api, project: Project, contract: Contract) -> Iterator[Person]:
    """The project's reader, at another process."""
    reader = project.people.reader
    session = {"access_token": reader.token, "user": {"id": reader.id, "email": reader.email}}
    with Person(other_api, session, contract) as person:
        yield person


def erase(project: Project, content: str, **changed: Any) -> httpx.Response:
    body = {"sha256": content, "reason": WHY, "confirm": content} | changed
    return project.people.owner.post(f"{project.url}/erasures", json=body)


def erased(project: Project, sha256: str) -> dict[str, Any]:
    answer = erase(project, sha256)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def clone(api: Api, project: Project, directory: Path) -> Path:
    url = f"http://x:{project.people.reader.token}@{urlsplit(api.url).netloc}/git/{project.slug}"
    subprocess.run(["git", "clone", "-q", url, str(directory)], check=True, capture_output=True)
    return directory


def on_disk(api: Api, needle: str) -> list[Path]:
    files = [each for each in (api.directory / "cache").rglob("*") if each.is_file()]
    return [each for each in files if needle.encode() in each.read_bytes()]


@pytest.mark.parametrize("content", [SECRET, LARGE], ids=["small", "large"])
def test_no_way_leads_to_erased_bytes_from_any_process(
    project: Project, elsewhere: Person, api: Api, other_api: Api, content: str
) -> None:
    version = project.written("a.md", content)
    project.written("a.md", "nothing\n", base=version["hash"])
    document, sha256, url = version["document"], version["sha256"], project.url
    reader, lines = project.people.reader, {"Accept": "text/plain"}
    readings = [
        f"/v1/documents/{document}/versions/1/content",
        project.file("a.md") + "?at=1",
        f"{url}/contents/{sha256}",
        f"/v1/documents/{document}/diff?from=1&to=2",
        f"{url}/diff?from=1&to=2",
        f"{url}/changes/1/diff",
        f"{url}/compare?from=a.md@1&to=a.md@2",
    ]
    for who in (reader, elsewhere):
        for reading in readings:
            answer = who.get(reading)
            assert answer.is_success, answer.text
            assert "Jane" in answer.text
        assert "Jane" in who.get(f"/v1/documents/{document}/blame?at=v1", headers=lines).text
    erased(project, sha256)
    for who in (reader, elsewhere):
        for reading in readings:
            answer = who.get(reading)
            assert code_of(answer) == "content_erased", reading
            assert "Jane" not in answer.text
        assert code_of(who.get(f"/v1/documents/{document}/blame?at=v1", headers=lines)) == "content_erased"
        assert who.get(f"{url}/search?q=jane&latest=false").json()["items"] == []
        found = who.get(f"/v1/documents/{document}/occurrences?text=Jane Roe")
        assert (found.json()["spans"], found.json()["unknown"]) == ([], [1])
        assert who.post(f"{url}/have", json={"sha256": [sha256]}).json() == {"have": []}
        tar = who.post(f"{url}/contents", json={"sha256": [sha256]})
        assert b"Jane" not in tar.content
    assert on_disk(api, "Jane Roe") == on_disk(other_api, "Jane Roe") == []
    assert reader.get(project.file("a.md")).text == "nothing\n"


def test_archives_and_clones_hold_a_note_and_change_their_names(
    project: Project, api: Api, tmp_path: Path
) -> None:
    version = project.written("a.md", SECRET)
    archive = f"{project.url}/archive"
    reader = project.people.reader
    before = reader.get(archive)
    assert (clone(api, project, tmp_path / "before") / "a.md").read_text() == SECRET
    erased(project, version["sha256"])
    note = erased_note(version["sha256"])
    after = reader.get(archive)
    assert after.headers["etag"] != before.headers["etag"]
    assert zipfile.ZipFile(io.BytesIO(after.content)).read("a.md") == note
    with tarfile.open(fileobj=io.BytesIO(reader.get(f"{archive}?format=tar.gz").content)) as tar:
        member = tar.extractfile("a.md")
        assert member is not None
        assert member.read() == note
    again = clone(api, project, tmp_path / "after")
    assert (again / "a.md").read_bytes() == note
    kept = subprocess.run(
        ["git", "-C", str(again), "grep", "-c", "Jane", "HEAD"], check=False, capture_output=True
    )
    assert kept.stdout == b""
    project.written("b.md", "more\n")
    assert (clone(api, project, tmp_path / "later") / "b.md").read_text() == "more\n"


def test_it_never_comes_back(project: Project) -> None:
    version = project.written("a.md", SECRET)
    following = project.written("a.md", "nothing\n", base=version["hash"])
    erased(project, version["sha256"])
    for body in (SECRET, LARGE.replace("Roe", "Doe")):
        if body != SECRET:
            erased(project, project.written("large.md", body)["sha256"])
        again = project.put("b.md", body)
        assert code_of(again) == "content_erased", again.text
        assert again.json()["items"][0]["path"] == "b.md"
    back = project.people.editor.post(
        f"/v1/documents/{version['document']}/restore",
        json={"version": 1},
        headers={"If-Match": f'"{following["hash"]}"'},
    )
    assert code_of(back) == "erased"
    assert code_of(project.put("a.md", SECRET, base=following["hash"])) == "content_erased"


def test_a_document_whose_head_was_erased_goes_on(project: Project) -> None:
    version = project.written("a.md", SECRET)
    erased(project, version["sha256"])
    read = project.people.reader.get(project.file("a.md"))
    assert (read.status_code, code_of(read)) == (410, "content_erased")
    assert project.people.reader.head(project.file("a.md")).status_code == 410
    for url, tag in (
        (project.file("a.md"), version["hash"]),
        (f"{project.url}/contents/{version['sha256']}", version["sha256"]),
    ):
        again = project.people.reader.get(url, headers={"If-None-Match": f'"{tag}"'})
        assert (again.status_code, code_of(again)) == (410, "content_erased")
    assert project.written("a.md", "clean\n", base=version["hash"])["number"] == 2
    assert project.people.reader.get(project.file("a.md")).text == "clean\n"


def test_a_preview_comes_first_and_its_hash_confirms(project: Project) -> None:
    version = project.written("a.md", SECRET)
    project.written("b.md", SECRET)
    owner = project.people.owner
    told = owner.get(f"{project.url}/erasures/preview?version={version['hash']}").json()
    assert (told["sha256"], told["versions"], told["heads"]) == (version["sha256"], 2, 2)
    for confirm in ("", "yes", version["hash"]):
        no = erase(project, version["sha256"], confirm=confirm)
        assert code_of(no) == "erasure_unconfirmed"
        assert (no.json()["sha256"], no.json()["versions"]) == (version["sha256"], 2)
    assert project.people.reader.get(project.file("a.md")).text == SECRET
    for wrong in ({"sha256": None, "version": None}, {"version": version["hash"]}):
        assert code_of(erase(project, version["sha256"], **wrong)) == "bad_erasure"
    assert code_of(owner.get(f"{project.url}/erasures/preview")) == "bad_erasure"
    body = {"version": version["hash"], "reason": WHY, "confirm": version["sha256"]}
    made = owner.post(f"{project.url}/erasures", json=body)
    assert (made.status_code, made.json()["versions"]) == (201, 2)
    listed = project.people.reader.get(f"{project.url}/erasures").json()["items"]
    assert [(each["sha256"], each["reason"]) for each in listed] == [(version["sha256"], WHY)]
    assert listed[0]["erased_by"]["id"] == owner.id


def test_the_same_content_of_another_project_is_another_matter(project: Project, people: People) -> None:
    sha256 = project.written("a.md", SECRET)["sha256"]
    other = make_project(people)
    other.written("a.md", SECRET)
    erased(project, sha256)
    assert other.people.reader.get(other.file("a.md")).text == SECRET
    assert other.put("b.md", SECRET).is_success


async def test_bytes_that_storage_would_not_delete_wait_and_are_deleted_by_the_same_request(
    project: Project, stack: Stack
) -> None:
    sha256 = project.written("a.md", SECRET)["sha256"]
    await stack.psql(
        """create policy nobody on storage.objects as restrictive for delete to authenticated using (false)""",
        role="supabase_admin",
    )
    try:
        pending = erase(project, sha256)
    finally:
        await stack.psql("drop policy nobody on storage.objects", role="supabase_admin")
    assert (pending.status_code, pending.json()["finished_at"]) == (202, None)
    assert code_of(project.people.reader.get(project.file("a.md"))) == "content_erased"
    listed = project.people.reader.get(f"{project.url}/erasures?pending=true").json()["items"]
    assert [each["id"] for each in listed] == [pending.json()["id"]]
    done = erase(project, sha256, reason="another word")
    assert (done.status_code, done.json()["id"], done.json()["reason"]) == (201, pending.json()["id"], WHY)
    assert done.json()["finished_at"] is not None
    assert project.people.reader.get(f"{project.url}/erasures?pending=true").json()["items"] == []
    rows = await stack.psql("select 1 from storage.objects where name like $1", f"{project.id}/{sha256}%")
    assert rows == []


def test_who_deletes_by_the_storage_server_gets_nothing_that_was_not_erased(
    project: Project, stack: Stack
) -> None:
    import httpx as plain  # noqa: PLC0415

    sha256 = project.written("a.md", SECRET)["sha256"]
    name = f"{project.id}/{sha256}"
    for key in (project.people.owner.token, project.people.editor.token, stack.secret_key):
        apikey = key if key == stack.secret_key else stack.publishable_key
        headers = {"apikey": apikey, "Authorization": f"Bearer {key}"}
        gone = plain.request(
            "DELETE",
            f"{stack.supabase_url}/storage/v1/object/documents",
            json={"prefixes": [name]},
            headers=headers,
            trust_env=False,
        )
        assert gone.status_code != 200 or gone.json() == [], gone.text
    assert project.people.reader.get(project.file("a.md")).text == SECRET

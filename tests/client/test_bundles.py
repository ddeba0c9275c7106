"""A project as one file: out of one Supabase, checked with no server, into another; and everything that tampers."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.client.api import Api
from app.client.bundle.container import Reader, Writer
from app.client.bundle.export import export_bundle
from app.client.bundle.live import verify_project
from app.client.bundle.operator import Operator
from app.client.bundle.parts import MANIFEST, PARTS, Manifest, content_name, line_of, rows_name
from app.client.bundle.restore import restore_bundle
from app.client.bundle.verify import verify_bundle
from app.errors import VersoError
from tests.api.world import Api as Server
from tests.api.world import Contract, People, Person, make_project, sign_in
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.api.world import Project

ROLES = ("owner", "editor", "reviewer", "reader", "outsider")


@pytest.fixture(scope="module")
def people(stack: Stack, server: Server) -> Iterator[People]:
    contract = Contract(httpx.get(f"{server.url}/schema/openapi.json").json())
    everyone = People(*(Person(server, sign_in(stack, role), contract) for role in ROLES))
    yield everyone
    for role in ROLES:
        getattr(everyone, role).close()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Another Supabase, which knows nothing of the first."""
    with Stack(tmp_path_factory.mktemp("elsewhere")) as stack:
        yield stack


@pytest.fixture(scope="module")
def other_server(elsewhere: Stack) -> Iterator[Server]:
    with Server(elsewhere) as running:
        yield running
    shutil.rmtree(running.directory)


@pytest.fixture(scope="module")
def keeper(elsewhere: Stack, other_server: Server) -> Iterator[Person]:
    with Person(other_server, sign_in(elsewhere, "keeper"), None) as person:
        yield person


def lived_in(people: People) -> Project:
    project = make_project(people)
    people.owner.post(f"{project.url}/sessions", json={"slug": "base", "type": "blueprint"})
    people.owner.post(f"{project.url}/sessions", json={"slug": "add", "type": "feature", "parent": "base"})
    first = project.written("docs/a.md", "one\ntwo\n", message="Begin")
    project.written("docs/b.bin", bytes(range(256)) * 5000)
    spec = project.written("sessions/add/specs/spec.md", "# Spec\n", by=people.owner)
    second = project.written("docs/a.md", "one\n2\nthree\n", base=first["hash"])
    project.change(
        {"from": "docs/a.md", "path": "docs/«ä».md", "base": second["hash"]}, message="Umbenannt\n\nwarum"
    )
    spec_url = project.file("sessions/add/specs/spec.md")
    people.owner.delete(spec_url, headers={"If-Match": f'"{spec["hash"]}"'})
    gone = people.reader.get(f"/v1/documents/{spec['document']}").json()["head"]
    people.owner.put(spec_url, content="# Spec again\n", headers={"If-Match": f'"{gone}"'})
    project.written("empty", b"")
    comment = people.reviewer.post(
        f"/v1/versions/{first['hash']}/comments",
        json={"body": "why two?", "side": "new", "first_line": 2, "last_line": 2},
    )
    assert comment.status_code == 201, comment.text
    people.editor.post(f"/v1/comments/{comment.json()['id']}/replies", json={"body": "because"})
    review = people.reviewer.post(f"/v1/versions/{second['hash']}/reviews", json={"verdict": "approve"})
    assert review.status_code == 201, review.text
    tag = people.owner.post(f"{project.url}/tags", json={"name": "v-one", "at": "3", "message": "first"})
    assert tag.status_code == 201, tag.text
    gone = project.written("gone.md", "Jane Roe\n")["sha256"]
    body = {"sha256": gone, "confirm": gone, "reason": "A name."}
    assert people.owner.post(f"{project.url}/erasures", json=body).status_code == 201
    report = people.editor.post(
        f"{project.url}/sessions/add/stages/spec/reports", json={"state": "in_progress"}
    )
    assert report.is_success, report.text
    return project


@pytest.fixture(scope="module")
def project(people: People) -> Project:
    return lived_in(people)


@pytest.fixture(scope="module")
def bundle(
    people: People, project: Project, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "p.bundle"
    with Api(server.url, people.reader.token) as api:
        export_bundle(api, project.slug, path)
    return path


def told(path: Path) -> str:
    report = verify_bundle(path)
    assert report.whole == (not report.finding_count)
    return "; ".join(f"{finding.where}: {finding.what}" for finding in report.findings)


# Out ------------------------------------------------------------------------------------------------


def test_a_bundle_holds_all_and_verifies_without_a_server(bundle, people, project):
    report = verify_bundle(bundle)
    assert report.findings == []
    newest = people.reader.get(project.url).json()
    assert (report.changes, report.change_hash) == (newest["change_sequence"], newest["change_hash"])
    assert (report.versions, report.documents, report.contents) == (9, 5, 6)


def test_the_same_history_is_the_same_file(bundle, people, project, server, tmp_path):
    with Api(server.url, people.owner.token) as api:
        export_bundle(api, project.id, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == bundle.read_bytes()


def test_any_tar_opens_it(bundle):
    with tarfile.open(bundle) as tar:
        names = tar.getnames()
        assert names[0] == MANIFEST
        assert names[-1] == "bundle.sha256"
        for name in names:
            if name.startswith("contents/"):
                data = tar.extractfile(name).read()
                assert hashlib.sha256(data).hexdigest() == name.removeprefix("contents/")


def test_only_members_export(people, project, server, tmp_path):
    with Api(server.url, people.outsider.token) as api, pytest.raises(VersoError, match="project_not_found"):
        export_bundle(api, project.id, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_project_without_a_change_is_a_bundle_too(people, server, tmp_path):
    empty = make_project(people)
    with Api(server.url, people.reader.token) as api:
        made = export_bundle(api, empty.id, tmp_path / "x")
    assert (made.changes, made.change_hash, made.contents) == (0, None, 0)
    assert verify_bundle(tmp_path / "x").whole


def test_what_is_written_meanwhile_is_in_it_whole_or_not_at_all(people, server, tmp_path, monkeypatch):
    project = make_project(people)
    project.written("a.md", "one\n")
    asked = Api.get
    writes = iter(range(3))

    def interfering(self: Api, path: str, **how: Any) -> Any:
        answer = asked(self, path, **how)
        if path.endswith("/events") and next(writes, None) is not None:
            project.written(f"{len(answer['items'])}-{random.random()}.md", "more\n")
        return answer

    monkeypatch.setattr(Api, "get", interfering)
    with Api(server.url, people.reader.token) as api:
        made = export_bundle(api, project.id, tmp_path / "x")
    assert made.changes == 4
    assert verify_bundle(tmp_path / "x").findings == []


# Damage ---------------------------------------------------------------------------------------------


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def test_any_flipped_byte_is_found(bundle, tmp_path):
    """Every head and row of the file, and a sample of its 1.3 MB of contents."""
    data = bundle.read_bytes()
    chance = random.Random(20261122)
    places = set(chance.sample(range(len(data)), 150))
    with tarfile.open(bundle) as tar:
        for member in tar:
            places.update(range(member.offset, member.offset + 512, 61))
            places.update(range(member.offset_data, member.offset_data + min(member.size, 8000), 397))
    places.update(range(len(data) - 1100, len(data), 53))
    broken = tmp_path / "broken"
    for at in sorted(places):
        broken.write_bytes(flipped(data, at, chance.randrange(8)))
        assert not verify_bundle(broken).whole, f"byte {at} of {len(data)}"


@pytest.mark.parametrize("keep", [0, 1, 511, 512, 513, 5000, -1, -512, -1025])
def test_a_file_that_was_cut_off_is_found(bundle, tmp_path, keep):
    (tmp_path / "cut").write_bytes(bundle.read_bytes()[:keep])
    assert "bundle" in told(tmp_path / "cut")


def test_what_was_appended_is_found(bundle, tmp_path):
    (tmp_path / "long").write_bytes(bundle.read_bytes() + b"\0")
    assert "doesn't end where it should" in told(tmp_path / "long")


def test_other_files_are_no_bundles(tmp_path):
    for name, data in {"zip": b"PK\3\4" * 1000, "zeros": bytes(10240), "text": b"hello\n" * 500}.items():
        (tmp_path / name).write_bytes(data)
        assert not verify_bundle(tmp_path / name).whole


# Tampering: a file that is well made, with other things in it -----------------------------------------


Rows = dict[str, list[dict[str, Any]]]


def taken_apart(path: Path) -> tuple[Rows, dict[str, bytes]]:
    rows: Rows = {}
    contents = {}
    with path.open("rb") as file:
        for member in Reader(file).members():
            data = b"".join(member.pieces)
            if member.name.startswith("rows/"):
                rows[member.name[5:-6]] = [json.loads(line) for line in data.splitlines()]
            elif member.name.startswith("contents/"):
                contents[member.name[9:]] = data
    return rows, contents


def put_together(path: Path, rows: Rows, contents: dict[str, bytes]) -> None:
    """A bundle as its exporter would write it: every count and checksum right."""
    lines = {part: b"".join(line_of(row) for row in rows[part]) for part in PARTS}
    head = rows["project"][0]
    manifest = {
        "format": "verso-bundle", "form": 1,
        "project": {name: head[name] for name in ("id", "slug", "name")},
        "change": {"sequence": head["change_sequence"], "hash": head["change_hash"]},
        "events": head["event_sequence"],
        "parts": {
            part: {"rows": len(rows[part]), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for part, data in lines.items()
        },
        "contents": {"count": len(contents), "bytes": sum(map(len, contents.values()))},
        "absent": {"count": len(rows["erasures"]), "bytes": sum(row["size"] for row in rows["erasures"])},
    }  # fmt: skip
    import msgspec  # noqa: PLC0415

    line = line_of(msgspec.convert(manifest, Manifest))
    out = io.BytesIO()
    writer = Writer(out)
    writer.add(MANIFEST, len(line), [line])
    for part in PARTS:
        writer.add(rows_name(part), len(lines[part]), [lines[part]])
    for sha256 in sorted(contents):
        writer.add(content_name(sha256), len(contents[sha256]), [contents[sha256]])
    writer.close()
    path.write_bytes(out.getvalue())


def test_taking_apart_and_putting_together_gives_the_same_file(bundle, tmp_path):
    put_together(tmp_path / "same", *taken_apart(bundle))
    assert (tmp_path / "same").read_bytes() == bundle.read_bytes()


def _first(rows: Rows) -> dict[str, Any]:
    return rows["changes"][0]["versions"][0]


def _drop(contents: dict[str, bytes]) -> None:
    del contents[min(contents)]


def _as_if_erased(rows: Rows, contents: dict[str, bytes]) -> None:
    sha256 = min(contents)
    size = len(contents.pop(sha256))
    rows["erasures"].append(
        {**rows["erasures"][0], "id": "other", "sequence": 1, "sha256": sha256, "size": size}
    )


TAMPERINGS: dict[str, tuple[Callable[[Rows, dict[str, bytes]], Any], str]] = {
    "a path": (lambda r, _: _first(r).update(path="z.md"), "version's hash is not"),
    "a size": (lambda r, _: _first(r).update(size=1), "version's hash is not"),
    "an action": (lambda r, _: _first(r).update(action="edit"), "version's hash is not"),
    "a parent": (
        lambda r, _: r["changes"][3]["versions"][0].update(parent=r["changes"][1]["versions"][0]["hash"]), "doesn't follow"),
    "a message": (lambda r, _: r["changes"][0].update(message="Other"), "hash is not that of what it says"),
    "an author": (lambda r, _: r["changes"][0].update(author_id=r["changes"][2]["author_id"]), "change 1: Its hash"),
    "an author's name": (lambda r, _: r["changes"][0].update(author_name="Mallory"), "change 1: Its hash"),
    "a date": (lambda r, _: r["changes"][0].update(authored_at="2001-01-01T00:00:00+00:00"), "change 1: Its hash"),
    "a change dropped": (lambda r, _: r["changes"].pop(2), "It follows change 2"),
    "the newest change dropped": (lambda r, _: r["changes"].pop(), "not the one that the history ends with"),
    "two changes swapped": (lambda r, _: r["changes"].insert(1, r["changes"].pop(2)), "It follows change 1"),
    "a version dropped": (lambda r, _: r["changes"][4]["versions"].pop(), "versions that it counts"),
    "a document elsewhere": (lambda r, _: r["documents"][0].update(path="else"), "where its newest version puts it"),
    "a document dropped": (lambda r, _: r["documents"].pop(), "other documents"),
    "a deleted document alive": (lambda r, _: r["documents"][0].update(live=False), "newest version puts it"),
    "a content replaced": (lambda _, c: c.update({min(c): b"x"}), "not those that the name says"),
    "a content dropped": (lambda _, c: _drop(c), "there is"),
    "a content added": (lambda _, c: c.update({"f" * 64: b"x"}), "belongs to no version"),
    "an erased content come back": (lambda r, c: c.update({r["erasures"][0]["sha256"]: b"Jane Roe\n"}), "there is"),
    "a content as if erased": (_as_if_erased, "record of an erasure don't agree"),
    "an erasure that nobody was told of": (
        lambda r, _: (r["erasures"].clear(), r["finished_erasures"].clear()), "record of an erasure don't agree"),
    "an erasure of nothing": (lambda r, _: r["erasures"][0].update(sha256="0" * 64), "no version has it"),
    "a report of nothing": (lambda r, _: r["stage_events"][0].update(session_id="0"), "session isn't here"),
    "an event dropped": (lambda r, _: r["events"].pop(1), "numbered without gaps"),
    "a person dropped": (lambda r, _: r["profiles"].pop(0), "whose profile isn't here"),
    "a comment's version": (lambda r, _: r["comments"][0].update(version="0" * 64), "version isn't here"),
    "a comment's text dropped": (lambda r, _: r["comment_texts"].pop(), "text isn't here"),
    "a review of nothing": (lambda r, _: r["reviews"][0].update(version="0" * 64), "version isn't here"),
    "a tag of tomorrow": (lambda r, _: r["tags"][0].update(change_sequence=99), "names what isn't here"),
    "a session without its parent": (
        lambda r, _: r.update(sessions=[s for s in r["sessions"] if s["type"] == "feature"]), "no blueprint"),
    "an id that is none": (lambda r, _: r["project"][0].update(id="../../x"), "id is none"),
    "junk for a number": (lambda r, _: r["tags"][0].update(change_sequence="many"), "not what such a row is"),
    "junk for a change": (lambda r, _: r["changes"][0].update(versions=7), "no change"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERINGS)
def test_what_was_tampered_with_is_named(bundle, tmp_path, what):
    rows, contents = taken_apart(bundle)
    rows = copy.deepcopy(rows)
    tamper, expected = TAMPERINGS[what]
    tamper(rows, contents)
    put_together(tmp_path / "tampered", rows, contents)
    assert expected in told(tmp_path / "tampered")


# In -------------------------------------------------------------------------------------------------


def reads(person: Person, project: Project) -> dict[str, Any]:
    """What a reader of a project sees, as one value."""
    log = person.get(f"{project.url}/changes?limit=200").json()["items"]
    for change in log:
        change.pop("diffstat", None)
    seen: dict[str, Any] = {"log": log, "tags": person.get(f"{project.url}/tags").json()["items"]}
    documents = set()
    for change in log:
        tree = person.get(f"{project.url}/tree?at={change['sequence']}&limit=200").json()
        seen[f"tree {change['sequence']}"] = tree["items"]
        for version in person.get(f"{project.url}/changes/{change['sequence']}").json()["versions"]:
            documents.add(version["document"])
            if version.get("sha256"):
                url = f"/v1/documents/{version['document']}/versions/{version['number']}/content"
                answer = person.get(url)
                seen[version["hash"]] = (
                    hashlib.sha256(answer.content).hexdigest() if answer.is_success else answer.json()["code"]
                )
            seen[f"reviews {version['hash']}"] = person.get(f"/v1/versions/{version['hash']}/reviews").json()[
                "items"
            ]
            seen[f"comments {version['hash']}"] = person.get(
                f"/v1/versions/{version['hash']}/comments"
            ).json()["items"]
    for document in sorted(documents):
        if person.get(f"/v1/documents/{document}").json()["live"]:
            blame = person.get(f"/v1/documents/{document}/blame").json()
            # Kept there, computed here: what it says is the same.
            seen[f"blame {document}"] = {
                name: blame.get(name) for name in ("code", "version", "lines", "ranges", "origins")
            }
    seen["sessions"] = person.get(f"{project.url}/sessions").json()["items"]
    return seen


def test_everything_reads_the_same_elsewhere(  # noqa: PLR0917
    bundle, project, people, elsewhere, other_server, keeper, tmp_path
):
    with Operator(elsewhere.supabase_url, elsewhere.secret_key) as operator:
        planned = restore_bundle(operator, bundle, dry_run=True)
        assert keeper.get(project.url).status_code == 404
        done = restore_bundle(operator, bundle, owner=keeper.handle)
        assert (done.changes, done.owners) == (planned.changes, [keeper.handle])
    assert reads(keeper, project) == reads(people.reader, project)
    with Api(other_server.url, keeper.token) as api:
        assert verify_project(api, project.id).findings == []
        export_bundle(api, project.id, tmp_path / "again")
    ours, theirs = taken_apart(bundle), taken_apart(tmp_path / "again")
    assert ours[1] == theirs[1]
    for part in set(PARTS) - {"members", "acquaintances", "profiles"}:
        assert ours[0][part] == theirs[0][part], part


def test_a_backup_is_applied_again_and_again(people, server, elsewhere, keeper, tmp_path):
    project = make_project(people)
    first = project.written("a.md", "one\n")
    with (
        Api(server.url, people.reader.token) as api,
        Operator(elsewhere.supabase_url, elsewhere.secret_key) as operator,
    ):
        export_bundle(api, project.id, tmp_path / "one")
        assert restore_bundle(operator, tmp_path / "one", owner=keeper.handle).changes == 1
        project.written("a.md", "two\n", base=first["hash"])
        export_bundle(api, project.id, tmp_path / "two")
        done = restore_bundle(operator, tmp_path / "two")
        assert (done.changes, done.contents) == (1, 1)
        assert restore_bundle(operator, tmp_path / "two").changes == 0
        assert keeper.get(project.file("a.md")).text == "two\n"
        written = keeper.put(project.file("b.md"), content="mine\n")
        assert written.status_code == 201
        project.written("c.md", "theirs\n")
        export_bundle(api, project.id, tmp_path / "three")
        with pytest.raises(VersoError, match="restore_diverged"):
            restore_bundle(operator, tmp_path / "three")
    assert keeper.get(project.file("c.md")).status_code == 404


def test_a_tampered_bundle_never_gets_to_the_server(bundle, elsewhere, tmp_path):
    rows, contents = taken_apart(bundle)
    rows["changes"][0]["message"] = "Other"
    put_together(tmp_path / "tampered", rows, contents)
    with (
        Operator("http://127.0.0.1:9", "sb_secret_none") as operator,
        pytest.raises(VersoError, match="bundle_refused"),
    ):
        restore_bundle(operator, tmp_path / "tampered")


def _keys(stack: Stack) -> dict[str, str]:
    return {"apikey": stack.secret_key, "Authorization": f"Bearer {stack.secret_key}"}


def test_junk_under_a_contents_name_is_left_and_the_honest_bytes_find_a_place(
    people, server, elsewhere, keeper, tmp_path
):
    project = make_project(people)
    version = project.written("a.md", "honest\n")
    with httpx.Client(base_url=elsewhere.supabase_url, headers=_keys(elsewhere)) as storage:
        junk = storage.post(
            f"/storage/v1/object/documents/{project.id}/{version['sha256']}", content=b"jun-k!\n"
        )
        assert junk.is_success, junk.text
    with (
        Api(server.url, people.reader.token) as api,
        Operator(elsewhere.supabase_url, elsewhere.secret_key) as operator,
    ):
        export_bundle(api, project.id, tmp_path / "x")
        restore_bundle(operator, tmp_path / "x", owner=keeper.handle)
    assert keeper.get(project.file("a.md")).text == "honest\n"


@pytest.mark.parametrize("key", ["publishable_key", "anon_key"])
def test_no_other_key_restores(bundle, elsewhere, key):
    with (
        Operator(elsewhere.supabase_url, getattr(elsewhere, key)) as operator,
        pytest.raises(VersoError) as refusal,
    ):
        restore_bundle(operator, bundle)
    assert refusal.value.code == "secret_key_refused"


def test_a_member_with_a_token_can_not_restore(bundle, elsewhere, keeper):
    with Operator(elsewhere.supabase_url, keeper.token) as operator:
        operator._http.headers["apikey"] = elsewhere.publishable_key
        with pytest.raises(VersoError) as refusal:
            restore_bundle(operator, bundle)
    assert refusal.value.code == "secret_key_refused"


@pytest.mark.parametrize("at", ["store", "call"])
def test_a_restore_that_is_broken_off_anywhere_is_run_again(  # noqa: PLR0917
    people, server, elsewhere, keeper, tmp_path, monkeypatch, at
):
    project = make_project(people)
    for n in range(6):
        project.written(f"{n}.md", f"{n}\n")
    with Api(server.url, people.reader.token) as api:
        export_bundle(api, project.id, tmp_path / "x")
    whole = getattr(Operator, at)
    for survived in range(5):
        left = iter(range(survived))

        def broken(self: Operator, *given: Any, left: Any = left, **named: Any) -> Any:
            if next(left, None) is None:
                raise VersoError("supabase_unreachable", "Gone.")
            return whole(self, *given, **named)

        monkeypatch.setattr(Operator, at, broken)
        with Operator(elsewhere.supabase_url, elsewhere.secret_key) as operator:
            with pytest.raises(VersoError, match="Gone"):
                restore_bundle(operator, tmp_path / "x", owner=keeper.handle)
            assert operator.project(project.id) is None
    monkeypatch.setattr(Operator, at, whole)
    with Operator(elsewhere.supabase_url, elsewhere.secret_key) as operator:
        assert restore_bundle(operator, tmp_path / "x", owner=keeper.handle).changes == 6
    assert keeper.get(project.file("5.md")).text == "5\n"


def test_an_owner_who_is_nobody_there_is_refused_before_anything_is_written(
    people, server, elsewhere, tmp_path
):
    project = make_project(people)
    project.written("a.md", "one\n")
    with (
        Api(server.url, people.reader.token) as api,
        Operator(elsewhere.supabase_url, elsewhere.secret_key) as operator,
    ):
        export_bundle(api, project.id, tmp_path / "x")
        with pytest.raises(VersoError, match="person_not_found"):
            restore_bundle(operator, tmp_path / "x", owner="nobody")
        assert operator.project(project.id) is None


# Live -----------------------------------------------------------------------------------------------


def test_altered_bytes_in_storage_are_named(people, server, stack):
    project = make_project(people)
    honest = f"honest {random.random()}\n".encode()
    version = project.written("a.md", honest)
    project.written("b.md", "other\n")
    files = [
        path
        for path in stack.data.rglob("*")
        if path.is_file() and path.stat().st_size == len(honest) and path.read_bytes() == honest
    ]
    assert len(files) == 1
    files[0].write_bytes(honest.replace(b"honest", b"forged"))
    # A process that has no copy of its own.
    with Server(stack) as fresh, Api(fresh.url, people.reader.token, tries=1) as api:
        report = verify_project(api, project.id)
        assert verify_project(api, project.id, contents=False).whole
    shutil.rmtree(fresh.directory)
    assert [finding.where for finding in report.findings] == [f"content {version['sha256']}"]

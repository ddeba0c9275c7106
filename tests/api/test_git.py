"""Git over HTTP with the real `git`: clones, increments, shallow ones, refusals, many at once."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.api.world import Api, Project, make_project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack import Stack

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}


def run(*command: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *command],
        capture_output=True,
        check=False,
        cwd=cwd,
        env=ENVIRONMENT | more,
        text=True,
        timeout=120,
    )


def git(*command: str, cwd: Path | None = None) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def address(api: Api, project: Project, *, token: str | None = None, ending: str = "", name: str = "") -> str:
    host = urlsplit(api.url).netloc
    known = project.people.reader.token if token is None else token
    return f"http://anyone:{known}@{host}/git/{name or project.slug}{ending}"


@pytest.mark.parametrize("ending", ["", ".git", "/"])
@pytest.mark.parametrize("version", ["0", "2"])
def test_a_clone_has_every_change_and_every_byte(
    project: Project, api: Api, tmp_path: Path, ending: str, version: str
) -> None:
    content = os.urandom(300_000)
    first = project.written("docs/a.md", "1\n")
    project.written("docs/ü b.md", content)
    project.written("docs/a.md", "2\n", base=first["hash"])
    git(
        "-c",
        f"protocol.version={version}",
        "clone",
        "-q",
        address(api, project, ending=ending),
        str(tmp_path / "x"),
    )
    assert (tmp_path / "x" / "docs/a.md").read_text() == "2\n"
    assert (tmp_path / "x" / "docs/ü b.md").read_bytes() == content
    assert git("log", "--format=%s|%an", cwd=tmp_path / "x").count("|") == 3
    assert git("branch", "--show-current", cwd=tmp_path / "x").strip() == "main"
    assert git("fsck", "--strict", cwd=tmp_path / "x") == ""


def test_an_empty_project_is_an_empty_clone(project: Project, api: Api, tmp_path: Path) -> None:
    done = run("clone", address(api, project), str(tmp_path / "x"))
    assert done.returncode == 0, done.stderr
    assert "empty repository" in done.stderr
    project.written("a.md", "1")
    git("pull", "-q", "origin", "main", cwd=tmp_path / "x")
    assert (tmp_path / "x" / "a.md").read_text() == "1"


def test_a_fetch_brings_what_is_new_and_no_more(project: Project, api: Api, tmp_path: Path) -> None:
    clone = tmp_path / "x"
    version = project.written("a.md", "0\n" * 50_000)
    git("clone", "-q", address(api, project), str(clone))
    for number in range(1, 15):
        version = project.written("a.md", "0\n" * 50_000 + f"{number}\n", base=version["hash"])
        project.written(f"new/{number}.md", f"{number}")
        if number % 7 == 0:
            told = run("fetch", "--progress", "origin", cwd=clone, GIT_TRACE_PACKET="0")
            assert told.returncode == 0, told.stderr
    project.people.editor.post(
        f"{project.url}/tags", json={"name": "v1.0", "message": "One"}
    ).raise_for_status()
    git("pull", "-q", cwd=clone)
    assert (clone / "a.md").read_text().endswith("0\n14\n")
    assert git("rev-list", "--count", "HEAD", cwd=clone).strip() == "29"
    assert git("tag", cwd=clone).split() == ["v1.0"]
    assert git("cat-file", "-t", "v1.0", cwd=clone).strip() == "tag"
    git("fsck", "--strict", cwd=clone)
    assert git("fetch", "origin", cwd=clone) == ""


def test_shallow_clones_fetch_deepen_and_become_whole(project: Project, api: Api, tmp_path: Path) -> None:
    clone = tmp_path / "x"
    version = project.written("a.md", "1")
    for number in range(2, 7):
        version = project.written("a.md", f"{number}", base=version["hash"])

    def depth() -> int:
        return int(git("rev-list", "--count", "origin/main", cwd=clone))

    git("clone", "-q", "--depth", "1", address(api, project), str(clone))
    assert depth() == 1
    version = project.written("a.md", "7", base=version["hash"])
    git("fetch", "-q", cwd=clone)
    assert depth() == 2
    git("fetch", "-q", "--deepen", "1", cwd=clone)
    assert depth() == 3
    project.written("a.md", "8", base=version["hash"])
    git("fetch", "-q", "--depth", "1", cwd=clone)
    assert depth() == 1
    git("fetch", "-q", "--unshallow", cwd=clone)
    assert depth() == 8
    git("fsck", "--strict", cwd=clone)


def test_a_commit_can_be_fetched_by_its_id(project: Project, api: Api, tmp_path: Path) -> None:
    first = project.written("a.md", "1")
    git("clone", "-q", address(api, project), str(tmp_path / "x"))
    old = git("rev-parse", "HEAD", cwd=tmp_path / "x").strip()
    project.written("a.md", "2", base=first["hash"])
    git("init", "-q", str(tmp_path / "y"))
    git("fetch", "-q", address(api, project), old, cwd=tmp_path / "y")
    assert git("show", "FETCH_HEAD:a.md", cwd=tmp_path / "y") == "1"
    done = run("fetch", address(api, project), "1" * 40, cwd=tmp_path / "y")
    assert "not our ref" in done.stderr


def test_what_there_is_can_be_listed(project: Project, api: Api) -> None:
    project.written("a.md", "1")
    project.people.editor.post(f"{project.url}/tags", json={"name": "plain"}).raise_for_status()
    listed = git("ls-remote", "--symref", address(api, project)).splitlines()
    assert listed[0] == "ref: refs/heads/main\tHEAD"
    assert [line.split("\t")[1] for line in listed] == ["HEAD", "HEAD", "refs/heads/main", "refs/tags/plain"]


def test_who_may_not_read_gets_what_there_is_for_nothing(project: Project, api: Api) -> None:
    project.written("a.md", "secret")
    outsider = project.people.outsider.token
    there = run("ls-remote", address(api, project, token=outsider))
    nowhere = run("ls-remote", address(api, project, token=outsider, name="no-such-project"))
    assert there.returncode == nowhere.returncode == 128
    assert there.stderr.replace(project.slug, "X") == nowhere.stderr.replace("no-such-project", "X")
    assert "not found" in there.stderr
    for path in ("info/refs?service=git-upload-pack", "git-upload-pack", "git-receive-pack"):
        url = f"{api.url}/git/{project.slug}/{path}"
        answer = httpx.request("GET" if "?" in path else "POST", url, trust_env=False)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "value",
    ["Basic !!", "Basic " + base64.b64encode(b"x:wrong").decode(), "Bearer x", "Digest x", "Basic /w=="],
)
def test_a_wrong_token_is_refused(project: Project, api: Api, value: str) -> None:
    url = f"{api.url}/git/{project.slug}/info/refs?service=git-upload-pack"
    answer = httpx.get(url, headers={"Authorization": value}, trust_env=False)
    assert answer.status_code == 401
    assert "Sign in" in answer.text or "token" in answer.text


def test_a_bearer_token_is_taken(project: Project, api: Api, tmp_path: Path) -> None:
    project.written("a.md", "1")
    field = f"http.extraHeader=Authorization: Bearer {project.people.reader.token}"
    git("-c", field, "clone", "-q", f"{api.url}/git/{project.id}", str(tmp_path / "x"))
    assert (tmp_path / "x" / "a.md").exists()


def test_a_push_is_refused_and_says_where_to_go(project: Project, api: Api, tmp_path: Path) -> None:
    project.written("a.md", "1")
    url = address(api, project, token=project.people.owner.token)
    git("clone", "-q", url, str(tmp_path / "x"))
    (tmp_path / "x" / "a.md").write_text("2")
    git("-c", "user.name=a", "-c", "user.email=a@x", "commit", "-qam", "x", cwd=tmp_path / "x")
    done = run("push", cwd=tmp_path / "x")
    assert done.returncode != 0
    assert "verso push" in done.stderr
    assert "403" in done.stderr
    bearer = {"Authorization": f"Bearer {project.people.owner.token}"}
    answer = httpx.post(f"{api.url}/git/{project.slug}/git-receive-pack", headers=bearer, trust_env=False)
    assert (answer.status_code, "verso push" in answer.text) == (403, True)
    answer = httpx.get(f"{api.url}/git/{project.slug}/info/refs", headers=bearer, trust_env=False)
    assert answer.status_code == 403


def pkt(text: str) -> bytes:
    return f"{len(text.encode()) + 4:04x}{text}".encode()


def test_requests_are_taken_gzipped_and_no_larger_than_allowed(project: Project, api: Api) -> None:
    project.written("a.md", "1")
    bearer = {
        "Authorization": f"Bearer {project.people.reader.token}",
        "Content-Type": "application/x-git-upload-pack-request",
    }
    url = f"{api.url}/git/{project.slug}"
    refs = httpx.get(f"{url}/info/refs?service=git-upload-pack", headers=bearer, trust_env=False)
    assert refs.headers["content-type"] == "application/x-git-upload-pack-advertisement"
    head = refs.text.split("0000", 1)[1][4:44]
    asked = pkt(f"want {head} side-band-64k no-progress\n") + b"0000" + pkt("done\n")

    def post(content: bytes, **fields: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return httpx.post(
            f"{url}/git-upload-pack", content=content, headers=bearer | named, trust_env=False, timeout=60
        )

    plain, packed = post(asked), post(gzip.compress(asked), Content_Encoding="gzip")
    assert plain.content == packed.content
    assert plain.content.startswith(b"0008NAK\n")
    assert b"PACK" in plain.content
    assert post(b"xx", Content_Encoding="gzip").status_code == 400
    assert post(gzip.compress(asked)[:-9], Content_Encoding="gzip").status_code == 400
    assert post(asked, Content_Encoding="br").status_code == 415
    assert post(gzip.compress(b"0" * (9 << 20)), Content_Encoding="gzip").status_code == 413
    assert post(b"0" * (9 << 20)).status_code == 413
    for wrong in (
        b"",
        b"zzzz",
        b"0009want",
        pkt("have 1\n"),
        pkt("want x\n"),
        pkt(f"want {head}\n") + pkt("deepen x\n") + b"0000",
    ):
        answer = post(wrong)
        assert answer.status_code == 200
        assert answer.content == b"" or b"ERR " in answer.content
    assert (
        httpx.post(
            f"{url}/git-upload-pack",
            content=asked,
            headers={"Authorization": bearer["Authorization"]},
            trust_env=False,
        ).status_code
        == 415
    )


@pytest.mark.slow
def test_many_clones_at_once_and_two_processes_on_one_cache(
    stack: Stack, project: Project, api: Api, tmp_path: Path
) -> None:
    for number in range(30):
        project.written(f"{number}.md", f"{number}" * 1000)
    shared = tmp_path / "cache"
    with Api(stack, git_dir=shared) as one, Api(stack, git_dir=shared) as two:

        def clone(number: int) -> str:
            git("clone", "-q", address((one, two)[number % 2], project), str(tmp_path / f"x{number}"))
            return git("rev-parse", "HEAD", cwd=tmp_path / f"x{number}")

        with ThreadPoolExecutor(6) as pool:
            heads = set(pool.map(clone, range(8)))
        assert len(heads) == 1
        assert len(list(shared.glob("*.git"))) == 1
        # Another machine makes the very same commits.
        git("clone", "-q", address(api, project), str(tmp_path / "other"))
        assert git("rev-parse", "HEAD", cwd=tmp_path / "other") in heads


def test_the_cache_may_be_deleted_damaged_or_too_small(
    stack: Stack, project: Project, api: Api, tmp_path: Path
) -> None:
    project.written("a.md", "1")
    other = make_project(project.people)
    other.written("b.md", "2")
    cache = tmp_path / "cache"
    with Api(stack, git_dir=cache, git_size=1) as small:
        git("clone", "-q", address(small, project), str(tmp_path / "a"))
        git("clone", "-q", address(small, other), str(tmp_path / "b"))
        git("clone", "-q", address(small, project), str(tmp_path / "c"))
        assert len(list(cache.glob("*.git"))) <= 1
    with Api(stack, git_dir=cache) as again:
        git("clone", "-q", address(again, project), str(tmp_path / "d"))
        [held] = [path for path in cache.glob("*.git") if project.id in path.name]
        subprocess.run(["rm", "-rf", str(held)], check=True)
        git("clone", "-q", address(again, project), str(tmp_path / "e"))
        (held / "verso.sqlite").write_bytes(b"not a database")
        git("clone", "-q", address(again, project), str(tmp_path / "f"))
        subprocess.run(["rm", "-rf", *map(str, (held / "objects").iterdir())], check=True)
        git("clone", "-q", address(again, project), str(tmp_path / "g"))
        blob = hashlib.sha1(b"blob 1\x001", usedforsecurity=False).hexdigest()
        (held / "objects" / blob[:2] / blob[2:]).unlink()
        assert run("clone", "-q", address(again, project), str(tmp_path / "h")).returncode != 0
        git("clone", "-q", address(again, project), str(tmp_path / "h"))
        assert (tmp_path / "h" / "a.md").read_text() == "1"


@pytest.mark.slow
def test_a_clone_of_much_passes_through_little_memory(project: Project, api: Api, tmp_path: Path) -> None:
    for number in range(6):
        project.written(f"{number}.bin", os.urandom(12 << 20))
    process = psutil.Process(api.pid)
    git("ls-remote", address(api, project))
    before = process.memory_info().rss
    git("clone", "-q", address(api, project), str(tmp_path / "x"))
    assert process.memory_info().rss - before < 60 << 20
    data = (tmp_path / "x" / "5.bin").read_bytes()
    assert (
        hashlib.sha256(data).hexdigest()
        == project.people.reader.get(f"{project.url}/tree").json()["items"][-1]["sha256"]
    )


def test_erased_contents_are_left_out_and_a_note_in_git(project: Project, api: Api, tmp_path: Path) -> None:
    gone = project.written("gone.md", "to be erased")["sha256"]
    kept = project.written("kept.md", "kept")["sha256"]
    body = {"sha256": gone, "confirm": gone, "reason": "Somebody's name."}
    assert project.people.owner.post(f"{project.url}/erasures", json=body).status_code == 201
    reader = project.people.reader
    tar = reader.post(f"{project.url}/contents", json={"sha256": [gone, kept]}).content
    assert gone.encode() not in tar
    assert kept.encode() in tar
    assert reader.get(f"{project.url}/contents/{gone}").status_code == 410
    assert reader.post(f"{project.url}/have", json={"sha256": [gone, kept]}).json() == {"have": [kept]}
    git("clone", "-q", address(api, project), str(tmp_path / "x"))
    assert gone in (tmp_path / "x" / "gone.md").read_text()
    assert (tmp_path / "x" / "kept.md").read_text() == "kept"


def test_nobody_packs_for_a_client_who_left(project: Project, api: Api) -> None:
    project.written("large.bin", os.urandom(16 << 20))
    bearer = {"Authorization": f"Bearer {project.people.reader.token}"}
    url = f"{api.url}/git/{project.slug}"
    refs = httpx.get(
        f"{url}/info/refs?service=git-upload-pack", headers=bearer, trust_env=False, timeout=60
    ).text
    asked = pkt(f"want {refs.split('0000', 1)[1][4:44]} side-band-64k\n") + b"0000" + pkt("done\n")

    def workers() -> set[psutil.Process]:
        found = set()
        for each in psutil.Process(api.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ends while it is looked at
                if "app.git.serve.worker" in each.cmdline():
                    found.add(each)
        return found

    others = workers()
    kind = {"Content-Type": "application/x-git-upload-pack-request"}
    with httpx.stream(
        "POST", f"{url}/git-upload-pack", content=asked, headers=bearer | kind, trust_env=False, timeout=60
    ) as answer:
        assert answer.status_code == 200, answer.read()
        pieces = answer.iter_raw()
        assert next(pieces)
        (worker,) = workers() - others
        assert not [name for name in worker.environ() if name.startswith(("SUPABASE_", "VERSO_"))]
    deadline = time.monotonic() + 20
    while worker in workers():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_takes_nothing_keeps_no_place_from_others(stack: Stack, project: Project, tmp_path: Path) -> None:
    project.written("large.bin", os.urandom(16 << 20))
    small = make_project(project.people)
    small.written("a.md", "1")
    with Api(stack, git_processes=1, body_timeout=1.0) as api:
        head = git("ls-remote", address(api, project)).split()[0]
        asked = pkt(f"want {head} side-band-64k\n") + b"0000" + pkt("done\n")
        with socket.socket() as asleep:
            asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            asleep.connect(("127.0.0.1", api.port))
            asleep.sendall(
                f"POST /git/{project.slug}/git-upload-pack HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {project.people.reader.token}\r\n"
                "Content-Type: application/x-git-upload-pack-request\r\n"
                f"Content-Length: {len(asked)}\r\n\r\n".encode()
                + asked
            )
            assert asleep.recv(100)  # it has the one place, and takes no more
            git("clone", "-q", address(api, small), str(tmp_path / "x"))
    assert (tmp_path / "x" / "a.md").read_text() == "1"


def test_an_unchanged_project_costs_3_round_trips(project: Project, api: Api) -> None:
    project.written("a.md", "1")
    bearer = {"Authorization": f"Bearer {project.people.reader.token}"}
    url = f"{api.url}/git/{project.slug}/info/refs?service=git-upload-pack"
    httpx.get(url, headers=bearer, trust_env=False)
    assert api.cost(httpx.get(url, headers=bearer, trust_env=False)) == 3

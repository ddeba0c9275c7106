"""Differences as HTML over HTTP, and work that ends when nobody waits for it."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tests.api.trees import DIFF, HTML
from tests.api.world import Api, Project, code_of, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import People
    from tests.stack import Stack

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("view", ["inline", "split"])
def test_a_browser_gets_a_page_that_its_policy_lets_stand(project: Project, view: str) -> None:
    first = project.written("a.md", "the quick brown fox\n")
    project.written("a.md", "the slow brown fox <script>alert(1)</script>\n", base=first["hash"])
    for url in (
        f"/v1/documents/{first['document']}/diff",
        f"{project.url}/changes/2/diff",
        f"{project.url}/diff?from=1",
        f"{project.url}/compare?from=a.md@1&to=a.md",
    ):
        sign = "&" if "?" in url else "?"
        answer = project.people.reader.get(f"{url}{sign}view={view}", headers=BROWSER)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "<script" not in answer.text
        assert "<del>quick</del>" in answer.text
        assert "&lt;script&gt;" in answer.text


def test_the_two_views_differ_and_have_tags_of_their_own(project: Project) -> None:
    first = project.written("a.md", "1\n")
    project.written("a.md", "2\n", base=first["hash"])
    url = f"/v1/documents/{first['document']}/diff"
    pages = [
        project.people.reader.get(url, params={"view": view}, headers=HTML) for view in ("inline", "split")
    ]
    assert pages[0].text != pages[1].text
    assert pages[0].headers["etag"] != pages[1].headers["etag"]
    again = project.people.reader.get(
        url, params={"view": "split"}, headers=HTML | {"If-None-Match": pages[1].headers["etag"]}
    )
    assert again.status_code == 304
    assert project.people.reader.get(url, params={"view": "sideways"}, headers=HTML).status_code == 400


def test_the_page_of_a_range_leads_to_the_next(project: Project) -> None:
    project.change(*({"path": f"{number}.md", "text": "x\n"} for number in range(5)))
    url, seen = f"{project.url}/diff?from=0&limit=2&view=split", ""
    for _ in range(3):
        page = project.people.reader.get(url, headers=HTML).text
        seen += page
        link = re.search(r'<a rel="next" href="([^"]+)"', page)
        url = link[1].replace("&amp;", "&") if link else ""
    assert url == ""
    assert re.findall(r"<summary>(\d)\.md \(added\)", seen) == list("01234")


# Ending ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(stack: Stack) -> Iterator[Api]:
    """An API whose workers may compute for a minute, and who waits for one only for a second."""
    with Api(stack, diff_seconds=60, diff_wait_seconds=1, max_diff_size=64 << 20) as running:
        yield running


@pytest.fixture(scope="module")
def large(people: People) -> Project:
    """A project with two versions of a file, whose difference takes many seconds."""
    project = make_project(people)
    chance = random.Random(5)
    texts = ["\n".join(map(str, chance.choices(range(700_000), k=1_400_000))) for _ in range(2)]
    first = project.written("big.txt", texts[0])
    project.written("big.txt", texts[1], base=first["hash"])
    return project


@pytest.fixture(scope="module")
def endless(large: Project) -> str:
    """The address of a diff that takes many seconds."""
    (only,) = large.people.reader.get(f"{large.url}/tree").json()["items"]
    return f"/v1/documents/{only['document']}/diff"


def workers_of(api: Api) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(api.pid).children(recursive=True):
        try:
            if "app.text.worker" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def busy(api: Api) -> list[psutil.Process]:
    """Workers that have computed for a while."""
    return [each for each in workers_of(api) if each.is_running() and sum(each.cpu_times()[:2]) > 0.7]


def until(probe: Any, *, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if probe():
                return True
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.05)
    return False


def start(api: Api, url: str, token: str, headers: dict[str, str]) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=60)
    fields = {"Host": "verso", "Authorization": f"Bearer {token}", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    connection.sendall(f"GET {url} HTTP/1.1\r\n{lines}\r\n".encode())
    return connection


@pytest.mark.parametrize("headers", [DIFF, HTML], ids=["patch", "page"])
def test_a_diff_ends_when_its_client_goes(
    people: People, slow: Api, endless: str, headers: dict[str, str]
) -> None:
    connection = start(slow, endless, people.reader.token, headers)
    assert until(lambda: busy(slow)), slow.log.read_text()
    (worker,) = busy(slow)
    connection.close()
    assert until(lambda: worker not in workers_of(slow))
    answer = httpx.get(f"{slow.url}/health/live")
    assert answer.status_code == 200
    assert not [line for line in slow.log_lines() if line.get("event") == "fault"]


def test_who_finds_all_workers_busy_is_told_to_come_back(large: Project, slow: Api, endless: str) -> None:
    one, other, third = (
        each.token for each in (large.people.reader, large.people.editor, large.people.reviewer)
    )
    holding = [start(slow, endless, token, DIFF) for token in (one, other)]  # nobody has all of them
    assert until(lambda: len(busy(slow)) == 2)
    with httpx.Client(
        base_url=slow.url, headers={"Authorization": f"Bearer {third}", **DIFF}, timeout=30
    ) as late:
        for url in (
            f"{endless}?context=9",
            f"{large.url}/diff?from=1",
            f"{large.url}/changes/2/diff?limit=9",
        ):
            refused = late.get(url)
            assert (refused.status_code, code_of(refused)) == (503, "workers_busy"), url
            assert int(refused.headers["retry-after"]) > 0
        small = large.written("small.md", "small\n")
        assert late.get(f"/v1/documents/{small['document']}/diff").status_code == 200
    for connection in holding:
        connection.close()
    assert until(lambda: not busy(slow))


def test_unchanged_lines_unfold_up_to_a_limit(project: Project) -> None:
    lines = [f"line {n}" for n in range(100)]
    small = project.written("small.md", "\n".join(lines))
    wide = project.written("wide.md", "\n".join(f"{line} {'x' * 3_000}" for line in lines))
    changed = [*lines[:50], "new", *lines[50:]]
    project.written("small.md", "\n".join(changed), base=small["hash"])
    project.written("wide.md", "\n".join(f"{line} {'x' * 3_000}" for line in changed), base=wide["hash"])
    for url, unfolds in (
        (f"/v1/documents/{small['document']}/diff", 2),
        (f"/v1/documents/{wide['document']}/diff", 0),
        (f"{project.url}/diff?from=2", 2),
        (f"{project.url}/compare?from=small.md@2&to=small.md", 2),
    ):
        page = project.people.reader.get(url, headers=BROWSER).text
        assert page.count("unchanged line(s)</summary>") == unfolds, url
        assert (">line 7<" in page) == (unfolds > 0)
        assert "unchanged line(s)" in page

"""Two folders and the API, random edits, offline spells, lost answers, kills: nothing is lost, all end equal.

People here only add lines, each with a token of its own, and delete or move whole files. So a token that an
accepted version has must be in the next version of its document or of the tree, unless somebody deleted it;
and every token that anybody wrote must be in the history in the end, unless they deleted its file.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from app.client import applying
from app.client.hand_edits import resolve
from app.client.store import Store
from app.errors import VersoError
from tests.client.folders import Copy, Someone, tree_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.api.world import Api as Server
    from tests.stack import Stack

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("VERSO_SYNC_EXAMPLES", "0"))
"""More of them, and other ones each time, for a long run by hand."""
TOKEN = re.compile(rb"<[0-9]+>")
PATHS = ("a.md", "b.md", "notes/a.md", "notes/deep/c.md", "notes")
WHO = st.integers(0, 1)
WHICH = st.integers(0, len(PATHS) - 1)


class Killed(BaseException):
    """The process is gone here."""


@contextmanager
def killed_at(step: int | None) -> Iterator[None]:
    """Die at one of the moments at which something outside of memory changes: before it, or after it."""
    count = itertools.count()

    def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **given: Any) -> Any:
            if next(count) == step:
                raise Killed
            done = real(*args, **given)
            if next(count) == step:
                raise Killed
            return done

        return call

    if step is None:
        yield
        return
    with (
        mock.patch.object(applying, "_put_new", mortal(applying._put_new)),
        mock.patch.object(Path, "replace", mortal(Path.replace)),
        mock.patch.object(Path, "unlink", mortal(Path.unlink)),
        mock.patch.object(Store, "writing", mortal(Store.writing)),
        mock.patch.object(httpx.Client, "send", mortal(httpx.Client.send)),
        suppress(Killed),
    ):
        yield


@contextmanager
def offline(after: int | None) -> Iterator[None]:
    """So many requests get through; the answer of the next one is lost, and then nobody is there."""
    real = httpx.Client.send
    count = itertools.count()

    def send(self: httpx.Client, request: httpx.Request, **given: Any) -> httpx.Response:
        number = next(count)
        if after is not None and number >= after:
            if number == after:
                real(self, request, **given).close()
            raise httpx.ReadError("the cable is out")
        return real(self, request, **given)

    with mock.patch.object(httpx.Client, "send", send):
        yield


class World:
    """Two people with a folder each, and the API beside them."""

    def __init__(self, people: tuple[Someone, Someone], root: Path) -> None:
        self.people = people
        self.project = people[0].project(people[1])
        self.copies = [
            Copy(person, self.project, root / str(number), sleep=lambda _: None, tries=2)
            for number, person in enumerate(people)
        ]
        self.tokens = itertools.count(1)
        self.written: set[bytes] = set()
        self.deleted: set[bytes] = set()

    def token(self) -> bytes:
        token = b"<%d>" % next(self.tokens)
        self.written.add(token)
        return token

    def edit(self, who: int, which: int, position: int) -> None:
        copy = self.copies[who]
        file = copy.root / PATHS[which]
        if file.is_dir() or any(each.is_file() for each in file.parents if each != copy.root.parent):
            return
        lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        lines.insert(min(position, len(lines)), self.token() + b"\n")
        copy.write(PATHS[which], b"".join(lines))

    def delete(self, who: int, which: int) -> None:
        file = self.copies[who].root / PATHS[which]
        if file.is_file():
            # What was never pushed goes by its author's own hand.
            self.deleted |= set(TOKEN.findall(file.read_bytes()))
            file.unlink()

    def move(self, who: int, which: int, target: int) -> None:
        copy = self.copies[who]
        source, into = copy.root / PATHS[which], copy.root / PATHS[target]
        blocked = any(each.is_file() for each in into.parents)
        if source.is_file() and not into.exists() and not blocked and source not in into.parents:
            into.parent.mkdir(parents=True, exist_ok=True)
            source.rename(into)

    def write_directly(self, which: int) -> None:
        person = self.people[0]
        path = PATHS[which]
        tree = tree_of(person, self.project)
        with httpx.Client(headers={"Authorization": f"Bearer {person.token}"}, trust_env=False) as client:
            where = f"{person.url}/v1/projects/{self.project}/files/{path}"
            head = client.get(where)
            base = {"If-Match": head.headers["etag"]} if path in tree else {}
            token = self.token()
            answer = client.put(where, content=tree.get(path, b"") + token + b"\n", headers=base)
            if not answer.is_success:
                self.written.discard(token)  # a folder is at that path, or a file above it

    def sync(self, who: int, kind: str, cut: int | None, kill: int | None) -> None:
        copy = self.copies[who]
        with killed_at(kill), offline(cut), suppress(VersoError):
            copy.pull() if kind == "pull" else copy.push()

    def decide(self, who: int) -> None:
        """Keep both sides of everything that waits."""
        copy = self.copies[who]
        with copy.opened() as folder:
            folder.finish_steps(copy.api)
            for path, conflict in folder.work.conflicts().items():
                mine = copy.root / path
                if conflict.beside is None and conflict.version is not None:
                    _out_of_the_way(mine, root=copy.root, name=f"moved-by-{who}")
                    continue
                if conflict.beside is not None and mine.is_file():
                    theirs = copy.root / conflict.beside
                    if theirs.is_file():
                        mine.write_bytes(_both(mine.read_bytes(), theirs.read_bytes()))
                resolve(folder, path)

    def settle(self) -> None:
        why: VersoError | None = None
        for _ in range(8):
            quiet = True
            for who, copy in enumerate(self.copies):
                copy.pull()
                self.decide(who)
                try:
                    quiet = copy.push().change is None and quiet
                except VersoError as error:
                    quiet, why = False, error
            if quiet:
                return
        raise AssertionError(f"The two never come to rest: {why}")

    def check(self) -> None:
        one, other = self.copies
        tree = tree_of(self.people[0], self.project)
        assert one.files() == tree
        assert other.files() == tree
        history: set[bytes] = set()
        with one.opened() as folder:
            for document in folder.mirror.heads():
                before: set[bytes] = set()
                for version in reversed(folder.mirror.document_versions(document)):
                    if version.sha256 is None:
                        before = set()
                        continue
                    tokens = set(TOKEN.findall(folder.mirror.content(version.sha256)))
                    # Who renames a file and writes another one in its place has moved what it held.
                    if missing := before - tokens - self.deleted:
                        tree = folder.mirror.tree(version.change.sequence).values()
                        elsewhere = b"".join(folder.mirror.content(each.sha256 or "") for each in tree)
                        lost = missing - set(TOKEN.findall(elsewhere))
                        assert not lost, f"{version.path} version {version.number} lost {lost}"
                    history |= tokens
                    before = tokens
        assert self.written <= history | self.deleted, f"never arrived: {self.written - history}"

    def close(self) -> None:
        for copy in self.copies:
            copy.api.close()


def _out_of_the_way(wanted: Path, *, root: Path, name: str) -> None:
    """A folder is where a file shall be, or a file where a folder: its owner gives it another name."""
    for place in (wanted, *wanted.parents):
        if place == root:
            return
        if place.is_dir() if place == wanted else place.is_file():
            number = 0
            while (other := place.with_name(f"{name}-{number}")).exists():
                number += 1
            place.rename(other)


def _both(mine: bytes, theirs: bytes) -> bytes:
    held = set(TOKEN.findall(mine))
    return mine + b"".join(line for line in theirs.splitlines(keepends=True) if line.strip() not in held)


OPERATIONS = st.one_of(
    st.tuples(st.just("edit"), WHO, WHICH, st.integers(0, 12)),
    st.tuples(st.just("edit"), WHO, WHICH, st.integers(0, 12)),
    st.tuples(st.just("delete"), WHO, WHICH),
    st.tuples(st.just("move"), WHO, WHICH, WHICH),
    st.tuples(st.just("write_directly"), WHICH),
    st.tuples(st.just("decide"), WHO),
    st.tuples(
        st.just("sync"),
        WHO,
        st.sampled_from(["push", "push", "pull"]),
        st.one_of(st.none(), st.none(), st.integers(0, 6)),
        st.one_of(st.none(), st.integers(0, 40)),
    ),
)


@pytest.fixture(scope="module")
def people(stack: Stack, server: Server) -> tuple[Someone, Someone]:
    return Someone(stack, server, "one"), Someone(stack, server, "other")


@settings(
    max_examples=EXAMPLES or 5,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    # What fails is random enough already, and shrinking takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@example(
    [("edit", 0, 0, 0), ("sync", 0, "push", None, 9), ("edit", 0, 0, 0), ("sync", 0, "push", None, None)]
)
@example(
    [("edit", 0, 0, 0), ("sync", 0, "push", 0, None), ("edit", 0, 0, 1), ("sync", 0, "push", None, None)]
)
@given(operations=st.lists(OPERATIONS, min_size=10, max_size=30))
def test_nothing_is_lost_and_all_end_equal(people: Any, operations: list[Any]) -> None:
    directory = Path(tempfile.mkdtemp(prefix="verso-sync-"))
    world = World(people, directory)
    try:
        for name, *given in operations:
            getattr(world, name)(*given)
        world.settle()
        world.check()
    finally:
        world.close()
        shutil.rmtree(directory)

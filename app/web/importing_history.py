"""A history into a project: a bundle of Git is looked at, then every commit becomes a change.

As with archives nothing is kept between the look and the import. The bundle is sent again, and must be the
one that was looked at, with the same choices, on the project as it was then. An import that was broken off is
gone on with by sending it once more.

A script is answered while it works, in lines of JSON: `{"done": n, "total": m, "what": "commits imported"}`,
and in the last one `{"html": …}`, which says what came of it. Without a script the answer is the page.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from app.api.problems import PROBLEMS
from app.errors import VersoError
from app.git.read.indexing import Limits
from app.model import Project
from app.sources.git.frames import Order, Outcome, Progressed
from app.supabase.spool import PREFIX
from app.supabase.upload import Upload
from app.turns import Turns
from app.web.bundles import BundleReader
from app.web.forms import PageForm
from app.web.importing import SHOWN, History, import_page
from app.web.rendering import home_of
from app.web.visiting import Sender, Visitor

log = structlog.get_logger(__name__)

LINES = "application/x-ndjson"
MOST_OBJECTS = 1_000_000
MOST_OBJECT_SIZE = 256 << 20
MOST_UNPACKED = 20 << 30
"""Bytes of all objects of a bundle: as many as an archive may have."""
MOST_PATTERNS = 200
WAIT_SECONDS = 20.0
"""How long one waits for others' imports before one is sent away."""
_TOLD = frozenset({400, 409, 413, 422, 503})
_REFUSED = 422
_NO_COMMIT = "0" * 40


@post("/p/{project:str}/import/history", status_code=200, request_max_body_size=None)
async def import_history(sender: NamedDependency[Sender], project: FromPath[str]) -> Response[Any]:
    """Say what a bundle would bring; or import it, if that was looked at."""

    async def check(visitor: Visitor, _name: str) -> None:
        await _check_first(visitor, project)

    with PageForm(sender, check) as form:
        visitor = await form.read()
        here = await visitor.services.ledger.read_project(visitor.token, project=project)
        run = _Run(visitor, here, form)
        steps = run.steps()
        if LINES in visitor.request.headers.get("accept", ""):
            first = await anext(steps)
            # From here on the file is the import's: it is read when this function is long over.
            form.files.clear()
            lines = run.lines(first, steps)
            return Stream(lines, media_type=LINES, headers={"Cache-Control": "private, no-store"})
        try:
            async with aclosing(steps):
                outcome = [step async for step in steps][-1]
        except VersoError as error:
            # A code that the API doesn't have is the reader's, of what is in the bundle.
            status = PROBLEMS[error.code].status if error.code in PROBLEMS else _REFUSED
            if status not in _TOLD:
                raise
            told = msgspec.structs.replace(run.given, sentence=error.sentence)
            return await import_page(visitor, here=here, history=told, status=status)
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    return await import_page(visitor, here=here, history=run.told(outcome))


class _Run:
    """One look at a bundle, or one import of it."""

    def __init__(self, visitor: Visitor, here: Project, form: PageForm) -> None:
        self._visitor = visitor
        self._here = here
        self._file = form.files[0] if form.files else None
        fields = form.fields
        choices = [fields.get(name, "").strip() for name in ("branch", "include", "exclude")]
        looked = self._looked(*choices)
        wanted = fields.get("act") == "import"
        self.given = History(
            branch=choices[0],
            include=choices[1],
            exclude=choices[2],
            looked=looked,
            name=self._file.name if self._file else "",
            again=wanted and fields.get("looked") != looked,
        )
        self._act: Literal["look", "import"] = "import" if wanted and not self.given.again else "look"

    async def steps(self) -> AsyncGenerator[Progressed | Outcome]:
        """How far it is, and in the end what came of it. Raises VersoError as `BundleReader` does."""
        if self._file is None:
            raise VersoError("bad_change", "Choose one bundle first.")
        turns = self._visitor.pages.reading
        upload = self._file.upload
        try:
            yield Progressed(
                0, 0, "Waiting for others' imports" if turns.are_taken() else "Reading the bundle"
            )
            async with _turn(turns):
                with tempfile.TemporaryDirectory(
                    dir=self._visitor.services.settings.spool_dir, prefix=PREFIX
                ) as scratch:
                    order = await asyncio.to_thread(self._order, upload, Path(scratch))
                    reader = BundleReader(self._visitor.services, self._visitor.actor, self._here.id)
                    async with aclosing(reader.run(order)) as said:
                        async for each in said:
                            yield each
        finally:
            upload.discard()

    async def lines(
        self, first: Progressed | Outcome, steps: AsyncGenerator[Progressed | Outcome]
    ) -> AsyncIterator[bytes]:
        """The steps as lines of JSON. What is refused now is no status any more: the last line says it."""
        told = self.given
        try:
            async with aclosing(steps):
                yield _line(first)
                async for step in steps:
                    if isinstance(step, Outcome):
                        told = self.told(step)
                    else:
                        yield _line(step)
        except VersoError as error:
            told = msgspec.structs.replace(told, sentence=error.sentence)
        except Exception:
            log.exception("import.fault", request_id=self._visitor.request.scope.get("verso_request_id"))
            told = msgspec.structs.replace(told, sentence="Something went wrong in Verso itself.")
        home = home_of(self._here, await self._visitor.me())
        html = self._visitor.pages.html("projects/history_told.html", history=told, home=home, most=SHOWN)
        yield msgspec.json.encode({"html": html}) + b"\n"

    def told(self, outcome: Progressed | Outcome) -> History:
        """The form, with what came of it."""
        if not isinstance(outcome, Outcome):
            raise TypeError(outcome)
        given = self.given
        # Where there is a choice of branches, the one that was looked at is what the form has chosen now.
        branch = outcome.branch if len(outcome.branches) > 1 else given.branch
        looked = self._looked(branch, given.include, given.exclude)
        return msgspec.structs.replace(given, outcome=outcome, branch=branch, looked=looked)

    def _looked(self, *choices: str) -> str:
        """What says that the same was looked at: the bundle, the choices, and where the project stood."""
        sha256 = self._file.upload.sha256 if self._file else ""
        digest = hashlib.sha256(msgspec.json.encode(choices)).hexdigest()[:16]
        return f"{self._here.change_sequence}-{sha256}-{digest}"

    def _order(self, upload: Upload, scratch: Path) -> Order:
        path = upload.path
        if path is None:
            path = scratch / "history.bundle"
            path.write_bytes(upload.read())
        return Order(
            act=self._act,
            bundle=str(path.absolute()),
            scratch=str(Path(scratch).absolute()),
            name=self.given.name[:200],
            project=self._here.id,
            branch=self.given.branch or None,
            include=_patterns(self.given.include),
            exclude=_patterns(self.given.exclude),
            limits=Limits(
                objects=MOST_OBJECTS,
                object_size=min(MOST_OBJECT_SIZE, self._visitor.services.settings.max_upload_size),
                total_size=MOST_UNPACKED,
            ),
        )


async def _check_first(visitor: Visitor, project: str) -> None:
    """Stop who may not import before the bytes travel. Raises VersoError as an import does."""
    imports, token = visitor.services.imports, visitor.token
    state = await imports.read_import(token, project=project)
    await imports.prepare_import(
        token, project=project, after=state.after, origin_ids=[_NO_COMMIT], contents=[]
    )


@asynccontextmanager
async def _turn(turns: Turns) -> AsyncIterator[None]:
    async with AsyncExitStack() as held:
        try:
            await held.enter_async_context(turns.one(wait_s=WAIT_SECONDS))
        except TimeoutError:
            raise VersoError(
                "imports_busy",
                "Others are importing histories just now. Nothing was done; try again in a minute.",
            ) from None
        yield


def _patterns(text: str) -> list[str]:
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if len(found) > MOST_PATTERNS:
        raise VersoError("bad_value", f"Give at most {MOST_PATTERNS} patterns.")
    return found


def _line(step: Progressed | Outcome) -> bytes:
    if not isinstance(step, Progressed):
        raise TypeError(step)
    return msgspec.json.encode({"done": step.done, "total": step.total, "what": step.what}) + b"\n"

"""A Git history coming in: where it stands, and the next commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.bodies import declared_length, decode_json, take_struct
from app.api.digests import check_digest, claimed_sha256
from app.api.links import Page, page_of, position_of
from app.api.media_types import media_type_of
from app.api.paging import Cursor, Limit, page_size
from app.api.parts import Part, Parts
from app.api.services import Services
from app.errors import VersoError
from app.flows.import_changes import ImportRun
from app.model.imports import Batch, Commit, CommitItem, ImportAnswer, ImportedCommit, ImportState
from app.supabase.identity import Actor

if TYPE_CHECKING:
    from app.supabase.upload import Upload

ROUTE = "/v1/projects/{project:str}/imports/git"


@get(ROUTE, tags=["imports"], summary="Where a Git import stands")
async def read_import(
    services: NamedDependency[Services], actor: NamedDependency[Actor], project: FromPath[str]
) -> ImportState:
    """What the next batch must name as `after`, the last commit that is there, and how many are."""
    return await services.imports.read_import(actor.token, project=project)


@get(f"{ROUTE}/commits", tags=["imports"], summary="Which Git commits are imported")
async def list_imports(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[ImportedCommit]]:
    """In the order of their changes."""
    size = page_size(limit, services.settings)
    found = await services.imports.list_imports(
        actor.token, project=project, after=position_of(cursor, int), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.sequence)


@post(ROUTE, tags=["imports"], summary="Import Git commits", request_max_body_size=None)
async def import_changes(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
) -> Response[ImportAnswer]:
    """For owners: a batch of commits in one transaction, each a change, on top of what is imported already.

    multipart/form-data: a part `batch` (JSON, see the schema of Batch), then one file for each new content,
    its part named by its SHA-256. Contents that the project has need not be sent. Without new contents the
    batch may be the JSON body itself. The same batch again, or one that begins with commits that are there,
    is answered as it was.
    """
    settings = services.settings
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/json", "multipart/form-data"}:
        raise VersoError("bad_media_type", "Send an import as multipart/form-data or application/json.")
    is_json = kind == "application/json"
    declared_length(request, limit=settings.max_json_size if is_json else settings.max_change_size)
    form = BatchForm(services, actor, project)
    try:
        if is_json:
            await form.open(await take_struct(request, settings, Batch))
        else:
            await form.take(request)
        return Response(await form.finish(), status_code=201)
    finally:
        await form.discard()


class BatchForm(Parts):
    """Takes a batch in: its JSON first, then its contents, each into storage as it comes."""

    def __init__(self, services: Services, actor: Actor, project: str) -> None:
        super().__init__(services.settings)
        self._services = services
        self._actor = actor
        self._project = project
        self._run: ImportRun | None = None

    async def open(self, batch: Batch) -> None:
        """Stop what may not be imported before its contents travel. Raises VersoError."""
        self._run = ImportRun(
            self._services.imports,
            self._services.blobs,
            actor=self._actor,
            batch=typed(batch),
            project=self._project,
            concurrency=self._settings.upload_concurrency,
        )
        await self._run.prepare()

    async def begin(self, part: Part) -> None:
        """Refuse a part that nobody asked for before its bytes come."""
        if part.filename is not None:
            self._running.expects(part.name)
        elif part.name != "batch" or self._run is not None:
            raise VersoError(
                "bad_multipart",
                f"The part {part.name[:100]!r} is neither the one batch, which comes first, nor a file.",
            )

    async def end(self, part: Part, upload: Upload) -> None:
        """Read the batch, or pass a content on."""
        if part.filename is None:
            await self.open(decode_json(upload.data or b"", Batch))
            return
        try:
            check_digest(claimed_sha256(part.headers), upload.sha256)
        except VersoError:
            upload.discard()
            raise
        await self._running.take(part.name, upload)

    async def finish(self) -> ImportAnswer:
        """Write the batch. Raises VersoError."""
        return await self._running.finish()

    async def discard(self) -> None:
        """Remove what was taken in and not stored."""
        self.close()
        if self._run is not None:
            await self._run.close()

    @property
    def _running(self) -> ImportRun:
        if self._run is None:
            raise VersoError("bad_multipart", "Put the part `batch` first: it says what for.")
        return self._run


def typed(batch: Batch) -> Batch:
    """A batch whose contents have media types."""
    return msgspec.structs.replace(batch, changes=[_typed(each) for each in batch.changes])


def _typed(commit: Commit) -> Commit:
    """A commit whose contents have media types: those that it says, or those of their names."""
    items: list[CommitItem] = [
        item
        if item.sha256 is None
        else msgspec.structs.replace(item, media_type=media_type_of(item.media_type, item.path))
        for item in commit.items
    ]
    return msgspec.structs.replace(commit, items=items)

"""Attributions computed: of versions that have none kept, on top of the nearest ones that have.

Or, to prove what is kept, of all of a document's versions from their bytes alone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import structlog

from app.errors import VersoError
from app.model import Action
from app.supabase.insights import AttributionToKeep
from app.text.blame import Attribution, Run, Source
from app.text.errors import TookTooLongError
from app.text.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import Ancestor, Insights
    from app.text.bounded import TextWorkers

log = structlog.get_logger(__name__)

PAGE = 500
MAX_ROWS = 20_000
"""How many versions a walk back may read the rows of."""
MAX_COMPUTED = 300
"""How many attributions one request computes; a repeat goes on from there."""
MEMORY_RUNS = 300_000
MEMORY_TEXT = 16 * 1024 * 1024
MEMORY_ROWS = 5_000
MEMORY_NOT_TEXT = 500


class Known(NamedTuple):
    """An attribution, and how it differs from the version before."""

    runs: Attribution
    added: int | None = None
    removed: int | None = None


class Memory:
    """What this process has computed: attributions, and texts that a next version will be compared with.

    Keys are hashes that only readers of a version know; whoever asks has been let through by the database.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bool], Known] = OrderedDict()
        self._texts: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._rows: OrderedDict[str, Ancestor] = OrderedDict()
        self._not_text: OrderedDict[str, None] = OrderedDict()
        self._run_count = 0
        self._text_size = 0

    def known(self, version: str, *, proven: bool) -> Known | None:
        """The attribution of a version; `proven` ones were made from bytes alone."""
        key = (version, proven)
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def keep(self, row: Ancestor, known: Known, *, proven: bool) -> None:
        """Remember an attribution, and the version, so that the next one needn't ask for it."""
        self._rows[row.hash] = row
        if len(self._rows) > MEMORY_ROWS:
            self._rows.popitem(last=False)
        if (row.hash, proven) not in self._known:
            self._known[row.hash, proven] = known
            self._run_count += len(known.runs) + 1
            while self._run_count > MEMORY_RUNS:
                self._run_count -= len(self._known.popitem(last=False)[1].runs) + 1

    def row(self, version: str) -> Ancestor | None:
        """What a version was when its attribution was computed."""
        return self._rows.get(version)

    def note_not_text(self, sha256: str) -> None:
        """Remember that a content cannot be searched."""
        self._not_text[sha256] = None
        if len(self._not_text) > MEMORY_NOT_TEXT:
            self._not_text.popitem(last=False)

    def not_text(self) -> list[str]:
        """Contents that were found to be no text."""
        return list(self._not_text)

    def text(self, project: str, sha256: str) -> bytes | None:
        """The bytes of a content, if they passed through here lately."""
        return self._texts.get((project, sha256))

    def keep_text(self, project: str, sha256: str, text: bytes) -> None:
        """Remember bytes that this process has hashed itself."""
        if (project, sha256) not in self._texts:
            self._texts[project, sha256] = text
            self._text_size += len(text)
            while self._text_size > MEMORY_TEXT:
                self._text_size -= len(self._texts.popitem(last=False)[1])


class Attributor:
    """Computes attributions of one document for one caller."""

    def __init__(
        self,
        insights: Insights,
        blobs: Blobs,
        workers: TextWorkers,
        memory: Memory,
        *,
        actor: Actor,
        document: str,
        limit: int,
        proven: bool = False,
    ) -> None:
        self._insights = insights
        self._blobs = blobs
        self._workers = workers
        self._memory = memory
        self._actor = actor
        self._document = document
        self._limit = limit
        self._proven = proven
        self._rows: dict[int, Ancestor] = {}
        self._known: dict[int, Known] = {}
        self._computed: list[int] = []

    async def attribution(self, number: int) -> Known:
        """Who wrote the lines of a version. Raises VersoError, `blame_unfinished` if that is too much."""
        open_numbers = [number]
        while open_numbers:
            current = open_numbers[-1]
            if current in self._known:
                open_numbers.pop()
                continue
            row = await self._row(current)
            if current in self._known:
                continue
            missing = [each for each in _sources_of(row, self._rows) if each not in self._known]
            for each in missing:
                if each not in self._rows:
                    await self._row(each)
            missing = [each for each in missing if each not in self._known]
            if missing:
                open_numbers += missing
                continue
            if len(self._computed) >= MAX_COMPUTED:
                raise VersoError(
                    "blame_unfinished",
                    f"{len(self._computed)} versions were gone through, and there are more. Ask again: it "
                    "goes on from there.",
                    number=current,
                )
            self._known[current] = await self._compute(row)
            self._memory.keep(row, self._known[current], proven=self._proven)
            self._computed.append(current)
        if number not in self._computed:
            self._computed.append(number)  # remembered, but not kept: perhaps keeping it failed
        return self._known[number]

    def add_row(self, row: Ancestor) -> None:
        """Take in what is known of a version, with its attribution if that is kept."""
        if row.number in self._rows:
            return
        self._rows[row.number] = row
        remembered = self._memory.known(row.hash, proven=self._proven)
        if remembered is not None:
            self._known[row.number] = remembered
        elif row.sha256 is None:
            self._known[row.number] = Known(())
        elif row.runs is not None and not self._proven:
            self._known[row.number] = Known(_from_triples(row.runs))

    async def _row(self, number: int) -> Ancestor:
        if number not in self._rows:
            if len(self._rows) > MAX_ROWS:
                raise VersoError(
                    "blame_too_long",
                    f"More than {MAX_ROWS:,} versions of this document have no attribution yet. Ask for an "
                    "earlier one (at=) first.",
                )
            page = await self._insights.list_attributions(
                self._actor.token,
                document=self._document,
                upto=number,
                page_size=PAGE,
                ignore_kept=self._proven,
            )
            for row in page:
                self.add_row(row)
        return self._rows[number]

    async def _compute(self, row: Ancestor) -> Known:
        numbers = _sources_of(row, self._rows)
        for number in numbers:
            if self._rows[number].sha256 == row.sha256:
                # The same bytes have the same lines: nothing needs to be read.
                return Known(self._known[number].runs, *await self._diffstat(row))
        text = await self._text(row)
        sources = [Source(await self._text(self._rows[each]), self._known[each].runs) for each in numbers]
        runs = await self._attributed(text, str(row.number), sources)
        if len(numbers) > 1:
            return Known(runs, *await self._diffstat(row))
        return Known(runs, *_counts(runs, own=str(row.number), before=sources))

    async def _diffstat(self, row: Ancestor) -> tuple[int, int] | tuple[None, None]:
        """Lines added to and removed from the version before, where the attribution doesn't tell."""
        before = await self._row(row.number - 1)
        if before.sha256 == row.sha256:
            return 0, 0
        try:
            return await count_lines(self._workers, await self._text(before), await self._text(row))
        except (VersoError, TookTooLongError):
            return None, None  # blame does without

    async def _attributed(self, text: bytes, version: str, sources: Sequence[Source]) -> Attribution:
        try:
            return await self._workers.attribute(text, version=version, sources=sources)
        except TookTooLongError:
            raise self._too_large() from None

    async def _text(self, row: Ancestor) -> bytes:
        if row.sha256 is None or row.size is None:
            return b""
        held = self._memory.text(row.project, row.sha256)
        if held is not None:
            return held
        if row.size > self._limit:
            raise self._too_large()
        if not row.copies:
            raise VersoError(
                "content_erased",
                f"The bytes of version {row.number} were erased, so who wrote its lines can't be computed.",
                number=row.number,
            )
        key = (row.project, row.sha256)
        with await self._blobs.fetch(self._actor.token, key=key, size=row.size, copies=row.copies) as content:
            text = await content.read()
        self._memory.keep_text(row.project, row.sha256, text)
        return text

    def to_keep(self) -> list[AttributionToKeep]:
        """What was computed of the caller's own versions and isn't kept yet; what is proven only verifies."""
        if self._proven:
            return []
        return [
            _to_keep(self._rows[number].hash, self._known[number])
            for number in self._computed
            if self._rows[number].author == self._actor.id and self._rows[number].runs is None
        ]

    def _too_large(self) -> VersoError:
        return VersoError(
            "diff_too_large",
            "A version of this document is too large or too different from the one before to be compared "
            "line by line.",
            limit=self._limit,
        )


def _sources_of(row: Ancestor, rows: Mapping[int, Ancestor]) -> list[int]:
    """The numbers of the versions that one was made from, in the order in which they are asked for lines."""
    if row.restored_from is not None:
        return [row.restored_from]  # its content, all of it
    before = row.number - 1
    if row.action is Action.add or before == 0:
        return []
    others = [] if row.merged_from is None else [row.merged_from]
    # Git asks the parent with the same content first, and then no other.
    parent = rows.get(before)
    if parent is not None and parent.sha256 == row.sha256:
        return [before]
    return [before, *others]


async def count_lines(workers: TextWorkers, old: bytes, new: bytes) -> tuple[int, int]:
    """How many lines `new` has that `old` hasn't, and the other way round. Raises TookTooLongError."""
    lines = len(split_lines(old))
    source = Source(old, (Run("old", 1, lines),) if lines else ())
    runs = await workers.attribute(new, version="new", sources=[source])
    return _counts(runs, own="new", before=[source])


def _counts(runs: Attribution, *, own: str, before: Sequence[Source]) -> tuple[int, int]:
    """Lines that are the version's own, and lines of the one before that it doesn't have."""
    added = sum(run.lines for run in runs if run.origin == own)
    kept = sum(run.lines for run in runs) - added
    return added, sum(run.lines for source in before for run in source.runs) - kept


def _from_triples(flat: Sequence[int]) -> Attribution:
    """An attribution as the database keeps it."""
    return tuple(Run(str(flat[at]), flat[at + 1], flat[at + 2]) for at in range(0, len(flat), 3))


def _to_keep(version: str, known: Known) -> AttributionToKeep:
    """An attribution for the database to keep."""
    flat = [number for run in known.runs for number in (int(run.origin), run.line, run.lines)]
    return AttributionToKeep(version=version, runs=flat, added=known.added, removed=known.removed)


async def keep_attributions(insights: Insights, *, actor: Actor, items: Sequence[AttributionToKeep]) -> None:
    """Store what was computed, if anything. A failure costs only that it is computed again."""
    if not items:
        return
    try:
        await insights.store_attributions(actor.token, items=items)
    except VersoError as error:
        log.warning("attributions.not_kept", code=error.code, versions=len(items))

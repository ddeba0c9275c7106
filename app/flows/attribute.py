"""Where the lines of versions came from, computed for those of which that isn't kept; and who wrote them.

Who wrote them in the end is found by following what is kept and what was computed, down to where it is
settled. Or, to prove what is kept, all of a document's versions are computed from their bytes alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from app.errors import VersoError
from app.flows.read_ahead import read_ahead
from app.model import Action
from app.supabase.insights import AttributionToKeep
from app.text.blame import Run, Source
from app.text.errors import TookTooLongError
from app.text.lineage import Triples, follow, lines_in, sources_in
from app.text.lines import line_count

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from app.flows.read_ahead import Texts
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import Ancestor, Insights
    from app.text.blame import Attribution
    from app.text.bounded import TextWorkers

PAGE = 500
MAX_ROWS = 20_000
"""How many versions a walk back may read the rows of."""
MAX_COMPUTED = 500
"""How many versions' lines one request traces; a repeat goes on from there."""
MEMORY_MADE = 20_000
MEMORY_TEXT = 16 * 1024 * 1024
MEMORY_NOT_TEXT = 500


class Made(NamedTuple):
    """Where the lines of a version came from, and how it differs from the version before."""

    runs: Triples
    added: int | None = None
    removed: int | None = None


class Memory:
    """What this process has computed, and texts that a next version will be compared with.

    Keys are hashes that only readers of a version know; whoever asks has been let through by the database.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[str, tuple[Ancestor, Made]] = OrderedDict()
        self._texts: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._not_text: OrderedDict[str, None] = OrderedDict()
        self._text_size = 0

    def made(self, version: str) -> Made | None:
        """Where a version's lines came from: computed from bytes, so as good as proven."""
        found = self._made.get(version)
        return None if found is None else found[1]

    def row(self, version: str) -> Ancestor | None:
        """What a version was when that was computed."""
        found = self._made.get(version)
        return None if found is None else found[0]

    def keep(self, row: Ancestor, made: Made) -> None:
        """Remember what was computed, and the version, so that the next one needn't ask for it."""
        self._made[row.hash] = row, made
        self._made.move_to_end(row.hash)
        if len(self._made) > MEMORY_MADE:
            self._made.popitem(last=False)

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

    def forget(self) -> None:
        """Drop texts, and versions with what is known of their objects; they come again."""
        self._texts.clear()
        self._text_size = 0
        self._made.clear()

    def keep_text(self, project: str, sha256: str, text: bytes) -> None:
        """Remember bytes that this process has hashed itself."""
        if (project, sha256) in self._texts:
            self._texts.move_to_end((project, sha256))
        else:
            self._texts[project, sha256] = text
            self._text_size += len(text)
            while self._text_size > MEMORY_TEXT:
                self._text_size -= len(self._texts.popitem(last=False)[1])


class Attributor:
    """Traces the lines of one document's versions for one caller."""

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
        self._made: dict[int, Made] = {}
        self._disbelieved: set[int] = set()
        # Computed, but with a number of lines that is somebody's word.
        self._believed: set[int] = set()

    async def attribution(self, number: int) -> list[int]:
        """Who wrote each line of a version, as `app.text.lineage` has lines.

        Raises VersoError, `blame_unfinished` if that is too much for once.
        """
        while True:
            order = await self._needed(number)
            await self._trace([each for each in order if self._kept(each) is None])
            wrong: set[int] = set()
            held: dict[int, list[int]] = {}
            left = Counter(source for each in order for source in self._sources(each))
            for each in order:
                settled = self._settled(each)
                if settled is not None:
                    held[each] = lines_in(settled)
                    continue
                try:
                    held[each] = follow(self._kept(each) or (), number=each, held=held)
                except ValueError:
                    wrong = {each, *self._sources(each)} - self._disbelieved
                    break
                for source in self._sources(each):
                    left[source] -= 1
                    if not left[source]:
                        del held[source]  # of a long history only what is still to be handed on is held
            else:
                return held[number]
            if not wrong:
                raise ValueError("What was computed names lines that aren't there.")
            # The word of one of their authors cannot be: their bytes decide.
            self._disbelieved |= wrong
            for each in wrong & self._believed:
                del self._made[each]

    async def trace(self, number: int) -> None:
        """Find where the lines of one version came from, if that isn't known. Raises VersoError."""
        await self._row(number, page_size=2)
        if self._kept(number) is None:
            await self._load_sources(number, page_size=2)
            await self._trace([number])

    def add_row(self, row: Ancestor) -> None:
        """Take in what is known of a version."""
        if row.number not in self._rows:
            self._rows[row.number] = row
            made = self._memory.made(row.hash)
            if made is not None:
                self._made[row.number] = made

    def to_keep(self) -> list[AttributionToKeep]:
        """What was computed of the caller's own versions and isn't kept yet; what is proven only verifies."""
        if self._proven:
            return []
        return [
            AttributionToKeep(
                version=self._rows[number].hash, runs=list(made.runs), added=made.added, removed=made.removed
            )
            for number, made in sorted(self._made.items())
            if self._rows[number].author == self._actor.id and self._rows[number].runs is None
        ]

    def _settled(self, number: int) -> Sequence[int] | None:
        return None if number in self._disbelieved else self._rows[number].settled

    def _kept(self, number: int) -> Sequence[int] | None:
        """Triples of a version, from the database's rows or computed; none of a delete; null if not known."""
        row = self._rows[number]
        if number in self._made:
            return self._made[number].runs
        if row.sha256 is None or self._settled(number) is not None:
            return ()
        return None if number in self._disbelieved else row.runs

    def _sources(self, number: int) -> set[int]:
        return sources_in(self._kept(number) or (), number=number)

    async def _needed(self, number: int) -> list[int]:
        """The versions that a version's lines may have come through, the oldest first."""
        found: set[int] = set()
        ahead = [number]
        while ahead:
            current = ahead.pop()
            if current in found:
                continue
            found.add(current)
            await self._row(current)
            if self._settled(current) is not None:
                continue
            if self._kept(current) is None:
                ahead += await self._load_sources(current)
            else:
                ahead += self._sources(current)
        return sorted(found)

    async def _load_sources(self, number: int, *, page_size: int = PAGE) -> list[int]:
        """The versions that one was made from, their rows at hand."""
        row = self._rows[number]
        if row.number > 1:
            await self._row(row.number - 1, page_size=page_size)  # for the diffstat, if for nothing else
        sources = self._made_from(row)
        for each in sources:
            await self._row(each, page_size=page_size)
        return sources

    def _made_from(self, row: Ancestor) -> list[int]:
        """The numbers of the versions that one was made from, as they are asked for lines, one by one."""
        if row.restored_from is not None:
            return [row.restored_from]  # its content, all of it
        before = row.number - 1
        if row.action is Action.add or before == 0:
            # What an import adds anew may go on from what the document was on another branch.
            return [] if row.merged_from is None else [row.merged_from]
        # Git asks the parent with the same content first, and then no other.
        if row.merged_from is None or self._rows[before].sha256 == row.sha256:
            return [before]
        return [before, row.merged_from]

    async def _row(self, number: int, *, page_size: int = PAGE) -> Ancestor:
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
                page_size=page_size,
                ignore_kept=self._proven,
            )
            for row in page:
                self.add_row(row)
        return self._rows[number]

    async def _trace(self, numbers: Sequence[int]) -> None:
        """Compute where the lines of these versions came from, the texts being read ahead."""
        now = numbers[:MAX_COMPUTED]
        traced = set(now)
        wanted = [(each, self._texts_for(each, traced)) for each in now]
        async for number, texts in read_ahead(
            self._blobs, self._memory, actor=self._actor, wanted=wanted, limit=self._limit
        ):
            row = self._rows[number]
            self._made[number] = await self._compute(row, texts)
            if self._is_believed(row, texts):
                self._believed.add(number)
            else:
                self._memory.keep(row, self._made[number])
        if len(numbers) > len(now):
            raise VersoError(
                "blame_unfinished",
                f"{len(now)} versions were gone through, and there are more. Ask again: it goes on from "
                "there.",
                number=numbers[len(now)],
            )

    def _texts_for(self, number: int, traced: Collection[int]) -> list[Ancestor]:
        row = self._rows[number]
        sources = self._made_from(row)
        before = [number - 1] if number > 1 else []
        if self._is_as_before(row) and sources == before:
            known = sources[0] in traced or self._line_count(sources[0]) is not None
            return [] if known else [row]
        return [row, *(self._rows[each] for each in dict.fromkeys(sources + before))]

    def _is_as_before(self, row: Ancestor) -> bool:
        """Whether a version has the very bytes of one that it was made from, and so its lines."""
        sources = self._made_from(row)
        return bool(sources) and self._rows[sources[0]].sha256 == row.sha256

    def _is_believed(self, row: Ancestor, texts: Texts) -> bool:
        """Whether what was made of a version rests on a number of lines that nobody here has counted."""
        if row.sha256 in texts.found:
            return False
        source = self._made_from(row)[0]
        return source not in self._made or source in self._believed

    def _line_count(self, number: int) -> int | None:
        settled = self._settled(number)
        kept = self._kept(number) if settled is None else settled
        return None if kept is None else sum(kept[2::3])

    async def _compute(self, row: Ancestor, texts: Texts) -> Made:
        numbers = self._made_from(row)
        if self._is_as_before(row):
            told = None if row.sha256 in texts.found else self._line_count(numbers[0])
            lines = line_count(texts.of(row)) if told is None else told
            same: Triples = (numbers[0], 1, lines) if lines else ()
            if numbers == [row.number - 1]:
                return Made(same, 0, 0)
            return Made(same, *await self._diffstat(row, texts))
        sources = [_whole(each, texts.of(self._rows[each])) for each in numbers]
        made = await self._attributed(texts.of(row), str(row.number), sources)
        runs = tuple(number for run in made for number in (int(run.origin), run.line, run.lines))
        if numbers in ([], [row.number - 1]):
            return Made(runs, *_counts(made, own=str(row.number), before=sources))
        return Made(runs, *await self._diffstat(row, texts))

    async def _diffstat(self, row: Ancestor, texts: Texts) -> tuple[int, int] | tuple[None, None]:
        """Lines added to and removed from the version before, where the runs don't tell."""
        try:
            return await count_lines(self._workers, texts.of(self._rows[row.number - 1]), texts.of(row))
        except (VersoError, TookTooLongError):
            return None, None  # blame does without

    async def _attributed(self, text: bytes, version: str, sources: Sequence[Source]) -> Attribution:
        await asyncio.sleep(0)  # one after the other, and others in between
        try:
            return await self._workers.attribute(text, version=version, sources=sources)
        except TookTooLongError:
            raise VersoError(
                "diff_too_large",
                "A version of this document is too large or too different from the one before to be compared "
                "line by line.",
                limit=self._limit,
            ) from None


async def count_lines(workers: TextWorkers, old: bytes, new: bytes) -> tuple[int, int]:
    """How many lines `new` has that `old` hasn't, and the other way round. Raises TookTooLongError."""
    if old == new:
        return 0, 0
    source = _whole(0, old)
    runs = await workers.attribute(new, version="new", sources=[source])
    return _counts(runs, own="new", before=[source])


def _whole(number: int, text: bytes) -> Source:
    """A version as a source that claims all its lines."""
    lines = line_count(text)
    return Source(text, (Run(str(number), 1, lines),) if lines else ())


def _counts(runs: Attribution, *, own: str, before: Sequence[Source]) -> tuple[int, int]:
    """Lines that are the version's own, and lines of the one before that it doesn't have."""
    added = sum(run.lines for run in runs if run.origin == own)
    kept = sum(run.lines for run in runs) - added
    return added, sum(run.lines for source in before for run in source.runs) - kept

"""Analytics counted by hand: docs/analytics.md in plain Python, from the rows of history and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.schema.world import World

STAGES = ("intent", "context", "spec", "plan", "tasks", "implementation", "feedback")
FOLDERS = dict(
    zip(("intents", "contexts", "specs", "plans", "tasks", "implementation", "feedback"), STAGES, strict=True)
)
ENDS = ("complete", "skipped")
BEGUN = ("in_progress", "complete", "failed")
Row = Any
Key = tuple[Any, ...]


def bucket(milliseconds: int) -> int:
    """As the docs say it: exact below 128, then 64 steps in each doubling."""
    if milliseconds < 128:
        return milliseconds
    shift = milliseconds.bit_length() - 7
    return 64 * shift + (milliseconds >> shift)


def between(earlier: datetime, later: datetime) -> int:
    return max((later - earlier) // timedelta(milliseconds=1), 0)


@dataclass
class Tally:
    """Figures by (day, stage, actor, figure), times by the same and bucket, contested by (day, document)."""

    counts: Counter[Key] = field(default_factory=Counter)
    times: dict[Key, tuple[int, int]] = field(default_factory=dict)
    histograms: dict[Key, tuple[int, dict[int, int]]] = field(default_factory=dict)
    """At a level: the sum of milliseconds, and how many there are in each bucket."""
    contested: Counter[Key] = field(default_factory=Counter)

    def count(self, at: datetime, stage: str | None, actor: str, figure: str, n: int = 1) -> None:
        if n:
            self.counts[at.astimezone(UTC).date(), stage, actor, figure] += n

    def time(self, at: datetime, stage: str | None, actor: str, figure: str, taken: int) -> None:
        key = (at.astimezone(UTC).date(), stage, actor, figure, bucket(taken))
        n, total = self.times.get(key, (0, 0))
        self.times[key] = (n + 1, total + taken)


@dataclass
class History:
    """The rows that figures are made of."""

    reports: list[Row]
    versions: list[Row]
    sessions: list[Row]
    threads: list[Row]
    acts: list[Row]
    reviews: list[Row]


async def read_history(world: World, project: str) -> History:
    async def rows(sql: str) -> list[Row]:
        return await world.sql(sql, project)

    return History(
        reports=await rows(
            "select *, stage::text as stage, state::text as state, actor::text as actor "
            "from public.stage_events where project_id = $1"
        ),
        versions=await rows(
            """select v.hash, v.document_id, v.number, v.path, v.position, v.merged_from, v.action, c.committed_at, c.actor,
                      case when c.origin_id is null then c.author_id::text
                        else coalesce(c.attributed_to::text, lower(c.author_email), c.author_name) end as writer
               from public.versions v
               join public.changes c on c.project_id = v.project_id and c.sequence = v.change_sequence
               where v.project_id = $1 order by v.document_id, v.number"""
        ),
        sessions=await rows("select id, root from public.sessions where project_id = $1"),
        threads=await rows("select * from public.comments where project_id = $1 and thread_id = id"),
        acts=await rows("select * from public.comment_acts where project_id = $1 order by sequence"),
        reviews=await rows("select * from public.reviews where project_id = $1"),
    )


def counted(history: History) -> Tally:
    """Everything that the definitions say."""
    tally = Tally()
    sessions = defaultdict(list)
    for report in sorted(history.reports, key=lambda each: (each["at"], each["number"])):
        sessions[report["session_id"]].append(report)
    for reports in sessions.values():
        _count_session(tally, reports)
    _count_versions(tally, history, sessions)
    _count_remarks(tally, history)
    return tally


def _passes(reports: Sequence[Row]) -> Iterator[tuple[list[Row], Row | None]]:
    """The passes of one stage: reports, and the report that ended the pass before."""
    current: list[Row] = []
    before = None
    for report in reports:
        current.append(report)
        if report["state"] in ENDS:
            yield current, before
            current, before = [], report
    if current:
        yield current, before


def _start(reports: Sequence[Row], *, completed: bool) -> tuple[Row, datetime] | None:
    first = next((each for each in reports if each["state"] == "in_progress"), None)
    if first is None and completed and reports[-1]["started_at"] is not None:
        first = reports[-1]
    if first is None:
        return None
    return first, min(filter(None, (first["started_at"], first["at"])))


def _done(report: Row) -> datetime:
    return min(filter(None, (report["finished_at"], report["at"])))


def _count_session(tally: Tally, reports: list[Row]) -> None:
    completions: list[tuple[str, datetime]] = []
    starts: list[tuple[Row, datetime, Row | None]] = []
    for stage in STAGES:
        mine = [each for each in reports if each["stage"] == stage]
        prior, beginner = "pending", None
        completing = set()
        for each in mine:
            _count_report(tally, each, prior, beginner)
            if each["state"] == "in_progress" and prior != "in_progress":
                beginner = each["actor"]
            if each["state"] == "complete" and prior != "complete":
                completing.add(each["number"])
                completions.append((stage, _done(each)))
            prior = each["state"]
        for reports_of_pass, before in _passes(mine):
            last = reports_of_pass[-1]
            completed = last["number"] in completing
            begun = _start(reports_of_pass, completed=completed)
            if begun is None:
                continue
            starts.append((*begun, before))
            if completed and begun[1] <= _done(last):
                tally.time(last["at"], stage, last["actor"], "lead_time", between(begun[1], _done(last)))
    for report, start, before in starts:
        place = STAGES.index(report["stage"])
        handed = [at for stage, at in completions if STAGES.index(stage) < place and at <= start]
        if handed and (before is None or max(handed) >= before["at"]):
            tally.time(
                report["at"], report["stage"], report["actor"], "waiting_time", between(max(handed), start)
            )
        if before is not None:
            tally.count(report["at"], report["stage"], report["actor"], "stages_reopened")
            earlier = reports[: reports.index(report)]
            if any(e["state"] in BEGUN and STAGES.index(e["stage"]) > place for e in earlier):
                tally.count(report["at"], report["stage"], report["actor"], "stages_returned_to")
    _count_completion(tally, reports, [start for _, start, _ in starts])


def _count_report(tally: Tally, report: Row, prior: str, beginner: str | None) -> None:
    at, stage, state, actor = report["at"], report["stage"], report["state"], report["actor"]
    named = {"complete": "stages_completed", "skipped": "stages_skipped", "failed": "stages_failed"}
    if state != prior and state in named:
        tally.count(at, stage, actor, named[state])
    if state == "in_progress" and prior != "in_progress":
        tally.count(at, stage, actor, "stages_started")
    if prior == "in_progress" and state != "in_progress":
        assert beginner is not None
        tally.count(at, stage, beginner, "stages_left")
    if report["checks"] is not None:
        tally.count(at, stage, actor, "validations")
        tally.count(
            at, stage, actor, "validations_passed", report["errors"] == 0 and report["requires_input"] == 0
        )
        for name in ("checks", "errors", "warnings", "requires_input"):
            tally.count(at, stage, actor, name, report[name])


def _count_completion(tally: Tally, reports: list[Row], starts: list[datetime]) -> None:
    states = dict.fromkeys(STAGES, "pending")
    for report in reports:
        states[report["stage"]] = report["state"]
        if all(each in ENDS for each in states.values()) and "complete" in states.values():
            tally.count(report["at"], None, report["actor"], "sessions_completed")
            if starts and min(starts) <= _done(report):
                taken = between(min(starts), _done(report))
                tally.time(report["at"], None, report["actor"], "session_lead_time", taken)
            return


def _home(history: History, path: str) -> tuple[Any, str | None]:
    above = [each for each in history.sessions if path.startswith(f"{each['root']}/")]
    if not above:
        return None, None
    session = max(above, key=lambda each: len(each["root"].encode()))
    return session["id"], FOLDERS.get(path[len(session["root"]) + 1 :].partition("/")[0])


def _count_versions(tally: Tally, history: History, sessions: dict[Any, list[Row]]) -> None:
    previous: Row = None
    for version in history.versions:
        at, actor = version["committed_at"], version["actor"]
        session, stage = _home(history, version["path"])
        tally.count(at, stage, actor, "versions")
        tally.count(at, stage, actor, "changes", version["position"] == 1)
        tally.count(at, stage, actor, "merges", version["merged_from"] is not None)
        tally.count(at, stage, actor, "restores", version["action"] == "restore")
        known = [each for each in sessions.get(session, []) if each["stage"] == stage and each["at"] <= at]
        if stage is not None and known and known[-1]["state"] == "complete":
            tally.count(at, stage, actor, "rework_versions")
        key = (at.astimezone(UTC).date(), version["document_id"])
        if version["number"] > 1 and previous["writer"] != version["writer"]:
            tally.contested[*key, "handovers"] += 1
        if version["merged_from"] is not None:
            tally.contested[*key, "merges"] += 1
        previous = version


def _count_remarks(tally: Tally, history: History) -> None:
    paths = {each["hash"]: each["path"] for each in history.versions}
    threads = {each["id"]: each for each in history.threads}
    opened = {each["id"]: each["created_at"] for each in history.threads}
    for thread in history.threads:
        stage = _home(history, paths[thread["version"]])[1]
        tally.count(thread["created_at"], stage, thread["actor"], "threads_opened")
    for act in history.acts:
        if act["act"] == "retract":
            continue
        thread = threads[act["comment_id"]]
        stage = _home(history, paths[thread["version"]])[1]
        if act["act"] == "reopen":
            opened[thread["id"]] = act["created_at"]
            tally.count(act["created_at"], stage, thread["actor"], "threads_reopened")
        else:
            taken = between(opened[thread["id"]], act["created_at"])
            tally.count(act["created_at"], stage, thread["actor"], "threads_resolved")
            tally.time(act["created_at"], stage, thread["actor"], "resolution_time", taken)
    for review in history.reviews:
        figure = {"approve": "approvals", "request_changes": "changes_requested"}.get(review["verdict"])
        if figure:
            tally.count(
                review["created_at"], _home(history, paths[review["version"]])[1], review["actor"], figure
            )


# What the database keeps -----------------------------------------------------------------------------


SLICES = {"all": (False, False), "stage": (True, False), "actor": (False, True)}
"""Of histograms: whether they are apart by stage, and by actor."""


async def kept(world: World, project: str, level: str = "day") -> Tally:
    """The rollups of a project, without what came to nothing."""
    tally = Tally()
    for row in await world.sql(
        "select * from public.analytics_counts where project_id = $1 and level = $2",
        project,
        level,
    ):
        for name, n in list(row.items())[5:]:
            if n and name != "id":
                tally.counts[row["start"], row["stage"], row["actor"], name] = n
    for row in await world.sql(
        "select * from public.analytics_times where project_id = $1 and level = $2",
        project,
        level,
    ):
        key = (row["start"], row["slice"], row["stage"], row["actor"], row["figure"])
        assert row["n"] == (row["upto"] or [0])[-1]
        assert row["buckets"] == sorted(set(row["buckets"]))
        assert row["upto"] == sorted({0, *row["upto"]} - {0})
        if row["n"] or row["milliseconds"]:
            counts = (upto - before for upto, before in zip(row["upto"], [0, *row["upto"]], strict=False))
            histogram = dict(zip(row["buckets"], counts, strict=True))
            tally.histograms[key] = (row["milliseconds"], histogram)
    for row in await world.sql("select * from public.analytics_contested where project_id = $1", project):
        for name in ("handovers", "merges"):
            if row[name]:
                tally.contested[row["day"], row["document_id"], name] = row[name]
    return tally


def at_level(tally: Tally, level: str) -> Tally:
    """A tally of days as the rollups of a level have it, its times in slices."""

    def first(day: date) -> date:
        if level == "week":
            return day - timedelta(days=day.weekday())
        return {"day": day, "month": day.replace(day=1), "year": day.replace(month=1, day=1)}[level]

    made = Tally(contested=tally.contested)
    for (day, *rest), n in tally.counts.items():
        made.counts[first(day), *rest] += n
    for (day, stage, actor, figure, place), (n, total) in tally.times.items():
        for name, (by_stage, by_actor) in SLICES.items():
            key = (first(day), name, stage if by_stage else None, actor if by_actor else None, figure)
            had, histogram = made.histograms.get(key, (0, {}))
            made.histograms[key] = (had + total, histogram)
            histogram[place] = histogram.get(place, 0) + n
    return made

"""Figures of projects in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from app.supabase.analytics import GaugeCounts, Gauges

# Without its charset, which the framework adds to every text: a scraper refuses one that is said twice.
MEDIA_TYPE = CONTENT_TYPE_LATEST.partition("; charset=")[0]
_OF_STAGES = {
    "work_in_progress": "Stages in progress now.",
    "stages_completed": "Completions of stages since the beginning.",
    "stages_failed": "Failures of stages since the beginning.",
    "stages_skipped": "Stages skipped since the beginning.",
    "stages_reopened": "Stages taken up again since the beginning.",
}
_OF_PROJECTS = {
    "sessions_completed": "Sessions completed since the beginning.",
    "versions": "Versions since the beginning.",
    "rework_versions": "Versions of stages that were complete, since the beginning.",
    "open_threads": "Threads of comments that are not resolved.",
}
_TIMES = {
    "lead_time": "From a stage's start to its completion, over the last 30 days.",
    "waiting_time": "From a stage's completion to the start of a later one, over the last 30 days.",
    "session_lead_time": "From a session's start to its completion, over the last 30 days.",
    "resolution_time": "From a comment to its resolution, over the last 30 days.",
}


def gauge_text(gauges: Gauges) -> bytes:
    """The gauges of docs/analytics.md. They can go down: a late report changes what was."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(gauges))
    return generate_latest(registry)


class _Told(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family once, with a sample for each project and part."""
        rows = self._gauges.counts
        staged = [row for row in rows if row.stage is not None]
        for name, meaning in _OF_STAGES.items():
            family = GaugeMetricFamily(f"verso_{name}", meaning, labels=["project", "slug", "stage", "actor"])
            for row in staged:
                family.add_metric([row.project, row.slug, row.stage or "", row.actor], getattr(row, name))
            yield family
        for name, meaning in _OF_PROJECTS.items():
            family = GaugeMetricFamily(f"verso_{name}", meaning, labels=["project", "slug", "actor"])
            for labels, value in _summed(rows, name):
                family.add_metric(labels, value)
            yield family
        family = GaugeMetricFamily(
            "verso_validations",
            "Validations since the beginning.",
            labels=["project", "slug", "stage", "actor", "result"],
        )
        for row in staged:
            labels = [row.project, row.slug, row.stage or "", row.actor]
            family.add_metric([*labels, "passed"], row.validations_passed)
            family.add_metric([*labels, "failed"], row.validations - row.validations_passed)
        yield family
        yield from self._times()

    def _times(self) -> Iterator[GaugeMetricFamily]:
        for name, meaning in _TIMES.items():
            family = GaugeMetricFamily(
                f"verso_{name}_seconds", meaning, labels=["project", "slug", "stage", "quantile"]
            )
            for row in self._gauges.times:
                found = getattr(row, name)
                if found is not None:
                    labels = [row.project, row.slug, row.stage or ""]
                    family.add_metric([*labels, "0.5"], found.p50)
                    family.add_metric([*labels, "0.9"], found.p90)
            yield family


def _summed(rows: Iterable[GaugeCounts], name: str) -> Iterator[tuple[list[str], int]]:
    sums: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row.project, row.slug, row.actor)
        sums[key] = sums.get(key, 0) + getattr(row, name)
    for key, value in sums.items():
        yield list(key), value

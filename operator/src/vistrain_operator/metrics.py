"""The operator's Prometheus metrics; per-run series are computed from what exists, and go with the run."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from vistrain_operator import objects
from vistrain_operator.actions import Decision
from vistrain_operator.objects import RUN_KIND, Object

# A series more per counter that only says when the process started, which the registry says already.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

DISRUPTIONS = Counter(
    "vistrain_disruptions", "Attempts ended by a disruption, by class", ["class"], registry=REGISTRY
)
FAILURES = Counter("vistrain_failures", "Attempts ended by a fault, by class", ["class"], registry=REGISTRY)
STEPS_LOST = Counter(
    "vistrain_steps_lost", "Optimiser steps executed again after a resume", registry=REGISTRY
)
RESUME_SECONDS = Histogram(
    "vistrain_resume_seconds",
    "Seconds from the end of an attempt to the first new step of the next",
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600),
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "vistrain_reconcile_seconds",
    "Seconds that one pass over one run took",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge("vistrain_queue_depth", "Runs that wait for a pass", registry=REGISTRY)
API_REQUESTS = Counter(
    "vistrain_api_requests",
    "Requests to the API server, watches not among them",
    ["verb", "resource", "code"],
    registry=REGISTRY,
)
LEADER = Gauge("vistrain_leader", "1 while this process holds the lease", registry=REGISTRY)


def count(decision: Decision) -> None:
    """Count what a status that has just been written says for the first time: each attempt once."""
    for counter, failure in decision.counted:
        (DISRUPTIONS if counter == "disruption" else FAILURES).labels(failure).inc()
    if decision.steps_lost:
        STEPS_LOST.inc(decision.steps_lost)
    for seconds in decision.resumed:
        RESUME_SECONDS.observe(seconds)


class RunCollector(Collector):
    """Series of the runs that exist at the moment of the scrape."""

    def __init__(self, runs: Callable[[], Iterable[Object]]) -> None:
        self._runs = runs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The families, computed anew for each scrape."""
        labels = ["namespace", "name", "kind"]
        phases: Tally[str] = Tally()
        info = GaugeMetricFamily("vistrain_run_info", "A run", labels=[*labels, "model", "slice", "phase"])
        ratio = GaugeMetricFamily(
            "vistrain_run_progress_ratio", "Share of the steps completed", labels=labels
        )
        for run in self._runs():
            status = run.get("status") or {}
            phase = status.get("phase", "Pending")
            phases[phase] += 1
            identity = [objects.namespace(run), objects.name(run), RUN_KIND]
            display = status.get("display") or {}
            info.add_metric([*identity, display.get("model", ""), display.get("slice", ""), phase], 1)
            progress = status.get("progress") or {}
            whole = progress.get("totalSteps") or 0
            if whole:
                ratio.add_metric(identity, min(1.0, progress.get("step", 0) / whole))
        total = GaugeMetricFamily("vistrain_runs", "Runs by phase", labels=["kind", "phase"])
        for phase, number in sorted(phases.items()):
            total.add_metric([RUN_KIND, phase], number)
        return [total, info, ratio]

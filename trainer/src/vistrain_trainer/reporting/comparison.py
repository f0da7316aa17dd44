"""Several runs side by side, ranked by the primary metric."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.series import Mode, Point


@dataclass(frozen=True)
class Standing:
    """One run in a comparison."""

    label: str
    """The run's name; with its folder where two runs bear the same."""
    rank: int | None
    """Place by the primary metric's best, from 1; equal values share it. None without a value."""
    history: History
    best: Mapping[str, Point | None]
    """Best value of every metric with its epoch; none where the run has none."""
    last: Mapping[str, Point | None]
    """Latest value likewise."""
    hours_to_best: float | None
    """Hours of training up to the primary metric's best, evaluation left out."""


@dataclass(frozen=True)
class Difference:
    """A field of the manifest in which runs differ."""

    field: str
    values: tuple[Any, ...]
    """By run, in the order of the standings; none where a manifest has no such field."""


@dataclass(frozen=True)
class Comparison:
    """Runs ranked, best first; those without a value come last."""

    metric: str
    mode: Mode
    standings: tuple[Standing, ...]
    metrics: tuple[str, ...]
    """All metrics that a run has; the one ranked by comes first."""
    differences: tuple[Difference, ...]
    same_data: bool
    """Whether the runs recorded the same classes and digests of data; otherwise ranks say little."""


def compare_runs(histories: Sequence[History], metric: str | None = None) -> Comparison:
    """Rank runs by a metric, by default the one that all their manifests call primary.

    Raises:
        BadInput: no run is given, or one twice; the primary metrics differ; no run has the metric.
    """
    if not histories:
        raise BadInput(field="runs", value="none", problem="there is nothing to compare", remedy="Name two")
    for folder, amount in Counter(one.folder.resolve() for one in histories).items():
        if amount > 1:
            problem = "the run is named more than once"
            raise BadInput(field="runs", value=folder, problem=problem, remedy="Name each run once")
    labels = _labels(histories)
    name, mode = _ranked_by(histories, labels, metric)
    metrics = tuple(dict.fromkeys([name, *(each for one in histories for each in one.metric_names)]))
    bests = [one.over_epochs(name).best(mode) for one in histories]
    sign = -1 if mode == "max" else 1
    values = [math.inf if best is None else sign * best.value for best in bests]
    order = sorted(range(len(values)), key=values.__getitem__)  # stable: equal runs stay as they were named
    standings = []
    for place in order:
        history, best = histories[place], bests[place]
        standings.append(
            Standing(
                label=labels[place],
                rank=None if best is None else 1 + sum(value < values[place] for value in values),
                history=history,
                best={
                    each: history.over_epochs(each).best(mode if each == name else history.mode(each))
                    for each in metrics
                },
                last={each: history.over_epochs(each).last for each in metrics},
                hours_to_best=_hours(None if best is None else history.training_seconds(best.at)),
            )
        )
    data = [json.dumps(dict(one.data), sort_keys=True) for one in histories]
    return Comparison(
        metric=name,
        mode=mode,
        standings=tuple(standings),
        metrics=metrics,
        differences=manifest_differences([histories[place] for place in order]),
        same_data=len(set(data)) == 1,
    )


def manifest_differences(histories: Sequence[History]) -> tuple[Difference, ...]:
    """The fields of the specs that are not equal in all runs, in the order of the manifest.

    A list counts as one value.
    """
    specs = []
    for history in histories:
        spec = history.manifest.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        specs.append(_flat(spec, "spec"))
    fields = dict.fromkeys(field for spec in specs for field in spec)
    found = [Difference(field, tuple(spec.get(field) for spec in specs)) for field in fields]
    return tuple(one for one in found if any(value != one.values[0] for value in one.values))


def _ranked_by(histories: Sequence[History], labels: Sequence[str], metric: str | None) -> tuple[str, Mode]:
    if metric is not None:
        known = sorted({name for one in histories for name in one.metric_names})
        if metric not in known:
            raise BadInput(
                field="metric",
                value=metric,
                problem="no run has it",
                remedy=f"Name one of {', '.join(known)}" if known else "Wait for a first evaluation",
            )
        return metric, histories[0].mode(metric)
    primaries = {(one.primary, one.mode(one.primary)) for one in histories}
    if len(primaries) > 1:
        named = ", ".join(f"{one.primary} ({label})" for label, one in zip(labels, histories, strict=True))
        raise BadInput(
            field="spec.evaluation.primaryMetric",
            value=named,
            problem="the runs are judged by different metrics",
            remedy="Name the metric to rank them by",
        )
    return primaries.pop()


def _labels(histories: Sequence[History]) -> list[str]:
    """Names; with the folder where two bear the same one, with its path where that is the same too."""
    names = Counter(one.name for one in histories)
    folders = Counter((one.name, one.folder.name) for one in histories)

    def label(one: History) -> str:
        if names[one.name] == 1:
            return one.name
        return f"{one.name} ({one.folder.name if folders[one.name, one.folder.name] == 1 else one.folder})"

    return [label(one) for one in histories]


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 3600


def _flat(value: Any, path: str) -> dict[str, Any]:
    """Values by their path; an empty mapping is a value, since `scratch: {}` says something."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {name: leaf for key, item in value.items() for name, leaf in _flat(item, f"{path}.{key}").items()}

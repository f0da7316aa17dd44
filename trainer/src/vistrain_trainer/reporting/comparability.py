"""What runs must have in common for their figures to be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.comparison import Comparison, Standing
from vistrain_trainer.reporting.history import History

_THRESHOLDS = ("confidence", "nms_iou", "max_detections")


@dataclass(frozen=True)
class Obstacle:
    """Something in which runs differ, and what cannot be compared for it."""

    what: str
    """Field or file."""
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    """Each value, with the labels of the runs that have it."""
    consequence: str
    """What is not comparable."""
    refuses: bool
    """Whether ranks by a metric say nothing at all."""

    def __str__(self) -> str:
        values = "; ".join(f"{value} in {', '.join(labels)}" for value, labels in self.groups)
        return f"{self.what} differs: {values}. {self.consequence}"


def obstacles(comparison: Comparison) -> tuple[Obstacle, ...]:
    """What stands between the runs, the gravest first."""
    return tuple(sorted(_found(comparison.standings), key=lambda one: not one.refuses))


def require_comparable(comparison: Comparison) -> None:
    """Refuse runs whose metrics are of different things.

    Raises:
        BadInput: their classes or validation data differ.
    """
    for one in obstacles(comparison):
        if one.refuses:
            raise BadInput(
                field=one.what,
                value="; ".join(f"{value} ({', '.join(labels)})" for value, labels in one.groups),
                problem=f"the runs cannot be ranked: {one.consequence}",
                remedy="Compare runs of equal classes and validation data, or say --anyway",
            )


def _found(standings: Sequence[Standing]) -> Iterator[Obstacle]:
    def differing(read: Callable[[History], Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        groups: dict[str, list[str]] = {}
        for one in standings:
            value = read(one.history)
            if value is not None:  # what a run has not recorded is no difference
                groups.setdefault(_short(value), []).append(one.label)
        return tuple((value, tuple(labels)) for value, labels in groups.items()) if len(groups) > 1 else ()

    classes = differing(lambda history: ", ".join(map(str, history.data.get("classes") or ())) or None)
    if classes:
        yield Obstacle(
            "the list of classes", classes, "Metrics are means over different classes", refuses=True
        )
    validation = differing(lambda history: _digest(history, "validation"))
    if validation:
        text = "Metrics and validation losses are of different pictures"
        yield Obstacle("the digest of the validation data", validation, text, refuses=True)
    test = differing(lambda history: _digest(history, "test"))
    if test:
        text = "Metrics of the test split are of different pictures"
        yield Obstacle("the digest of the test data", test, text, refuses=False)
    training = differing(lambda history: _digest(history, "train"))
    if training:
        text = "Training losses are of different pictures, and better metrics may come from better data"
        yield Obstacle("the digest of the training data", training, text, refuses=False)
    for name in _THRESHOLDS:
        values = differing(partial(_threshold, name))
        if values:
            field = f"spec.evaluation.{_camel(name)}"
            yield Obstacle(field, values, "Metrics count different detections", refuses=False)
    weights = differing(_losses)
    if weights:
        yield Obstacle("the loss", weights, "Losses are sums of different terms", refuses=False)


def _digest(history: History, split: str) -> str | None:
    data = history.data.get("data")
    if isinstance(data, Mapping):
        return data.get(split)
    return None if data is None else str(data)


def _threshold(name: str, history: History) -> Any:
    return getattr(history.manifest.spec.evaluation, name)


def _losses(history: History) -> str:
    """What decides the scale of the loss."""
    spec = history.manifest.spec
    model = next(name for name in type(spec.model).model_fields if getattr(spec.model, name) is not None)
    weights = spec.schedule.loss_weights
    return model if weights is None else f"{model} with {weights.model_dump_json(exclude_none=True)}"


def _short(value: Any) -> str:
    """Digests by their first digits."""
    text = str(value)
    is_digest = len(text) >= 32 and " " not in text and "," not in text
    return f"{text[:12]}…" if is_digest else text


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)

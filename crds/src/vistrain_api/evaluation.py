"""How a detector is judged."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule
from vistrain_api.initialization import Share
from vistrain_api.schedule import Epochs

DetectorMetric = Literal["AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge", "AR1", "AR10", "AR100"]
TrainingMetric = Literal[DetectorMetric, "valLoss"]


class PrimaryMetric(Contract):
    """The metric that the best checkpoint is chosen by."""

    name: TrainingMetric = "AP"
    """Metric on the validation split."""
    mode: Literal["max", "min"] = "max"
    """Whether more or less is better."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(self.name == 'valLoss') == (self.mode == 'min')",
            message="mode: valLoss goes with min, every other metric with max",
            holds=lambda m: (m.name == "valLoss") == (m.mode == "min"),
            field_path=".mode",
        ),
    )


class Gate(Contract):
    """A threshold that the best checkpoint must meet for the run to succeed."""

    metric: TrainingMetric
    """Metric on the validation split."""
    min: float | None = None
    """Least value."""
    max: float | None = None
    """Largest value."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.min) || has(self.max)",
            message="a gate states min, max or both",
            holds=lambda m: m.min is not None or m.max is not None,
        ),
        Rule(
            cel="!has(self.min) || !has(self.max) || self.min <= self.max",
            message="min must not exceed max",
            holds=lambda m: m.min is None or m.max is None or m.min <= m.max,
            field_path=".min",
        ),
    )


class DetectorEvaluation(Contract):
    """How a detector is judged; thresholds are recorded with every result."""

    every_epochs: Epochs = 1
    """Epochs between two evaluations; the last epoch is always evaluated."""
    primary_metric: PrimaryMetric = Field(default_factory=PrimaryMetric)
    """The metric that the best checkpoint is chosen by."""
    confidence: Share = 0.01
    """Least score of a detection."""
    nms_iou: Share = 0.65
    """Overlap above which the weaker of two detections of a class goes."""
    max_detections: Annotated[int, Field(ge=1, le=1000)] = 100
    """Detections kept per image."""
    gates: Annotated[list[Gate], Field(max_length=32)] = Field(default_factory=list)
    """Thresholds that decide whether the run succeeds."""

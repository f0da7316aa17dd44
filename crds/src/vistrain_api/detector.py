"""`DetectorTraining`: a run that trains an object detector."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.augmentation import Augmentation
from vistrain_api.base import Contract, Rule, duration_within
from vistrain_api.checkpoint import Checkpoint
from vistrain_api.dataset import DetectionDataset
from vistrain_api.evaluation import DetectorEvaluation
from vistrain_api.initialization import Initialization
from vistrain_api.metadata import ObjectMeta
from vistrain_api.model import DetectorModel
from vistrain_api.pod import Pod, Scheduling
from vistrain_api.quantities import Duration
from vistrain_api.resilience import Resilience
from vistrain_api.resources import Resources
from vistrain_api.schedule import Phase, Schedule
from vistrain_api.status import RunStatus

YOLOX_PARTS = ("backbone", "neck", "head")
"""Parts of a YOLOX that phases name."""

_PARTS = str(list(YOLOX_PARTS))
_NAMED_PARTS_EXIST = (
    "!has(self.model.yolox) || !has(self.schedule.phases) || self.schedule.phases.all(p,"
    f" p.freeze.all(part, part in {_PARTS})"
    f" && (!has(p.learningRates) || p.learningRates.all(part, part in {_PARTS})))"
)
_SOMETHING_LEARNS = (
    "!has(self.model.yolox) || !has(self.schedule.phases)"
    f" || self.schedule.phases.all(p, p.freeze.size() < {len(YOLOX_PARTS)})"
)


def _phases(spec: DetectorTrainingSpec) -> list[Phase]:
    return spec.schedule.phases or [] if spec.model.yolox is not None else []


def _named_parts_exist(spec: DetectorTrainingSpec) -> bool:
    named = (part for phase in _phases(spec) for part in (*phase.freeze, *(phase.learning_rates or ())))
    return all(part in YOLOX_PARTS for part in named)


class DetectorTrainingSpec(Contract):
    """What to train."""

    model: DetectorModel
    """The detector's architecture."""
    initialization: Initialization
    """What the run starts from."""
    dataset: DetectionDataset
    """What it learns from."""
    schedule: Schedule
    """How long and how it learns."""
    augmentation: Augmentation = Field(default_factory=Augmentation)
    """How training images are varied."""
    evaluation: DetectorEvaluation = Field(default_factory=DetectorEvaluation)
    """How it is judged."""
    checkpoint: Checkpoint
    """Where and how often it saves itself."""
    resources: Resources
    """What a trainer pod runs on."""
    resilience: Resilience = Field(default_factory=Resilience)
    """What the run survives."""
    scheduling: Scheduling = Field(default_factory=Scheduling)
    """Where pods go."""
    pod: Pod = Field(default_factory=Pod)
    """What pods carry."""
    suspend: bool = False
    """Save and give the slice back; false again resumes."""
    ttl_after_finished: Duration | None = None
    """Time after the end at which the run object is deleted; checkpoints stay."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.evaluation.everyEpochs <= self.schedule.epochs",
            message="evaluation.everyEpochs must not exceed schedule.epochs: evaluate more often",
            holds=lambda m: m.evaluation.every_epochs <= m.schedule.epochs,
            field_path=".evaluation.everyEpochs",
        ),
        Rule(
            cel=_NAMED_PARTS_EXIST,
            message=f"phases: freeze and learningRates name parts of YOLOX: {', '.join(YOLOX_PARTS)}",
            holds=_named_parts_exist,
            field_path=".schedule.phases",
        ),
        Rule(
            cel=_SOMETHING_LEARNS,
            message="phases: a phase that freezes every part learns nothing",
            holds=lambda m: all(len(phase.freeze) < len(YOLOX_PARTS) for phase in _phases(m)),
            field_path=".schedule.phases",
        ),
        duration_within("ttlAfterFinished", "0s", "8760h"),
    )


# What may change after status.startTime is set; the rest of the spec never does.
ALWAYS_MUTABLE = ("suspend", "resilience", "ttlAfterFinished")
MUTABLE_WHILE_SUSPENDED = ("resources", "scheduling")


class DetectorTraining(Contract):
    """A run that trains an object detector."""

    api_version: Literal["vistrain.dev/v1alpha1"]
    kind: Literal["DetectorTraining"]
    metadata: ObjectMeta
    spec: DetectorTrainingSpec
    status: Annotated[RunStatus | None, Field(exclude=True)] = None

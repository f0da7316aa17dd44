"""How long and how a run learns."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, Unique, exactly_one, unique_by
from vistrain_api.initialization import Share

Epochs = Annotated[int, Field(ge=1, le=100_000)]
SomeEpochs = Annotated[int, Field(ge=0, le=100_000)]
Rate = Annotated[float, Field(gt=0, le=10)]
PartName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.]+$")]
PartKey = Annotated[str, Field(min_length=1, max_length=64)]  # keys of a map: CEL cannot afford a pattern
Curve = Literal["yolox", "cosine", "linear"]


class Sgd(Contract):
    """Stochastic gradient descent with momentum."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum."""
    nesterov: bool = True
    """Nesterov's momentum."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5.0e-4
    """Weight decay; not applied to norm layers and biases."""


class AdamW(Contract):
    """Adam with decoupled weight decay."""

    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = Field(
        default_factory=lambda: [0.9, 0.999]
    )
    """Decay of the first and second moment."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Weight decay; not applied to norm layers and biases."""


class Optimizer(Contract):
    """Exactly one of sgd, adamw."""

    sgd: Sgd | None = None
    """Stochastic gradient descent."""
    adamw: AdamW | None = None
    """AdamW."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("sgd", "adamw"),)


class LearningRate(Contract):
    """The learning rate over the run; exactly one of peak, perImage."""

    peak: Rate | None = None
    """Rate at the top of the curve, per optimiser step."""
    per_image: Rate | None = None
    """Rate per image of the batch: peak = perImage × batchSize."""
    min_ratio: Share = 0.05
    """Share of the peak that the curve ends at."""
    curve: Curve = "yolox"
    """yolox: quadratic warm-up, cosine, flat no-aug tail.
    cosine: linear warm-up, cosine to the end. linear: linear warm-up, straight to the end."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("peak", "perImage"),)

    def peak_for(self, batch_size: int) -> float:
        """The rate at the top of the curve for batches of that many images."""
        return self.peak if self.peak is not None else (self.per_image or 0.0) * batch_size


class Ema(Contract):
    """Exponential moving average of the weights, which evaluation uses."""

    enabled: bool = True
    """Whether an average is kept."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9998
    """Decay after many steps."""
    tau: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    """Steps over which the decay rises: decay × (1 − exp(−step / tau))."""


class EarlyStopping(Contract):
    """Stop when the primary metric no longer improves."""

    patience: Epochs
    """Epochs without improvement after which it ends."""


class Phase(Contract):
    """A stretch of epochs with its own frozen parts and rates."""

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9-]+$")]
    """Name shown in status and reports."""
    epochs: Epochs | None = None
    """Length; the last phase may omit it."""
    freeze: Annotated[list[PartName], Field(max_length=8), *Unique] = Field(default_factory=list)
    """Parts whose weights and statistics do not change."""
    learning_rate: LearningRate | None = None
    """Own rate and curve over the phase, in place of the run's."""
    learning_rates: Annotated[dict[PartKey, Rate], Field(max_length=8)] | None = None
    """Own peak rate by part, on a curve over the phase; other parts have learningRate's, else the run's."""
    warmup_epochs: SomeEpochs | None = None
    """Own warm-up, on a curve over the phase."""
    early_stopping: EarlyStopping | None = None
    """Ends the phase; the next one starts."""
    start: Literal["last", "best"] = "last"
    """Weights that it starts from: those of the phase before as they are, or the best so far, with a fresh
    optimiser."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.warmupEpochs) || !has(self.epochs) || self.warmupEpochs <= self.epochs",
            message="warmupEpochs must not exceed the epochs of the phase",
            holds=lambda m: m.warmup_epochs is None or m.epochs is None or m.warmup_epochs <= m.epochs,
            field_path=".warmupEpochs",
        ),
    )


class LossWeights(Contract):
    """Weights of the parts of the loss; a part that is not stated keeps upstream's weight."""

    box: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Weight of the box term (YOLOX: 5)."""
    objectness: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Weight of the objectness term (YOLOX: 1)."""
    classification: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Weight of the class term (YOLOX: 1)."""


# Only the last phase may omit its epochs, and then something must be left for it.
_PHASES_ADD_UP = (
    "!has(self.phases) || (self.phases.all(p, has(p.epochs)) "
    "? self.phases.map(p, p.epochs).sum() == self.epochs "
    ": !has(self.phases[size(self.phases) - 1].epochs) "
    "&& self.phases.filter(p, !has(p.epochs)).size() == 1 "
    "&& self.phases.filter(p, has(p.epochs)).map(p, p.epochs).sum() < self.epochs)"
)


def _phases_add_up(schedule: Schedule) -> bool:
    if schedule.phases is None:
        return True
    total = sum(phase.epochs or 0 for phase in schedule.phases)
    if all(phase.epochs is not None for phase in schedule.phases):
        return total == schedule.epochs
    *others, last = schedule.phases
    only_last = last.epochs is None and all(phase.epochs is not None for phase in others)
    return only_last and total < schedule.epochs


class Schedule(Contract):
    """How long and how a run learns."""

    epochs: Epochs
    """Passes over the training split."""
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    """Images per optimiser step."""
    micro_batch_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Images on the device at once, a divisor of batchSize; gradients are added up to one step."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of all randomness."""
    determinism: Literal["strict", "fast"] = "strict"
    """strict: a resumed run equals an untouched one to the bit; fast: quicker, equal in distribution."""
    optimizer: Optimizer = Field(default_factory=lambda: Optimizer(sgd=Sgd()))
    """Optimiser."""
    learning_rate: LearningRate
    """Learning rate."""
    warmup_epochs: SomeEpochs = 1
    """Epochs at the start in which the rate rises."""
    no_aug_epochs: SomeEpochs = 2
    """Epochs at the end without mosaic, mixup and affine, with the L1 loss on."""
    ema: Ema = Field(default_factory=Ema)
    """Moving average of the weights."""
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "auto"
    """Arithmetic of the network; auto takes what the device is fast in. Boxes and losses are always fp32."""
    gradient_clip: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Largest norm of the gradient; a longer one is scaled down to it."""
    loss_weights: LossWeights | None = None
    """Weights of the parts of the loss."""
    phases: Annotated[list[Phase], Field(min_length=1, max_length=8), *unique_by("name")] | None = None
    """Stretches with own frozen parts and rates; their epochs add up."""
    early_stopping: EarlyStopping | None = None
    """Stop the run when the primary metric no longer improves, whatever phase it is in."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.warmupEpochs + self.noAugEpochs <= self.epochs",
            message="warmupEpochs + noAugEpochs must not exceed epochs: shorten them or train longer",
            holds=lambda m: m.warmup_epochs + m.no_aug_epochs <= m.epochs,
            field_path=".warmupEpochs",
        ),
        Rule(
            cel=_PHASES_ADD_UP,
            message="phases: their epochs must add up to epochs (the last phase may omit its own)",
            holds=_phases_add_up,
            field_path=".phases",
        ),
        Rule(
            cel="!has(self.phases) || self.phases[0].start == 'last'",
            message="phases: the first starts from spec.initialization, so its start is last",
            holds=lambda m: m.phases is None or m.phases[0].start == "last",
            field_path=".phases",
        ),
        Rule(
            cel="!has(self.microBatchSize) || self.batchSize % self.microBatchSize == 0",
            message="microBatchSize must divide batchSize",
            holds=lambda m: m.micro_batch_size is None or m.batch_size % m.micro_batch_size == 0,
            field_path=".microBatchSize",
        ),
    )

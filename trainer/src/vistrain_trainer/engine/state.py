"""Everything that a step changes: what a checkpoint keeps and a resume brings back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vistrain_trainer.engine.ema import WeightAverage
from vistrain_trainer.engine.precision import Precision
from vistrain_trainer.engine.randomness import random_state, restore_random_state


@dataclass(frozen=True)
class Evaluated:
    """An evaluation that is among the best."""

    value: float
    epoch: int
    step: int
    results: dict[str, float | None]


@dataclass(frozen=True)
class Waited:
    """How long early stopping has waited for a better value."""

    best: float | None
    """The best value since it began to wait; none before the first."""
    epoch: int
    """Epoch (done) of that value, or at which it began."""


class LossSums:
    """Sums of the parts of the loss over an epoch, kept on the device so that no step waits for them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.names: list[str] = []
        self.sums: Tensor | None = None
        self.steps = 0
        self.seconds = 0.0
        """Time spent in the epoch, over all attempts."""

    def add(self, losses: Mapping[str, Tensor], *, finite_only: bool) -> Tensor:
        """Add one step's parts; the parts as a vector on the device."""
        values = torch.stack([value.detach().float() for value in losses.values()])
        if self.sums is None:
            self.names = list(losses)
            # MPS knows no float64.
            kind = torch.float32 if self._device.type == "mps" else torch.float64
            self.sums = torch.zeros(len(self.names), dtype=kind, device=self._device)
        self.sums.add_(torch.where(values.isfinite(), values, 0) if finite_only else values)
        self.steps += 1
        return values

    def means(self) -> dict[str, float]:
        """Mean of each part over the epoch so far."""
        if self.sums is None or self.steps == 0:
            return {}
        return dict(zip(self.names, (self.sums / self.steps).tolist(), strict=True))

    def reset(self) -> None:
        """Begin an epoch."""
        self.sums, self.steps, self.seconds = None, 0, 0.0

    def state(self) -> dict[str, Any]:
        return {"names": self.names, "sums": self.sums, "steps": self.steps, "seconds": self.seconds}

    def restore(self, state: dict[str, Any]) -> None:
        self.names, self.steps, self.seconds = list(state["names"]), state["steps"], state["seconds"]
        self.sums = None if state["sums"] is None else state["sums"].clone().to(self._device)


@dataclass
class TrainingState:
    """The parts of a run that change from step to step."""

    model: nn.Module
    average: WeightAverage | None
    optimizer: torch.optim.Optimizer
    precision: Precision
    losses: LossSums
    micro_batch: int
    """Images on the device at once in training."""
    evaluation_batch: int
    """Images on the device at once in an evaluation."""
    step: int = 0
    """Optimiser steps completed."""
    skipped: int = 0
    """Steps of the plan that early stopping left out."""
    rate_factor: float = 1.0
    """What roll-backs have brought the rates to."""
    roll_backs: int = 0
    """How often the run went back because its loss was not finite."""
    patience: dict[str, Waited] = field(default_factory=dict)
    """What early stopping has seen, by what it may stop: phase, run."""
    evaluation_due: bool = False
    """The epoch that ends at this step is trained, and its evaluation pending."""
    best: list[Evaluated] = field(default_factory=list)
    """The best evaluations, best first."""
    latest: dict[str, float | None] = field(default_factory=dict)
    """Results of the latest evaluation."""

    @property
    def position(self) -> int:
        """The next step of the plan."""
        return self.step + self.skipped

    @property
    def evaluated_model(self) -> nn.Module:
        """The model that evaluation and export use."""
        return self.model if self.average is None else self.average.model

    def collect(self) -> dict[str, Any]:
        """The state as nested plain values and tensors, which are not copied."""
        return {
            "step": self.step,
            "evaluation_due": self.evaluation_due,
            "micro_batch": self.micro_batch,
            "rate_factor": self.rate_factor,
            "roll_backs": self.roll_backs,
            "model": dict(self.model.state_dict()),
            "ema": None
            if self.average is None
            else {"weights": dict(self.average.model.state_dict()), "updates": self.average.updates},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.state(),
            "random": random_state(),
            "losses": self.losses.state(),
            "judged": self.judged(),
        }

    def judged(self) -> dict[str, Any]:
        """What evaluations have changed, as plain values."""
        return {
            "best": [asdict(one) for one in self.best],
            "latest": dict(self.latest),
            "patience": {name: asdict(waited) for name, waited in self.patience.items()},
            "skipped": self.skipped,
            "evaluation_batch": self.evaluation_batch,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a stored state; its tensors are copied."""
        self.restore_weights(state)
        self.restore_optimizer(state["optimizer"])
        self.precision.restore(dict(state["scaler"]))
        self.losses.restore(state["losses"])
        self.step = state["step"]
        self.evaluation_due = state["evaluation_due"]
        self.micro_batch = state["micro_batch"]
        self.rate_factor = state["rate_factor"]
        self.roll_backs = state["roll_backs"]
        self.restore_judged(state["judged"])
        restore_random_state(state["random"])

    def restore_optimizer(self, optimizer: Mapping[str, Any]) -> None:
        """Take over the stored state of an optimiser of the same kind and parameters; tensors are copied."""
        self.optimizer.load_state_dict(_copied(dict(optimizer)))

    def restore_judged(self, judged: Mapping[str, Any]) -> None:
        """Take over what `judged` gave."""
        self.best = [Evaluated(**one) for one in judged["best"]]
        self.latest = dict(judged["latest"])
        self.patience = {name: Waited(**waited) for name, waited in judged["patience"].items()}
        self.skipped = judged["skipped"]
        self.evaluation_batch = judged["evaluation_batch"]

    def restore_weights(self, state: Mapping[str, Any]) -> None:
        """Take over the weights and the average of a stored state, and begin with a fresh optimiser."""
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.model.load_state_dict(state["ema"]["weights"])
            self.average.updates = state["ema"]["updates"]
        self.optimizer.state.clear()


def exported_weights(state: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The weights of a collected state that are exported: the average's where there is one."""
    weights: Mapping[str, Tensor] = state["model"] if state["ema"] is None else state["ema"]["weights"]
    return weights


def all_finite(state: Mapping[str, Any]) -> bool:
    """Whether all weights of a collected state in host memory are finite."""
    parts = [state["model"].values(), () if state["ema"] is None else state["ema"]["weights"].values()]
    # A sum is finite only when every addend is, and eight times quicker to find than to look at each.
    return all(
        bool(value.sum().isfinite()) or bool(value.isfinite().all())
        for part in parts
        for value in part
        if value.is_floating_point()
    )


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value

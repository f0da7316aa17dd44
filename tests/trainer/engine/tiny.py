"""A tiny real task: a small convolutional network that tells bright squares from dark ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import parse, read_yaml
from vistrain_trainer.engine.options import PodEnvironment, RunOptions
from vistrain_trainer.engine.signals import Interrupted
from vistrain_trainer.engine.task import ParameterGroup, TaskContext
from vistrain_trainer.engine.volumes import Volumes

MANIFEST = """
apiVersion: vistrain.dev/v1alpha1
kind: DetectorTraining
metadata: {name: tiny}
spec:
  model: {yolox: {variant: nano, inputSize: {height: 32, width: 32}}}
  initialization: {scratch: {}}
  dataset:
    volume: {claimName: none}
    train: {annotations: train.json, images: images}
    validation: {annotations: val.json, images: images}
    classes: [square]
  schedule:
    {epochs: 3, batchSize: 8, learningRate: {peak: 0.05}, warmupEpochs: 1, noAugEpochs: 1, precision: fp32}
  checkpoint: {volume: {claimName: checkpoints}, interval: 1h}
  resources: {accelerator: {cpu: {}}, cpu: 1, memory: 4Gi, sharedMemory: 1Gi}
"""
STEPS_PER_EPOCH = 4


def tiny_manifest(**settings: Any) -> DetectorTraining:
    """The manifest, with settings such as `schedule__epochs=5`."""
    value = read_yaml(MANIFEST)
    for path, setting in settings.items():
        *parents, last = path.split("__")
        target = value["spec"]
        for key in parents:
            target = target.setdefault(key, {})
        target[last] = setting
    return parse(value)


def tiny_options(output: Path, **values: Any) -> RunOptions:
    defaults = {"pod": PodEnvironment(), "port": 0, "log_every": 1, "volumes": Volumes({}, in_pod=False)}
    return RunOptions(output=output, **defaults | values)


@dataclass(frozen=True)
class TinyBatch:
    images: Tensor
    labels: Tensor

    @property
    def images_count(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> TinyBatch:
        return TinyBatch(self.images.to(device), self.labels.to(device))


def make_batch(step: int, size: int) -> TinyBatch:
    random = torch.Generator().manual_seed(1000 + step)
    labels = torch.randint(0, 2, (size,), generator=random).float()
    images = torch.rand(size, 3, 16, 16, generator=random) * 0.5
    images[:, :, 4:12, 4:12] += labels[:, None, None, None] * 0.5
    return TinyBatch(images, labels)


class TinyBatches:
    def __init__(self, first: int, last: int, size: int) -> None:
        self._steps = iter(range(first, last))
        self._size = size

    def __iter__(self) -> Iterator[TinyBatch]:
        return self

    def __next__(self) -> TinyBatch:
        return make_batch(next(self._steps), self._size)

    def close(self) -> None:
        self._steps = iter(())


class TinyTask:
    """An `engine.task.Task`; `poison`: a step of infinite loss; `values`: the metric by evaluation."""

    steps_per_epoch = STEPS_PER_EPOCH

    def __init__(
        self,
        manifest: DetectorTraining,
        context: TaskContext,
        *,
        poison: int | None = None,
        values: Mapping[int, float] | None = None,
        data: str = "one",
    ) -> None:
        self._context = context
        self._size = manifest.spec.schedule.batch_size
        self._poison = poison
        self._values = values
        self._evaluations = 0
        self._data = data
        self.batches_from: int | None = None

    def identity(self) -> Mapping[str, Any]:
        return {"data": self._data, "classes": ["square"]}

    def batches(self, from_step: int, to_step: int) -> TinyBatches:
        self.batches_from = from_step
        return TinyBatches(from_step, to_step, self._size)

    def build(self) -> nn.Module:
        layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(8, 1)).to(self._context.device)

    def load(
        self, model: nn.Module, state: Mapping[str, Tensor], source: str, identity: Mapping[str, Any]
    ) -> list[str]:
        model.load_state_dict(dict(state))
        return [f"all tensors from {source}"]

    def initialization_notes(self) -> list[str]:
        return ["random weights"]

    def parameter_groups(self, model: nn.Module) -> list[ParameterGroup]:
        return [ParameterGroup("all", list(model.parameters()), 5e-4)]

    def losses(self, model: nn.Module, batch: Any, step: int) -> dict[str, Tensor]:
        logits = model(batch.images).squeeze(1).float()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch.labels)
        if step == self._poison:
            loss = loss * torch.inf
        return {"total": loss, "cls": loss.detach()}

    def evaluate(self, model: nn.Module, should_stop: Callable[[], bool]) -> dict[str, float | None]:
        self._evaluations += 1
        losses = []
        for step in (-1, -2):
            if should_stop():
                raise Interrupted("evaluation")
            batch = make_batch(step + 500, 16).to(self._context.device)
            logits = model(batch.images).squeeze(1).float()
            losses.append(float(nn.functional.binary_cross_entropy_with_logits(logits, batch.labels)))
        loss = sum(losses) / len(losses)
        value = 1 - loss if self._values is None else self._values.get(self._evaluations)
        return {"AP": value, "AP50": 0.5, "AP/square": value, "valLoss": loss}

    def test(self, model: nn.Module, should_stop: Callable[[], bool]) -> dict[str, float | None]:
        return {f"test/{name}": value for name, value in self.evaluate(model, should_stop).items()}

    def export(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        return {"model": {name: value.clone() for name, value in state.items()}}


if __name__ == "__main__":  # one attempt in a process of its own: tiny.py OUTPUT
    from vistrain_trainer.engine import signals

    signals.install()
    from vistrain_trainer.engine.run import run

    folder = Path(sys.argv[1])
    epochs = int(os.environ.get("TINY_EPOCHS", "3"))
    pod = PodEnvironment.read()
    sys.exit(run(tiny_manifest(schedule__epochs=epochs), tiny_options(folder, pod=pod), TinyTask))

"""A tiny real task: a small convolutional network that tells bright squares from dark ones."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import parse, read_yaml
from vistrain_trainer.engine.losses import Losses
from vistrain_trainer.engine.options import PodEnvironment, RunOptions
from vistrain_trainer.engine.signals import Interrupted
from vistrain_trainer.engine.task import ParameterGroup, TaskContext
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.evaluation.source import WeightsSource

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
    volumes = Volumes({}, in_pod=False)
    defaults = {"pod": PodEnvironment(), "port": 0, "log_every": 1, "report": False, "volumes": volumes}
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

    def split(self, images: int) -> list[TinyBatch]:
        starts = range(0, len(self.images), images)
        return [TinyBatch(self.images[at : at + images], self.labels[at : at + images]) for at in starts]


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
    """An `engine.task.Task` of two parts, `body` and `head`.

    `poison`: a position of infinite loss; `room`: images that the device has memory for, from the position
    `crowded` on; `values`: the metric by evaluation; `falls`: it falls with every epoch; `names`: others for
    the parts; `steep`: a network whose squared loss overflows float32 by itself at rates that are too high.
    """

    steps_per_epoch = STEPS_PER_EPOCH

    def __init__(
        self,
        manifest: DetectorTraining,
        context: TaskContext,
        *,
        poison: int | None = None,
        room: int | None = None,
        crowded: int = 0,
        values: Mapping[int, float] | None = None,
        falls: bool = False,
        names: Mapping[str, str] | None = None,
        steep: bool = False,
        data: str = "one",
    ) -> None:
        self._context = context
        self._size = manifest.spec.schedule.batch_size
        self._tested = manifest.spec.dataset.test is not None
        self._poison = poison
        self._room = room
        self._crowded = crowded
        self._values = values
        self._falls = falls
        self._names = names or {}
        self._steep = steep
        self._evaluations = 0
        self._data = data
        self.batches_from: int | None = None

    def identity(self) -> Mapping[str, Any]:
        return {"data": self._data, "classes": ["square"]}

    def preparations(self) -> Sequence[Mapping[str, Any]]:
        return []

    def batches(self, first: int, end: int) -> TinyBatches:
        self.batches_from = first
        return TinyBatches(first, end, self._size)

    def build(self, *, initialize: bool = True) -> nn.Module:
        if self._steep:
            linear = [nn.Flatten(), nn.Linear(768, 8), nn.Dropout(0.2), nn.Linear(8, 1)]
            return nn.Sequential(*linear).to(self._context.device)
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
        return [
            ParameterGroup(part, [p for module in modules for p in module.parameters()], 5e-4)
            for part, modules in self.parts(model).items()
        ]

    def parts(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        assert isinstance(model, nn.Sequential)
        parts = {"body": list(model[:-1]), "head": [model[-1]]}
        return {self._names.get(name, name): modules for name, modules in parts.items()}

    def losses(self, model: nn.Module, batch: Any, position: int) -> Losses:
        logits = model(batch.images).squeeze(1).float()
        if self._room is not None and position >= self._crowded and len(batch.images) > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory: injected")
        of = nn.functional.mse_loss if self._steep else nn.functional.binary_cross_entropy_with_logits
        loss = of(logits, batch.labels, reduction="sum")
        if position == self._poison:
            loss = loss * torch.inf
        return Losses(loss, loss.new_tensor(float(len(logits))), {"cls": loss.detach()})

    def evaluate_in(self, images: int) -> None:
        self.at_once = images

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
        if self._falls:  # a function of the weights alone, so that a resumed run has it too
            value = -float(sum(p.double().square().sum() for p in model.parameters()))
        return {"AP": value, "AP50": 0.5, "AP/square": value, "valLoss": loss}

    def examine(
        self, model: nn.Module, folder: Path, source: WeightsSource, should_stop: Callable[[], bool]
    ) -> dict[str, float | None]:
        results = self.evaluate(model, should_stop)
        for split in ("validation", *(["test"] if self._tested else [])):
            (folder / split).mkdir()
            (folder / split / "evaluation.json").write_text(json.dumps([asdict(source), results]))
        return {f"test/{name}": value for name, value in results.items()} if self._tested else {}

    def export(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        return {"model": {name: value.clone() for name, value in state.items()}}


if __name__ == "__main__":  # one attempt in a process of its own: tiny.py OUTPUT
    from vistrain_trainer.engine import signals

    signals.install()
    from vistrain_trainer.engine.run import run

    folder = Path(sys.argv[1])
    settings = json.loads(os.environ.get("TINY_SETTINGS", "{}"))
    task = functools.partial(TinyTask, **json.loads(os.environ.get("TINY_TASK", "{}")))
    options = tiny_options(folder, pod=PodEnvironment.read(), report="TINY_REPORT" in os.environ)
    sys.exit(run(tiny_manifest(**settings), options, task))

"""A small world, and commands that start quickly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.zygote import zygote
from vistrain_trainer.data.synthetic import SyntheticOptions, make_synthetic

MANIFEST = """
apiVersion: vistrain.dev/v1alpha1
kind: DetectorTraining
metadata: {name: law}
spec:
  model: {yolox: {variant: nano, inputSize: {height: 96, width: 160}}}
  initialization: {scratch: {}}
  dataset:
    volume: {claimName: world}
    train: {annotations: annotations/train.json, images: images}
    validation: {annotations: annotations/val.json, images: images}
    classes: [car, truck, trailer, bus, construction_vehicle, bicycle, motorcycle]
    loader: {workers: 2}
  schedule:
    epochs: 5
    batchSize: 4
    seed: 11
    learningRate: {peak: 1e-2}
    warmupEpochs: 1
    noAugEpochs: 2
    ema: {decay: 0.99, tau: 5}
  augmentation: {mosaic: 0.8, mixup: {probability: 0.7}, hsv: {probability: 0.8}}
  evaluation: {primaryMetric: {name: valLoss, mode: min}}
  checkpoint: {volume: {claimName: checkpoints}, interval: 1h}
  resources: {accelerator: {cpu: {}}, cpu: 2, memory: 4Gi, sharedMemory: 1Gi}
"""

Command = Callable[..., int]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures to train on and 8 to validate on."""
    folder = tmp_path_factory.mktemp("law") / "world"
    classes = ("car", "truck", "trailer", "bus", "construction_vehicle", "bicycle", "motorcycle")
    options = SyntheticOptions(
        scenes=4, samples=8, cameras=("CAM_FRONT",), height=96, width=160, classes=classes, seed=3
    )
    make_synthetic(options, folder)
    return folder


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("law") / "manifest.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Runs a `vistrain` command and returns its exit code, negative for a signal."""
    with zygote(tmp_path_factory.mktemp("law") / "log.txt", threads=2) as started:
        yield started.run

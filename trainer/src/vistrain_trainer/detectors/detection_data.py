"""The splits of a detection run and the batches made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vistrain_api.augmentation import Augmentation
from vistrain_api.dataset import DetectionDataset
from vistrain_api.detector import DetectorTrainingSpec
from vistrain_api.model import InputSize
from vistrain_trainer.data import admission, preparation
from vistrain_trainer.data.augmentation import AugmentationSettings
from vistrain_trainer.data.cache import ImageCache
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.loader import BatchIterator, TrainingBatch, training_batches
from vistrain_trainer.data.samples import TrainingSamples
from vistrain_trainer.data.stream import Heights, SampleStream
from vistrain_trainer.engine.data_files import SplitFiles, data_files
from vistrain_trainer.engine.task import TaskContext
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput

_COLORS = ((80, 220, 255), (255, 160, 60), (90, 230, 120), (220, 110, 240), (60, 120, 255), (255, 230, 90))


@dataclass(frozen=True)
class DetectionBatch:
    """Images and boxes of one optimiser step."""

    images: Tensor
    """(B, 3, H, W) uint8, BGR."""
    labels: Tensor
    """(B, n, 5) float32 rows cls, cx, cy, w, h in input pixels; zero after the last."""
    step: int
    """The position of the plan that the batch is for."""

    @property
    def images_count(self) -> int:
        """Images in the batch."""
        return len(self.images)

    def split(self, images: int) -> list[DetectionBatch]:
        """Micro-batches of that many images, in order; the last may have fewer."""
        starts = range(0, len(self.images), images)
        return [
            DetectionBatch(self.images[at : at + images], self.labels[at : at + images], self.step)
            for at in starts
        ]

    def preview(self, count: int) -> Callable[[], list[np.ndarray]]:
        """Draws the first images with their boxes, when called: (H, W, 3) uint8, BGR."""
        images, labels = self.images[:count].clone(), self.labels[:count].clone()

        def draw() -> list[np.ndarray]:
            import cv2

            pictures = []
            for image, boxes in zip(images.numpy(), labels.numpy(), strict=True):
                picture = np.ascontiguousarray(image.transpose(1, 2, 0))
                for name, cx, cy, w, h in boxes[boxes[:, 3] > 0]:
                    corner, far = (
                        (round(cx - w / 2), round(cy - h / 2)),
                        (round(cx + w / 2), round(cy + h / 2)),
                    )
                    cv2.rectangle(picture, corner, far, _COLORS[int(name) % len(_COLORS)], 1)
                pictures.append(picture)
            return pictures

        return draw

    def to(self, device: torch.device) -> DetectionBatch:
        """The batch on a device; pinned memory is copied without blocking."""
        return DetectionBatch(
            self.images.to(device, non_blocking=True), self.labels.to(device, non_blocking=True), self.step
        )


class DetectionBatches:
    """Training batches in order; owns the worker processes until `close` or the end."""

    def __init__(self, source: BatchIterator[TrainingBatch], cache: ImageCache) -> None:
        self._source = source
        self._cache = cache

    def __iter__(self) -> DetectionBatches:
        return self

    def __next__(self) -> DetectionBatch:
        batch = next(self._source)
        self._cache.tell()
        return DetectionBatch(batch.images, batch.labels, batch.step)

    def close(self) -> None:
        """End the workers."""
        self._source.close()


class DetectionData:
    """The checked splits of a run, read once; the images stay on disk, or where the cache keeps them."""

    def __init__(self, spec: DetectorTrainingSpec, size: InputSize, context: TaskContext) -> None:
        """Read the annotations, see that every image is there, and that the run may use it.

        A run that was begun before may: its data are those it was begun with, whatever another has put on the
        volume since.

        Raises:
            BadInput: a volume, file, image, class or count is not as stated, the order of the classes is not
                that of the data, pictures are held back or of two splits, or the cache does not fit.
        """
        dataset = spec.dataset
        files = data_files(dataset, context.volumes)
        self._splits = {name: _read(dataset, split) for name, split in files.splits.items()}
        self._manifests = files.manifests
        if not context.begun:
            for fault in admission.faults(dataset.classes, self._splits, self._manifests):
                raise fault
        fitted = {name: FittedImages(split, size.height, size.width) for name, split in self._splits.items()}
        self.train, self.validation = fitted["train"], fitted["validation"]
        self.test = fitted.get("test")
        multiscale = spec.augmentation.multiscale
        self.stream = SampleStream(
            images=len(self.train),
            batch_size=spec.schedule.batch_size,
            seed=spec.schedule.seed,
            epochs=spec.schedule.epochs,
            no_aug_epochs=spec.schedule.no_aug_epochs,
            height=size.height,
            width=size.width,
            heights=None
            if multiscale is None
            else Heights(multiscale.height.min, multiscale.height.max, multiscale.every_steps),
        )
        self._cache = ImageCache(dataset, spec.resources, context.cache_folder, context.note)
        # The test split is read once, at the end.
        self._cache.open(
            files.root,
            [(files.splits[name].folder, fitted[name]) for name in ("train", "validation")],
        )
        self._samples = TrainingSamples(self.train, settings(spec.augmentation), spec.schedule.seed)
        self._workers = dataset.loader.workers

    def digests(self) -> dict[str, str]:
        """Digest of the annotations by split."""
        return {name: split.digest for name, split in self._splits.items()}

    def preparations(self) -> list[dict[str, Any]]:
        """How the data were prepared, as far as manifests on the volume tell."""
        files = {name: split.annotations for name, split in self._splits.items()}
        return preparation.record(files, self._manifests)

    def training_batches(self, from_step: int, to_step: int, *, pin_memory: bool) -> DetectionBatches:
        """Batches of the positions [from_step, to_step); workers start in the call."""
        return DetectionBatches(
            training_batches(
                self._samples,
                self.stream,
                from_step,
                to_step,
                workers=self._workers,
                pin_memory=pin_memory,
            ),
            self._cache,
        )


def read_split(dataset: DetectionDataset, name: str, volumes: Volumes) -> CocoDetection:
    """Read one split and see that every image is there.

    Args:
        dataset: as the manifest states it.
        name: train, validation or test.
        volumes: where its claim is.

    Raises:
        BadInput: there is no such split; a volume, file, image, class or count is not as stated, or the order
            of the classes is not that of the data.
    """
    files = data_files(dataset, volumes)
    if name not in files.splits:
        known = name in {"train", "validation", "test"}
        raise BadInput(
            field="--split",
            value=name,
            problem=f"the manifest states no spec.dataset.{name}" if known else "unknown",
            remedy=f"Say one of {', '.join(files.splits)}",
        )
    read = _read(dataset, files.splits[name])
    fault = admission.order_fault(dataset.classes, read, files.manifests)
    if fault is not None:
        raise fault
    return read


def settings(augmentation: Augmentation) -> AugmentationSettings:
    """The manifest's augmentation as the data pipeline takes it."""
    hue, saturation, value = augmentation.hsv.gains
    return AugmentationSettings(
        mosaic=augmentation.mosaic,
        mixup_probability=augmentation.mixup.probability,
        mixup_scale=(augmentation.mixup.scale.min, augmentation.mixup.scale.max),
        hsv_probability=augmentation.hsv.probability,
        hsv_gains=(hue, saturation, value),
        flip=augmentation.flip,
        degrees=augmentation.degrees,
        translate=augmentation.translate,
        shear=augmentation.shear,
        scale=(augmentation.scale.min, augmentation.scale.max),
    )


def _read(dataset: DetectionDataset, files: SplitFiles) -> CocoDetection:
    read = files.read(dataset)
    read.verify_images()
    return read

"""One or several stored detectors, run over images as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from vistrain_trainer.data.source import StoredImages
from vistrain_trainer.detectors.stored import Network, StoredDetector, build
from vistrain_trainer.engine.precision import Precision, resolve_precision
from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.ensemble import Method, merge
from vistrain_trainer.evaluation.examination import Judged
from vistrain_trainer.evaluation.inference import InferenceOptions, Inferred, infer
from vistrain_trainer.evaluation.thresholds import Thresholds

Value = TypeVar("Value")


@dataclass(frozen=True)
class Overrides:
    """What takes the place of the first member's manifest; None leaves it."""

    confidence: float | None = None
    nms_iou: float | None = None
    max_detections: int | None = None
    batch_size: int | None = None


class DetectorGroup:
    """The members of an ensemble, or a single detector. The first one's manifest decides what they share."""

    def __init__(
        self,
        members: Sequence[StoredDetector],
        device: torch.device,
        overrides: Overrides,
        method: Method,
    ) -> None:
        """Build the networks.

        Args:
            members: at least one.
            device: that they run on.
            overrides: thresholds and batch size in place of the manifest's.
            method: how the boxes of several are merged.

        Raises:
            BadInput: the members' classes differ, or weights do not fit.
        """
        first = members[0]
        for other in members[1:]:
            if other.classes != first.classes:
                raise BadInput(
                    field="detector",
                    value=str(other.given),
                    problem=f"its classes are {list(other.classes)}, those of {first.given} are "
                    f"{list(first.classes)}",
                    remedy="Merge only detectors of the same classes in the same order",
                )
        spec = first.manifest.spec
        stated = spec.evaluation
        self.classes = first.classes
        self.thresholds = Thresholds(
            _first(overrides.confidence, stated.confidence),
            _first(overrides.nms_iou, stated.nms_iou),
            _first(overrides.max_detections, stated.max_detections),
        )
        self.precision = resolve_precision(spec.schedule.precision, device)
        self._method = method
        self._members = members
        self._device = device
        self._batch_size = _first(overrides.batch_size, spec.schedule.batch_size)
        self._workers = spec.dataset.loader.workers
        self._networks = [build(member, device) for member in members]

    def find(self, source: StoredImages, advance: Callable[[int], None] = lambda images: None) -> Inferred:
        """Run the members over the images, one after the other, and merge what they find.

        Args:
            source: the images.
            advance: told after each batch how many images a member has seen.

        Raises:
            BadInput: an image cannot be read.
            LoaderWorkerLost: a worker died.
        """
        found = [self._infer(network, source, advance) for network in self._networks]
        if len(found) == 1:
            return found[0]
        rows = merge([one.rows for one in found], self.thresholds, self._method)
        return Inferred(rows, None)

    def judged(self, split: str) -> Judged:
        """What an examination of this group states."""
        return Judged(
            split=split,
            sources=tuple(member.source for member in self._members),
            ensemble=self._method if len(self._members) > 1 else None,
            thresholds=self.thresholds,
            input_sizes=tuple(network.input_size for network in self._networks),
            precision=self.precision,
            device=self._device.type,
        )

    def _infer(self, network: Network, source: StoredImages, advance: Callable[[int], None]) -> Inferred:
        height, width = network.input_size
        options = InferenceOptions(
            height=height,
            width=width,
            batch_size=self._batch_size,
            workers=self._workers,
            device=self._device,
            pin_memory=self._device.type == "cuda",
        )
        with Precision(self.precision, self._device).autocast():
            return infer(
                source, network.model, network.predict, self.thresholds, options, lambda: False, advance
            )


def _first(given: Value | None, stated: Value) -> Value:
    return stated if given is None else given

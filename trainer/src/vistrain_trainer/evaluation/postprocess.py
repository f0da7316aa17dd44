"""From dense predictions to detections: threshold, suppression within a class, at most so many."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vistrain_trainer.evaluation.thresholds import Thresholds


@dataclass(frozen=True)
class Detections:
    """The detections of one image, best first."""

    boxes: Tensor
    """(n, 4) float32 x1, y1, x2, y2."""
    scores: Tensor
    """(n,) float32."""
    classes: Tensor
    """(n,) int64 class indices."""


def detections(boxes: Tensor, scores: Tensor, thresholds: Thresholds) -> list[Detections]:
    """Detections of a batch. Equal scores keep the order of the anchors: results never depend on luck.

    Args:
        boxes: (B, A, 4) cx, cy, w, h in pixels.
        scores: (B, A, classes); every anchor speaks for its best class only, as in upstream.
        thresholds: what counts.
    """
    best, classes = scores.max(dim=2)
    half = boxes[..., 2:] / 2
    corners = torch.cat((boxes[..., :2] - half, boxes[..., :2] + half), dim=2)
    return [_of_image(corners[i], best[i], classes[i], thresholds) for i in range(len(boxes))]


def _of_image(corners: Tensor, scores: Tensor, classes: Tensor, thresholds: Thresholds) -> Detections:
    # A score that is not finite passes no threshold, nor does a box that overflowed.
    passed = (scores >= thresholds.confidence) & torch.isfinite(corners).all(dim=1)
    corners, scores, classes = corners[passed], scores[passed], classes[passed]
    order = torch.argsort(scores, descending=True, stable=True)
    corners, scores, classes = corners[order], scores[order], classes[order]
    kept = _suppress(corners, scores, classes, thresholds.nms_iou)[: thresholds.max_detections]
    return Detections(corners[kept], scores[kept], classes[kept])


def _suppress(corners: Tensor, scores: Tensor, classes: Tensor, iou: float) -> Tensor:
    """Indices that stay, best first. One call for all classes: each lies on a sheet of its own.

    In float64 the shift to the sheet leaves overlaps as they are, which it does not in float32.
    """
    if len(corners) == 0:
        return torch.zeros(0, dtype=torch.long, device=corners.device)
    wide = corners.double()
    sheet = wide.max() - wide.min() + 1
    kept: Tensor = _nms()(wide + classes[:, None] * sheet, scores.double(), iou)
    return kept


@functools.cache
def _nms() -> Any:
    """torchvision's kernel without its Python, which imports PyTorch's compiler: seconds of every evaluation
    that is the first of its process."""
    package = importlib.util.find_spec("torchvision")
    library = Path(package.origin).with_name("_C_stable.so") if package and package.origin else None
    if library is not None and library.exists():
        torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    else:  # another version, with another name for it
        importlib.import_module("torchvision.ops")
    return torch.ops.torchvision.nms

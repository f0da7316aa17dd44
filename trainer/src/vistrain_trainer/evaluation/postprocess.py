"""From dense predictions to detections: threshold, suppression within a class, at most so many."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vistrain_trainer.evaluation.thresholds import Thresholds

BOUND = 1e5
"""Pixels from the origin beyond which suppression does not look at where a box ends."""
SUPPRESSED_AT_ONCE = 32_768
"""Boxes of one call on a GPU, where it takes memory by their square: 128 MiB for so many."""


@dataclass(frozen=True)
class Detections:
    """The detections of one image, best first, in host memory."""

    boxes: np.ndarray
    """(n, 4) float32 x1, y1, x2, y2."""
    scores: np.ndarray
    """(n,) float32."""
    classes: np.ndarray
    """(n,) int64 class indices."""


def detections(
    boxes: Tensor, scores: Tensor, thresholds: Thresholds, *, at_once: int | None = None
) -> list[Detections]:
    """Detections of a batch. Equal scores keep the order of the anchors: results never depend on luck.

    A GPU is waited for a few times a batch, however many images it has.

    Args:
        boxes: (B, A, 4) cx, cy, w, h in pixels.
        scores: (B, A, classes); every anchor speaks for its best class only, as in upstream.
        thresholds: what counts.
        at_once: boxes that one call of suppression may see, though it sees one image at least. By default as
            many as pay: on a CPU one image's, since its time is their square.
    """
    if boxes.device.type == "mps":  # knows neither float64 nor the kernel
        boxes, scores = boxes.cpu(), scores.cpu()
    if at_once is None:
        at_once = SUPPRESSED_AT_ONCE if boxes.device.type == "cuda" else 0
    best, classes = scores.max(dim=2)
    half = boxes[..., 2:] / 2
    corners = torch.cat((boxes[..., :2] - half, boxes[..., :2] + half), dim=2)
    # A score that is not finite passes no threshold, nor does a box that overflowed.
    passed = (best >= thresholds.confidence) & torch.isfinite(corners).all(dim=2)
    counts: list[int] = passed.sum(dim=1).tolist()
    chosen = passed.flatten().nonzero()[:, 0]  # waited for; to index by it is not
    image = chosen // passed.shape[1]
    corners, best, classes = (part.flatten(0, 1)[chosen] for part in (corners, best, classes))
    # By image, in it by falling score, of equals by anchor.
    order = torch.argsort(best, descending=True, stable=True)
    order = order[torch.argsort(image[order], stable=True)]
    image, corners, best, classes = image[order], corners[order], best[order], classes[order]
    sheets = image * scores.shape[2] + classes
    kept = torch.cat(
        [
            begin + _suppress(corners[begin:end], best[begin:end], sheets[begin:end], thresholds.nms_iou)
            for begin, end in _groups(counts, at_once)
        ]
    )
    # float64 holds all of them exactly, and one copy takes them to the host.
    table = torch.column_stack([part.double() for part in (image, classes, best, corners)])
    return _by_image(table[kept].cpu().numpy(), len(counts), thresholds.max_detections)


def _groups(counts: Sequence[int], at_once: int) -> Iterator[tuple[int, int]]:
    """From where to where the boxes of consecutive images lie that go into one call."""
    begin = end = 0
    for count in counts:
        if end > begin and end + count - begin > at_once:
            yield begin, end
            begin = end
        end += count
    yield begin, end


def _suppress(corners: Tensor, scores: Tensor, sheets: Tensor, iou: float) -> Tensor:
    """Indices that stay, ascending. One call for all images and classes: each lies on a sheet of its own.

    In float64 the shift to the sheet leaves overlaps as they are, which it does not in float32.
    """
    if len(corners) == 0:
        return torch.zeros(0, dtype=torch.long, device=corners.device)
    apart = (sheets - sheets.min())[:, None] * (2 * BOUND + 1)
    kept: Tensor = _nms()(corners.double().clamp(-BOUND, BOUND) + apart, scores.double(), iou)
    return kept.sort().values


def _by_image(table: np.ndarray, images: int, most: int) -> list[Detections]:
    """Detections from (n, 7) rows image, class, score, x1, y1, x2, y2, ordered by image."""
    ends = np.searchsorted(table[:, 0], np.arange(images + 1))
    of_images = [table[begin:end][:most] for begin, end in pairwise(ends)]
    return [
        Detections(one[:, 3:].astype(np.float32), one[:, 2].astype(np.float32), one[:, 1].astype(np.int64))
        for one in of_images
    ]


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

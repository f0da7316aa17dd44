"""SimOTA over a batch: which anchors are to predict which box.

Two ways to the same assignments. On a CPU image by image, with as many boxes and candidates as each has. On a
GPU all images at once, padded: some eighty operations and two waits for the device a batch, where one by one
it is that many for each image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vistrain_trainer.detectors.anchors import Anchors
from vistrain_trainer.detectors.matching_cost import anchors_at, costs, match, pairwise_iou


class Assignment(NamedTuple):
    """The foreground anchors of a batch, in the order of images, then anchors."""

    image: Tensor
    """(F,) index of the image."""
    anchor: Tensor
    """(F,) index of the anchor."""
    box: Tensor
    """(F,) index of the box in the image's labels."""
    overlap: Tensor
    """(F,) intersection over union of the predicted box with that box."""
    foreground: Tensor
    """(B, A) bool: the same as a mask."""
    objects: Tensor
    """Scalar: boxes to predict."""


@torch.no_grad()
def assign(labels: Tensor, predicted: Tensor, logits: Tensor, anchors: Anchors) -> Assignment:
    """Assign the boxes of a batch to anchors.

    Args:
        labels: (B, n, 5) float32 rows cls, cx, cy, w, h in input pixels; after the last box, zeros.
        predicted: (B, A, 4) decoded boxes cx, cy, w, h, float32.
        logits: (B, A, 1 + classes) objectness and class logits, float32.
        anchors: the A anchors.
    """
    way = assign_one_by_one if labels.device.type == "cpu" else assign_at_once
    return way(labels, predicted, logits, anchors)


@torch.no_grad()
def assign_one_by_one(labels: Tensor, predicted: Tensor, logits: Tensor, anchors: Anchors) -> Assignment:
    """As `assign`, image by image."""
    counts = (labels.sum(dim=2) > 0).sum(dim=1)
    foreground = torch.zeros(predicted.shape[:2], dtype=torch.bool, device=labels.device)
    boxes, overlaps = [counts.new_zeros(0)], [labels.new_zeros(0)]
    for image, count in enumerate(counts.tolist()):
        if count:
            found, box, overlap = _assign_image(
                labels[image, :count], predicted[image], logits[image], anchors
            )
            foreground[image] = found
            boxes.append(box)
            overlaps.append(overlap)
    image_of, anchor_of = foreground.nonzero().unbind(1)
    return Assignment(image_of, anchor_of, torch.cat(boxes), torch.cat(overlaps), foreground, counts.sum())


@torch.no_grad()
def assign_at_once(labels: Tensor, predicted: Tensor, logits: Tensor, anchors: Anchors) -> Assignment:
    """As `assign`, all images together."""
    real = labels.sum(dim=2) > 0
    boxes = labels[..., 1:]
    may, both = anchors_at(boxes, anchors)
    candidate = (may & real[..., None]).any(dim=1)
    width = max(1, int(candidate.sum(dim=1).max()))  # the first wait: how many candidates an image has
    # Candidates first, in the order of the anchors; behind them whatever fills the row.
    columns = torch.sort((~candidate).to(torch.uint8), dim=1, stable=True).indices[:, :width]
    pair = real[..., None] & candidate.gather(1, columns)[:, None]

    def gathered(values: Tensor) -> Tensor:
        return values.gather(1, columns[..., None].expand(-1, -1, values.shape[-1]))

    inside = both.gather(2, columns[:, None].expand(-1, boxes.shape[1], -1))
    overlaps = pairwise_iou(boxes, gathered(predicted)).where(pair, predicted.new_zeros(()))
    cost = costs(labels[..., 0], gathered(logits), overlaps, inside)
    matching = match(cost.where(pair, cost.new_full((), torch.inf)), overlaps)
    taken = matching.any(dim=1)
    image, place = taken.nonzero().unbind(1)  # the second wait: how many anchors are foreground
    foreground = torch.zeros_like(candidate).scatter_(1, columns, taken)
    return Assignment(
        image=image,
        anchor=columns[image, place],
        box=matching.to(torch.uint8).argmax(dim=1)[image, place],
        overlap=(matching * overlaps).sum(dim=1)[image, place],
        foreground=foreground,
        objects=real.sum(),
    )


def _assign_image(
    labels: Tensor, predicted: Tensor, logits: Tensor, anchors: Anchors
) -> tuple[Tensor, Tensor, Tensor]:
    """(A,) foreground, and box index and overlap of each foreground anchor."""
    may, both = anchors_at(labels[:, 1:], anchors)
    foreground = may.any(dim=0)
    if not bool(foreground.any()):  # boxes outside of the picture
        return foreground, foreground.new_zeros(0, dtype=torch.long), predicted.new_zeros(0)
    overlaps = pairwise_iou(labels[:, 1:], predicted[foreground])
    cost = costs(labels[:, 0], logits[foreground], overlaps, both[:, foreground])
    matching = match(cost, overlaps)
    taken = matching.any(dim=0)
    foreground[foreground.clone()] = taken
    return foreground, matching[:, taken].to(torch.uint8).argmax(0), (matching * overlaps).sum(0)[taken]

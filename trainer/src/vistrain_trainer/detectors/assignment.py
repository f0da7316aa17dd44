"""SimOTA: which anchors are to predict which box (Ge et al., YOLOX, 2021, section 2.1).

The arithmetic is upstream's, operation by operation, so that near ties fall the same way.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vistrain_trainer.detectors.anchors import Anchors
from vistrain_trainer.detectors.yolox_package import bboxes_iou

CENTER_RADIUS = 2.5
"""Cells around a box's centre whose anchors may predict it."""
CANDIDATES = 10
"""Best overlaps that are summed to the number of anchors of a box."""
OVERLAP_WEIGHT = 3.0
OUTSIDE_COST = 100_000.0


class Assignment(NamedTuple):
    """The anchors of one image that are foreground."""

    foreground: Tensor
    """(A,) bool."""
    box: Tensor
    """(F,) index of the box of each foreground anchor, in the order of the anchors."""
    overlap: Tensor
    """(F,) intersection over union of the predicted box with that box."""


@torch.no_grad()
def assign(boxes: Tensor, classes: Tensor, predicted: Tensor, logits: Tensor, anchors: Anchors) -> Assignment:
    """Assign the boxes of one image to its anchors.

    Args:
        boxes: (G, 4) cx, cy, w, h in input pixels, G at least 1.
        classes: (G,) class indices.
        predicted: (A, 4) decoded boxes, likewise, float32.
        logits: (A, 1 + classes) objectness and class logits, float32.
        anchors: the A anchors.
    """
    foreground, inside = _candidates(boxes, anchors)
    predicted = predicted[foreground]
    logits = logits[foreground]
    # A prediction that is not a number (an overflow in half precision) must not end the process, on a GPU the
    # whole context, in the cross entropy: it is as far off as can be here, and the loss itself tells of it.
    overlaps = bboxes_iou(boxes, predicted, False).nan_to_num_(nan=0.0)
    wanted = (classes.long()[:, None] == torch.arange(logits.shape[1] - 1, device=classes.device)).float()
    score = (logits[:, 1:].sigmoid() * logits[:, :1].sigmoid()).sqrt_().nan_to_num_(nan=0.0)
    shape = (len(boxes), *score.shape)
    class_cost = functional.binary_cross_entropy(
        score.expand(shape), wanted[:, None, :].expand(shape), reduction="none"
    ).sum(-1)
    cost = class_cost + OVERLAP_WEIGHT * -torch.log(overlaps + 1e-8) + OUTSIDE_COST * (~inside)
    matching = _match(cost, overlaps)
    taken = matching.any(dim=0)
    foreground[foreground.clone()] = taken
    return Assignment(
        foreground=foreground,
        box=matching[:, taken].to(torch.uint8).argmax(0),
        overlap=(matching * overlaps).sum(0)[taken],
    )


def _candidates(boxes: Tensor, anchors: Anchors) -> tuple[Tensor, Tensor]:
    """(A,) anchors in a box or near a centre, and (G, candidates) which are both in and near which."""
    centers = anchors.centers
    low, high = boxes[:, :2] - 0.5 * boxes[:, 2:], boxes[:, :2] + 0.5 * boxes[:, 2:]
    in_box = _inside(centers, low[:, None], high[:, None])
    radius = CENTER_RADIUS * anchors.strides[None, :, None]
    near = _inside(centers, boxes[:, None, :2] - radius, boxes[:, None, :2] + radius)
    any_box = (in_box | near).any(dim=0)
    return any_box, (in_box & near)[:, any_box]


def _inside(points: Tensor, low: Tensor, high: Tensor) -> Tensor:
    # By differences, as upstream has it: a - b > 0 and a > b differ where the difference rounds to zero.
    return ((points[None] - low > 0) & (high - points[None] > 0)).all(dim=-1)


def _match(cost: Tensor, overlaps: Tensor) -> Tensor:
    """(G, candidates) bool: each box takes its cheapest candidates, each candidate keeps its cheapest box."""
    matching = torch.zeros_like(cost, dtype=torch.bool)
    best = torch.topk(overlaps, min(CANDIDATES, overlaps.shape[1]), dim=1).values
    for box, count in enumerate(best.sum(1).int().clamp(min=1).tolist()):
        matching[box, torch.topk(cost[box], k=count, largest=False).indices] = True
    contested = matching.sum(0) > 1
    if bool(contested.any()):
        cheapest = cost[:, contested].min(dim=0).indices
        matching[:, contested] = torch.arange(len(cost), device=cost.device)[:, None] == cheapest
    return matching

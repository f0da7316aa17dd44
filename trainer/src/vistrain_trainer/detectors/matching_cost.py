"""What it costs an anchor to predict a box, and who predicts which (Ge et al., YOLOX, 2021, section 2.1).

The arithmetic is upstream's, operation by operation, so that near ties fall the same way. Of anchors whose
costs are equal to the bit the first is taken, while upstream's choice depends on the device. Such ties are
common: beside `OUTSIDE_COST`, float32 counts in steps of 1/128.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vistrain_trainer.detectors.anchors import Anchors

CENTER_RADIUS = 2.5
"""Cells around a box's centre whose anchors may predict it."""
CANDIDATES = 10
"""Best overlaps that are summed to the number of anchors of a box."""
OVERLAP_WEIGHT = 3.0
OUTSIDE_COST = 100_000.0


def anchors_at(boxes: Tensor, anchors: Anchors) -> tuple[Tensor, Tensor]:
    """(..., G, A) anchors in (..., G, 4) boxes or near their centres, and those both in and near."""
    half = 0.5 * boxes[..., 2:]
    in_box = _inside(anchors, boxes[..., :2] - half, boxes[..., :2] + half)
    radius = CENTER_RADIUS * anchors.strides
    near = _near(anchors, boxes[..., :2], radius)
    return in_box | near, in_box & near


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """(..., G, K) intersection over union of (..., G, 4) with (..., K, 4) boxes, each cx, cy, w, h.

    Boxes that are not numbers (an overflow in half precision) overlap nothing. The loss itself tells of them.
    """
    ours, theirs = boxes[..., :, None, :], others[..., None, :, :]
    low = torch.max(ours[..., :2] - ours[..., 2:] / 2, theirs[..., :2] - theirs[..., 2:] / 2)
    high = torch.min(ours[..., :2] + ours[..., 2:] / 2, theirs[..., :2] + theirs[..., 2:] / 2)
    meet = (low < high).all(dim=-1)
    shared = (high - low).prod(dim=-1) * meet
    union = ours[..., 2:].prod(dim=-1) + theirs[..., 2:].prod(dim=-1) - shared
    return (shared / union).nan_to_num_(nan=0.0)


def costs(classes: Tensor, logits: Tensor, overlaps: Tensor, inside: Tensor) -> Tensor:
    """(..., G, K) cost of each pair.

    Args:
        classes: (..., G) class indices of the boxes.
        logits: (..., K, 1 + classes) objectness and class logits of the candidates, float32.
        overlaps: (..., G, K).
        inside: (..., G, K) whether the candidate lies both in the box and near its centre.
    """
    wanted = (classes.long()[..., None] == torch.arange(logits.shape[-1] - 1, device=classes.device)).float()
    # Not numbers would end the process in the cross entropy, on a GPU the whole context.
    score = (logits[..., 1:].sigmoid() * logits[..., :1].sigmoid()).sqrt_().nan_to_num_(nan=0.0)
    shape = (*overlaps.shape, score.shape[-1])
    class_cost = functional.binary_cross_entropy(
        score[..., None, :, :].expand(shape), wanted[..., :, None, :].expand(shape), reduction="none"
    ).sum(-1)
    return class_cost + OVERLAP_WEIGHT * -torch.log(overlaps + 1e-8) + OUTSIDE_COST * (~inside)


def match(cost: Tensor, overlaps: Tensor) -> Tensor:
    """(..., G, K) bool: each box takes its cheapest candidates, each candidate keeps its cheapest box.

    Pairs that may not be have an infinite cost and no overlap.
    """
    most = min(CANDIDATES, overlaps.shape[-1])
    counts = torch.topk(overlaps, most, dim=-1).values.sum(-1, keepdim=True).int().clamp(1, most)
    lowest = torch.topk(cost, most, dim=-1, largest=False).values
    limit = lowest.gather(-1, counts.long() - 1)
    cheaper, equal = cost < limit, cost == limit
    left = counts - cheaper.sum(-1, keepdim=True)
    matching = (cheaper | (equal & (equal.cumsum(-1) <= left))) & cost.isfinite()
    contested = matching.sum(-2, keepdim=True) > 1
    cheapest = cost == cost.amin(-2, keepdim=True)
    first = cheapest & (cheapest.cumsum(-2) == 1)
    return torch.where(contested, first, matching)


def _inside(anchors: Anchors, low: Tensor, high: Tensor) -> Tensor:
    # By differences, as upstream has it: a - b > 0 and a > b differ where the difference rounds to zero.
    x, y = anchors.centers.unbind(-1)
    return (
        (x - low[..., 0, None] > 0)
        & (y - low[..., 1, None] > 0)
        & (high[..., 0, None] - x > 0)
        & (high[..., 1, None] - y > 0)
    )


def _near(anchors: Anchors, centers: Tensor, radius: Tensor) -> Tensor:
    x, y = anchors.centers.unbind(-1)
    column, row = centers[..., 0, None], centers[..., 1, None]
    return (
        (x - (column - radius) > 0)
        & (y - (row - radius) > 0)
        & (column + radius - x > 0)
        & (row + radius - y > 0)
    )

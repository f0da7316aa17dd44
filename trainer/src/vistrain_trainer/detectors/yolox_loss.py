"""YOLOX's training loss, in float32 whatever the network's precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vistrain_trainer.detectors.anchors import Anchors
from vistrain_trainer.detectors.assignment import assign
from vistrain_trainer.detectors.yolox_head import Predictions
from vistrain_trainer.detectors.yolox_package import IOUloss
from vistrain_trainer.engine.losses import Losses

BOX_WEIGHT = 5.0


@dataclass(frozen=True)
class PartWeights:
    """What each part of the loss counts for."""

    box: float = BOX_WEIGHT
    objectness: float = 1.0
    classification: float = 1.0


@dataclass(frozen=True)
class LossSums:
    """Parts of the loss, summed over a batch's foreground (objectness: all anchors), before any weight."""

    iou: Tensor
    obj: Tensor
    cls: Tensor
    l1: Tensor
    """Zero where the L1 term is off."""
    foreground: Tensor
    """Number of anchors that predict a box; a scalar, as the rest, so that nobody waits for it."""
    objects: Tensor
    """Number of boxes to predict."""

    def weighted(self, weights: PartWeights) -> Losses:
        """The loss: `iou`, `obj`, `cls`, `l1` over the foreground, and `num_fg`, anchors per box."""
        parts = {
            "iou": weights.box * self.iou,
            "obj": weights.objectness * self.obj,
            "cls": weights.classification * self.cls,
            "l1": self.l1,
        }
        return Losses(
            total=parts["iou"] + parts["obj"] + parts["cls"] + parts["l1"],
            weight=self.foreground,
            parts={name: part.detach() for name, part in parts.items()},
            ratios={"num_fg": (self.foreground, self.objects)},
        )


def loss_sums(predictions: Predictions, labels: Tensor, *, l1: bool) -> LossSums:
    """The loss of a batch.

    Args:
        predictions: of the network.
        labels: (B, n, 5) float32 rows cls, cx, cy, w, h in input pixels; after the last box, zeros.
        l1: whether the offsets themselves are compared too, as in the no-aug epochs.
    """
    with torch.autocast(labels.device.type, enabled=False):
        return _sums(predictions, labels.float(), l1)


def _sums(predictions: Predictions, labels: Tensor, l1: bool) -> LossSums:
    raw, anchors = predictions
    boxes = predictions.boxes()
    found = assign(labels, boxes, raw[..., 4:], anchors)
    targets = labels[found.image, found.box]
    foreground = raw[found.image, found.anchor]
    class_logits = foreground[:, 5:]
    wanted = targets[:, :1].long() == torch.arange(class_logits.shape[1], device=raw.device)
    return LossSums(
        iou=IOUloss(reduction="none")(boxes[found.image, found.anchor], targets[:, 1:]).sum(),
        obj=_cross_entropy(raw[..., 4], found.foreground.float()),
        cls=_cross_entropy(class_logits, wanted * found.overlap[:, None]),
        l1=_l1(foreground[:, :4], found.anchor, targets, anchors) if l1 else raw.new_zeros(()),
        foreground=found.foreground.sum().float(),
        objects=found.objects.float(),
    )


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum()


def _l1(offsets: Tensor, which: Tensor, targets: Tensor, anchors: Anchors) -> Tensor:
    strides = anchors.strides[which][:, None]
    wanted = torch.cat(
        (targets[:, 1:3] / strides - anchors.cells[which], torch.log(targets[:, 3:5] / strides + 1e-8)), dim=1
    )
    return functional.l1_loss(offsets, wanted, reduction="none").sum()

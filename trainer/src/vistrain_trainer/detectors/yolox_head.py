"""YOLOX's decoupled head, giving raw predictions for training and evaluation alike.

Upstream's head decodes boxes in the precision of the network: under bfloat16 they lie on a grid of 8 pixels
beyond x = 1024. Here the network ends with raw predictions; decoding, assignment and losses are in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vistrain_trainer.detectors.anchors import Anchors, anchors
from vistrain_trainer.detectors.yolox_package import YOLOXHead


class Predictions(NamedTuple):
    """What the network says of every anchor, before any non-linearity."""

    raw: Tensor
    """(B, A, 5 + classes) float32: offsets x, y and log sizes w, h in cells, objectness and class logits."""
    anchors: Anchors

    def boxes(self) -> Tensor:
        """(B, A, 4) boxes cx, cy, w, h in input pixels."""
        strides = self.anchors.strides[:, None]
        return torch.cat(
            (
                (self.raw[..., :2] + self.anchors.cells) * strides,
                torch.exp(self.raw[..., 2:4]) * strides,
            ),
            dim=-1,
        )

    def scores(self) -> Tensor:
        """(B, A, classes) products of objectness and class probability."""
        return self.raw[..., 4:5].sigmoid() * self.raw[..., 5:].sigmoid()


class RawHead(YOLOXHead):  # type: ignore[misc]  # yolox has no types
    """Upstream's head with its parameters and their names; only the forward pass is our own."""

    def forward(self, features: Sequence[Tensor]) -> Predictions:
        """Predictions of (B, C, H, W) feature maps, the finest first."""
        levels = []
        for level, feature in enumerate(features):
            stem = self.stems[level](feature)
            classified = self.cls_convs[level](stem)
            located = self.reg_convs[level](stem)
            levels.append(
                torch.cat(
                    (
                        self.reg_preds[level](located),
                        self.obj_preds[level](located),
                        self.cls_preds[level](classified),
                    ),
                    dim=1,
                )
            )
        sizes = [(level.shape[2], level.shape[3]) for level in levels]
        with torch.autocast(levels[0].device.type, enabled=False):
            raw = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], dim=1).float()
        return Predictions(raw, anchors(sizes, self.strides, raw.device))

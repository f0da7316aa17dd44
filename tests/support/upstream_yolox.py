"""Upstream's own YOLOX, built as its Exp builds it, to compare with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vistrain_trainer.detectors import yolox_package  # noqa: F401  # makes yolox importable
from vistrain_trainer.detectors.yolox_model import VARIANTS


def upstream_model(variant: str, classes: int) -> nn.Module:
    """The model of upstream's Exp for a variant."""
    from yolox.exp.default.yolox_nano import Exp as NanoExp
    from yolox.exp.yolox_base import Exp

    exp = NanoExp() if variant == "nano" else Exp()
    exp.depth, exp.width, exp.num_classes = VARIANTS[variant].depth, VARIANTS[variant].width, classes
    model: nn.Module = exp.get_model()
    return model


def upstream_loss(
    model: nn.Module, features: Sequence[Tensor], labels: Tensor, *, l1: bool
) -> dict[str, Tensor]:
    """The parts of the loss that upstream's head computes in train mode, under our names."""
    model.head.use_l1 = l1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # upstream's spelling of autocast is old
        found = model.head.train()(list(features), labels, None)
    names = ("total", "iou", "obj", "cls", "l1", "num_fg")
    return {name: torch.as_tensor(value) for name, value in zip(names, found, strict=True)}


def random_labels(batch: int, most: int, classes: int, height: int, width: int, seed: int) -> Tensor:
    """(batch, most, 5) rows cls, cx, cy, w, h; 0 to `most` boxes per image, some overlapping."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.zeros(batch, most, 5)
    for image in range(batch):
        count = int(torch.randint(0, most + 1, (), generator=random))
        size = torch.tensor([width, height])
        low = torch.rand(count, 2, generator=random) * size * 0.8
        sides = 3 + torch.rand(count, 2, generator=random) ** 2 * (size - low - 3)
        labels[image, :count, 0] = torch.randint(0, classes, (count,), generator=random).float()
        labels[image, :count, 1:3] = low + sides / 2
        labels[image, :count, 3:5] = sides
    return labels

"""The YOLOX network in its six sizes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vistrain_trainer.detectors.yolox_head import Predictions, RawHead
from vistrain_trainer.detectors.yolox_package import YOLOPAFPN

CHANNELS = (256, 512, 1024)
PRIOR = 1e-2
"""Probability that an untrained network gives to each object and class."""


@dataclass(frozen=True)
class Size:
    """Factors of depth and width, and whether convolutions are depthwise."""

    depth: float
    width: float
    depthwise: bool = False


VARIANTS = {
    "nano": Size(0.33, 0.25, depthwise=True),
    "tiny": Size(0.33, 0.375),
    "s": Size(0.33, 0.50),
    "m": Size(0.67, 0.75),
    "l": Size(1.0, 1.0),
    "x": Size(1.33, 1.25),
}


class YoloxModel(nn.Module):
    """Backbone, neck and head, under upstream's names: `backbone` holds both backbone and neck."""

    def __init__(self, variant: str, classes: int) -> None:
        """A network with fresh weights from torch's generator.

        Args:
            variant: a key of VARIANTS.
            classes: number of classes.
        """
        super().__init__()
        size = VARIANTS[variant]
        self.backbone = YOLOPAFPN(size.depth, size.width, in_channels=CHANNELS, depthwise=size.depthwise)
        self.head = RawHead(classes, size.width, in_channels=CHANNELS, depthwise=size.depthwise)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = 1e-3, 0.03  # as upstream's Exp sets them, not its bare classes
        self.head.initialize_biases(PRIOR)

    def forward(self, images: Tensor) -> Predictions:
        """Predictions for (B, 3, H, W) images, BGR, 0 to 255, of any number type.

        Pixels are converted here, on the device: bytes are a quarter of the transfer. 0 to 255 is exact in
        bfloat16 and float16 too.
        """
        device = images.device.type
        low = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if low else torch.float32
        predictions: Predictions = self.head(
            self.backbone(images.to(dtype=dtype, memory_format=torch.channels_last))
        )
        return predictions


def part_of(parameter: str) -> str:
    """The part of the network that a parameter of YoloxModel belongs to: backbone, neck or head."""
    if parameter.startswith("backbone.backbone."):
        return "backbone"
    return "neck" if parameter.startswith("backbone.") else "head"


def parts(model: YoloxModel) -> dict[str, list[nn.Module]]:
    """The modules of each part of the network: backbone, neck and head."""
    neck = [module for name, module in model.backbone.named_children() if name != "backbone"]
    return {"backbone": [model.backbone.backbone], "neck": neck, "head": [model.head]}

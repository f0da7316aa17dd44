"""How much memory and disk a YOLOX takes, known without building it."""

from __future__ import annotations

from dataclasses import dataclass

from vistrain_api.detector import DetectorTrainingSpec

FLOAT = 4
"""Bytes of a number in fp32."""
PROCESS = 256 * 2**20
"""Bytes that PyTorch and its libraries take on a device before there is a model; seldom less."""


@dataclass(frozen=True)
class YoloxSize:
    """Counts of one variant: a test takes them anew from the network itself."""

    parameters: int
    """Parameters besides those of each class."""
    parameters_per_class: int
    full: float
    """Bytes kept for the backward pass, per pixel of the input, in fp32."""
    half: float
    """The same with the network in bf16 or fp16."""

    def all_parameters(self, classes: int) -> int:
        """Parameters of a model of that many classes."""
        return self.parameters + classes * self.parameters_per_class


SIZES = {
    "nano": YoloxSize(896_559, 195, 610.25, 306.625),
    "tiny": YoloxSize(5_032_575, 291, 693.375, 348.9375),
    "s": YoloxSize(8_937_295, 387, 920.5, 463.25),
    "m": YoloxSize(25_280_175, 579, 1698.75, 853.875),
    "l": YoloxSize(54_147_215, 771, 2693.0, 1352.5),
    "x": YoloxSize(98_994_415, 963, 3903.25, 1959.125),
}


@dataclass(frozen=True)
class Footprint:
    """What a run needs at least, in bytes."""

    fixed: int
    """Of memory, whatever the batch: weights, average, the optimiser's state, the process."""
    per_image: int
    """Of memory, for each image of the batch: its input, and what the backward pass needs of it."""
    checkpoint: int
    """Of disk, for one checkpoint."""
    weights: int
    """Of disk, for one exported file of weights."""

    def memory(self, batch_size: int) -> int:
        """Least memory of a step."""
        return self.fixed + batch_size * self.per_image

    def largest_batch(self, memory: int) -> int:
        """The largest batch that may fit; 0 when not even one image does."""
        return max(0, (memory - self.fixed) // self.per_image)


def footprint(spec: DetectorTrainingSpec) -> Footprint | None:
    """What a run needs at least; none for a model that is not a YOLOX.

    `precision: auto` is taken for half precision, which is what it comes to where it can.
    """
    yolox = spec.model.yolox
    if yolox is None:
        return None
    size = SIZES[yolox.variant]
    parameters = size.all_parameters(len(spec.dataset.classes))
    moments = 2 if spec.schedule.optimizer.adamw is not None else 1
    averages = 1 if spec.schedule.ema.enabled else 0
    stored = FLOAT * parameters * (1 + averages + moments)
    half = spec.schedule.precision != "fp32"
    pixels = yolox.input_size.height * yolox.input_size.width
    copies = 2 * parameters if half else 0  # the weights once more, in half precision
    return Footprint(
        fixed=stored + copies + PROCESS,  # gradients take the room that the backward pass gives back
        per_image=int(pixels * (size.half if half else size.full)),
        checkpoint=stored,
        weights=FLOAT * parameters,
    )


def gigabytes(count: float) -> str:
    """Bytes in words, such as `13.4 GB`; small ones in MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"

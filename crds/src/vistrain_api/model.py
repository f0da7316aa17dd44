"""What is trained: the detector's architecture."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, exactly_one, not_supported

Side = Annotated[int, Field(ge=32, le=4096, multiple_of=32)]


class InputSize(Contract):
    """Size of the network's input, in pixels; both sides are multiples of 32, the largest stride."""

    height: Side
    """Height in pixels."""
    width: Side
    """Width in pixels."""


class Yolox(Contract):
    """A YOLOX detector (Ge et al., 2021)."""

    variant: Literal["nano", "tiny", "s", "m", "l", "x"]
    """Depth and width of the network, as upstream names them."""
    input_size: InputSize
    """Size that images are letterboxed to."""


class UltralyticsWarmup(Contract):
    """Warm-up as Ultralytics has it."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Momentum (Adam: beta 1) at the first step."""
    bias_learning_rate: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Learning rate of the biases at the first step."""


class Ultralytics(Contract):
    """A detector of the `ultralytics` package (AGPL-3.0, an optional extra)."""

    variant: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9-]+$")]
    """Model name as the package has it, such as yolo11s."""
    image_size: Side = 640
    """Longer side of the network's input, in pixels."""
    nominal_batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    """Images per optimiser step that the hyper-parameters are stated for; reached by accumulation."""
    warmup: UltralyticsWarmup = Field(default_factory=UltralyticsWarmup)
    """Warm-up of momentum and bias learning rate."""


class DetectorModel(Contract):
    """The detector: exactly one of yolox, ultralytics."""

    yolox: Yolox | None = None
    """A YOLOX detector."""
    ultralytics: Ultralytics | None = None
    """An Ultralytics detector."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("yolox", "ultralytics"), not_supported("ultralytics"))

    def display(self) -> str:
        """The name shown by `kubectl get`, such as `yolox-l`."""
        member: Any = self.yolox
        return (
            f"yolox-{member.variant}"
            if member is not None
            else str(self.ultralytics and self.ultralytics.variant)
        )

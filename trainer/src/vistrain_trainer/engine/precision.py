"""The arithmetic of the network: resolved once, applied as an autocast region with a loss scaler for fp16."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_LEAST_SCALE = 2.0**-10


def resolve_precision(stated: str, device: torch.device) -> str:
    """`auto` is what the device is fast in: bf16 where its units have it, fp16 on older GPUs, else fp32."""
    if stated != "auto":
        return stated
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return "bf16"
    return "fp32"


class Precision:
    """Autocast and, for fp16, the loss scaler. A step that the scaler skips counts as a step."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.name = name
        self._device = device
        self._scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The region that forward passes run in; none for fp32."""
        if self.name == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, _DTYPES[self.name])

    def backward(self, loss: torch.Tensor) -> None:
        """Backward pass; gradients add up over calls."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        factor: torch.Tensor | None = None,
        clip: float | None = None,
    ) -> None:
        """Optimiser step.

        Args:
            optimizer: its parameters' gradients are used up.
            factor: scalar that the gradients are multiplied by.
            clip: norm that longer gradients are scaled down to, afterwards.
        """
        if factor is not None or clip is not None:
            self._scaler.unscale_(optimizer)
            parameters = [
                parameter
                for group in optimizer.param_groups
                for parameter in group["params"]
                if parameter.grad is not None
            ]
            if factor is not None:
                torch._foreach_mul_([parameter.grad for parameter in parameters], factor)
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
        self._scaler.step(optimizer)
        self._scaler.update()

    def abandon_step(self) -> None:
        """Forget a step that was begun and will be done again."""
        if self.name == "fp16":
            self._scaler._per_optimizer_states.clear()

    @property
    def tolerates_overflow(self) -> bool:
        """Whether a loss that is not finite may be an overflow that the scaler has dealt with (fp16)."""
        return self.name == "fp16"

    @property
    def collapsed(self) -> bool:
        """Whether the scale fell so low that gradients overflow by themselves: the run has diverged."""
        return self.name == "fp16" and self._scaler.get_scale() < _LEAST_SCALE

    def state(self) -> dict[str, Any]:
        """The scaler's state, empty without one."""
        return dict(self._scaler.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Set the scaler's state."""
        if state:
            self._scaler.load_state_dict(state)

"""Loading named tensors into a model by name and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_UNCOUNTED = "num_batches_tracked"  # a counter that nothing reads; older files lack it


@dataclass(frozen=True)
class Match:
    """Which of a model's tensors a file supplies."""

    fitting: dict[str, Tensor]
    """Tensors to load, by name."""
    wanted: int
    """Tensors of the model that the file is to supply: all, besides the excused ones."""
    misfits: tuple[str, ...]
    """Wanted tensors that are not supplied, each with the reason."""
    excused: tuple[str, ...]
    """Tensors that stay as built since the classes differ."""

    @property
    def found(self) -> int:
        """Wanted tensors that are supplied."""
        return self.wanted - len(self.misfits)

    @property
    def share(self) -> float:
        """Share of the wanted tensors that is supplied."""
        return self.found / max(self.wanted, 1)


def match(
    model: nn.Module, tensors: Mapping[str, Tensor], class_dependent: str, *, other_classes: bool
) -> Match:
    """Compare a file's tensors with a model's.

    Args:
        model: what is to be loaded, possibly on the meta device.
        tensors: the file's.
        class_dependent: prefix of the tensors whose shape is that of the class list.
        other_classes: whether the file is known to have other classes, or another order. Shapes of
            class-dependent tensors that differ say the same.
    """
    own = model.state_dict()
    by_class = {name for name in own if name.startswith(class_dependent)}
    excuse = other_classes or any(
        name in tensors and tensors[name].shape != own[name].shape for name in by_class
    )
    excused = by_class if excuse else set()
    fitting, misfits = {}, []
    for name, tensor in own.items():
        if name in excused:
            continue
        given = tensors.get(name)
        if given is not None and given.shape == tensor.shape:
            fitting[name] = given
        elif not name.endswith(_UNCOUNTED):
            why = "is missing" if given is None else f"is {_shape(given)}, the model has {_shape(tensor)}"
            misfits.append(f"{name} {why}")
    wanted = sum(not name.endswith(_UNCOUNTED) and name not in excused for name in own)
    return Match(fitting, wanted, tuple(misfits), tuple(sorted(excused)))


@torch.no_grad()
def load(model: nn.Module, match: Match) -> None:
    """Copy the fitting tensors into the model, whose other tensors stay."""
    own = model.state_dict()
    for name, tensor in match.fitting.items():
        own[name].copy_(tensor)


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"

"""Training and evaluation modes of a model of which parts may be frozen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import nn


def freeze(model: nn.Module, parts: Mapping[str, Sequence[nn.Module]], frozen: Collection[str]) -> None:
    """Put the model in train mode, but for the frozen parts.

    Those take no gradients and are in eval mode, so that their batch norms' statistics stand still too. What
    a frozen trunk computes needs no graph: autograd keeps none where nothing before takes a gradient.

    Args:
        model: the model.
        parts: modules by the name of the part that they make up.
        frozen: names of parts.
    """
    model.train().requires_grad_(True)
    for part in frozen:
        for module in parts[part]:
            module.eval().requires_grad_(False)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode, every module's own mode restored afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training

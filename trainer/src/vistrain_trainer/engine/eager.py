"""Optimisers that leave PyTorch's compiler out of a process that compiles nothing."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)
_EXEMPT = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(kind: type[Kind]) -> type[Kind]:
    """The same optimiser, without the import of `torch._dynamo`: a second of every start and every resume.

    PyTorch (2.15) imports it for two purposes: to exempt some methods from being compiled
    (torch/_compile.py), and to end a compiled graph around a step (torch/optim/optimizer.py). Where nothing
    is compiled, the methods beneath those wrappers do the same. Should the wrappers change, all is as
    without this, only slower.
    """
    for name in _EXEMPT:
        plain = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            setattr(plain, "__dynamo_disable", plain)
    inner: Any = inspect.unwrap(kind.step)

    @torch.no_grad()
    def step(self: Optimizer, closure: Any = None) -> Any:
        return inner(self, closure)

    return type(kind.__name__, (kind,), {"step": step, "__doc__": kind.__doc__})

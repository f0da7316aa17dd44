"""Parameters grouped by part of the model and by weight decay."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from vistrain_trainer.engine.task import ParameterGroup

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def split_by_decay(
    model: nn.Module, part_of: Callable[[str], str], weight_decay: float
) -> list[ParameterGroup]:
    """Trainable parameters by part: those with weight decay, then norm weights and biases without.

    Args:
        model: the model.
        part_of: from a parameter's name to the part it belongs to; parts come in the order of the model.
        weight_decay: of the parameters that decay.
    """
    norms = {
        f"{name}.{parameter}"
        for name, module in model.named_modules()
        if isinstance(module, _NORMS)
        for parameter, _ in module.named_parameters(recurse=False)
    }
    groups: dict[str, tuple[list[nn.Parameter], list[nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            spared = name in norms or name.endswith("bias")
            groups.setdefault(part_of(name), ([], []))[spared].append(parameter)
    return [
        ParameterGroup(part, parameters, decay)
        for part, pair in groups.items()
        for parameters, decay in zip(pair, (weight_decay, 0.0), strict=True)
        if parameters
    ]

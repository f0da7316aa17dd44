"""Starting a YOLOX from weights, and writing weights that upstream's YOLOX reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vistrain_trainer.detectors import matching
from vistrain_trainer.detectors.weights_file import NamedWeights
from vistrain_trainer.detectors.yolox_model import VARIANTS, YoloxModel
from vistrain_trainer.errors import BadInput

CLASS_HEAD = "head.cls_preds."


def load_weights(
    model: nn.Module,
    weights: NamedWeights,
    *,
    variant: str,
    classes: Sequence[str],
    floor: float,
    field: str,
) -> list[str]:
    """Load what fits by name and shape; say what was loaded.

    The class head stays as built where the file has another number of classes, or states other names or
    another order: row i would otherwise speak of another class.

    Args:
        model: the YoloxModel to load.
        weights: named tensors.
        variant: the model's, for the message.
        classes: the run's.
        floor: least share of the model's tensors, besides an excused class head, that must fit.
        field: the manifest's field that names the source.

    Raises:
        BadInput: less than `floor` fits.
    """
    other = weights.classes is not None and weights.classes != tuple(classes)
    match = matching.match(model, weights.tensors, CLASS_HEAD, other_classes=other)
    if match.share < floor or not match.fitting:
        raise BadInput(
            field=field,
            value=weights.source,
            problem=(
                f"{match.found} of {match.wanted} tensors of yolox-{variant} fit ({100 * match.share:.0f} %),"
                f" the least is {100 * floor:.0f} %; such as: {'; '.join(match.misfits[:3])}"
            ),
            remedy=_remedy(weights, variant, len(classes), floor),
        )
    matching.load(model, match)
    notes = [
        f"{match.found} of {match.wanted} tensors from {weights.source} ({100 * match.share:.0f} %)",
    ]
    if match.misfits:
        notes.append(f"as initialised: {'; '.join(match.misfits[:3])}" + (" …" * (len(match.misfits) > 3)))
    if match.excused:
        notes.append(
            f"the class head ({len(match.excused)} tensors) starts afresh: the file has "
            + (
                f"the classes {', '.join(weights.classes)}"
                if weights.classes
                else "another number of classes"
            )
        )
    return notes


def export(
    state: Mapping[str, Tensor], *, variant: str, classes: Sequence[str], input_size: tuple[int, int]
) -> dict[str, Any]:
    """A checkpoint in upstream's form: `model` is the state dict that its YOLOX loads.

    Beside it: `classes` in the order of the class index, `variant`, `input_size` (height, width) in pixels.
    """
    return {
        "model": {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()},
        "classes": list(classes),
        "variant": variant,
        "input_size": list(input_size),
    }


def _remedy(weights: NamedWeights, variant: str, classes: int, floor: float) -> str:
    for other in VARIANTS:
        with torch.device("meta"):
            model = YoloxModel(other, classes)
        fits = matching.match(model, weights.tensors, CLASS_HEAD, other_classes=False).share >= floor
        if fits and other != variant:
            return (
                f"These are weights of yolox-{other}: set spec.model.yolox.variant: {other}, or give others"
            )
    return f"Give weights of yolox-{variant}; a lower minMatched would start the rest from random weights"

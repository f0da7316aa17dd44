"""Reading a file of weights: found, digested, and taken apart into named tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vistrain_api.initialization import Weights, WeightsFile
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput

FIELD = "spec.initialization.weights"

# Where published files keep their tensors, the average before the raw weights.
_NESTS = ("ema", "ema_state_dict", "model", "state_dict", "model_state_dict")
_PREFIXES = ("module.", "_orig_mod.")


@dataclass(frozen=True)
class NamedWeights:
    """Named tensors and what else their file says."""

    tensors: dict[str, Tensor]
    source: str
    """File name, for notes."""
    classes: tuple[str, ...] | None = None
    """Class names in order, where the file states them."""


def find(weights: Weights, volumes: Volumes) -> tuple[Path, str, WeightsFile]:
    """The first stated file that exists, the field that names it, and its entry.

    Raises:
        BadInput: none of them exists.
    """
    looked_at = []
    entries: list[tuple[str, WeightsFile]] = [(FIELD, weights)]
    entries += [(f"{FIELD}.fallbacks[{number}]", entry) for number, entry in enumerate(weights.fallbacks)]
    for field, entry in entries:
        path = volumes.folder(entry.volume.claim_name, f"{field}.volume.claimName") / entry.path
        if path.is_file():
            return path, field, entry
        looked_at.append(str(path))
    raise BadInput(
        field=f"{FIELD}.path",
        value=weights.path,
        problem=f"there is no such file ({', '.join(looked_at)})",
        remedy="Copy the weights there, correct the path, or start from `initialization: {scratch: {}}`",
    )


def read(path: Path, field: str, sha256: str | None = None) -> NamedWeights:
    """The tensors of a file; only plain data is unpickled, never code.

    Raises:
        BadInput: it cannot be read, has another digest, or holds no named tensors.
    """
    try:
        if sha256 is not None:
            _verify(path, field, sha256)
        with torch.serialization.safe_globals(_numpy_scalars()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(
            field=f"{field}.path",
            value=str(path),
            problem=f"the file cannot be read: {error.strerror or error}",
            remedy="Check its permissions and the volume",
        ) from None
    except Exception as error:  # whatever bytes an unpickler is fed, they are no weights
        raise _not_weights(path, field, _first_line(error)) from None
    tensors = _tensors(content)
    if not tensors:
        raise _not_weights(path, field, "it holds no named tensors")
    return NamedWeights(_without_prefix(tensors), path.name, _classes(content))


def _verify(path: Path, field: str, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise BadInput(
            field=f"{field}.sha256",
            value=expected,
            problem=f"{path} has the digest {found}",
            remedy="Copy the file again if it was cut short, or state this digest if it is the one meant",
        )


def _tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    for nest in _NESTS:
        if found := _tensors(content.get(nest)):
            return found
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _classes(content: Any) -> tuple[str, ...] | None:
    names = content.get("classes") if isinstance(content, Mapping) else None
    if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None


def _numpy_scalars() -> list[Any]:
    """What a NumPy number in a pickle needs: upstream stores its best AP as one."""
    import _codecs

    import numpy as np
    from numpy._core.multiarray import scalar

    kinds = [type(np.dtype(code)) for code in ("f8", "f4", "f2", "i8", "i4", "u1", "?")]
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        _codecs.encode,
        *kinds,
    ]


def _not_weights(path: Path, field: str, why: str) -> BadInput:
    return BadInput(
        field=f"{field}.path",
        value=str(path),
        problem=f"this is not a file of weights that can be read safely: {why}",
        remedy="Give a file that torch.save wrote of a state dict, alone or under the key `model`",
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__

"""Randomness of the training process: seeds, deterministic kernels, the generators' state."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), numpy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def set_determinism(mode: str) -> None:
    """strict: only kernels that give the same bits every time; fast: whatever is quickest.

    Must be called before the first CUDA call: cuBLAS reads its workspace setting once.
    """
    strict = mode == "strict"
    if strict:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    # The same switch as `use_deterministic_algorithms`, which imports the compiler for its own sake: a second
    # of every start and every resume.
    torch.set_deterministic_debug_mode("error" if strict else "default")
    # Filling fresh memory finds bugs and costs time; it does not change results of correct kernels.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = strict
    torch.backends.cudnn.benchmark = not strict


def random_state() -> dict[str, Any]:
    """The state of every generator, as tensors and plain values."""
    numpy_state: Any = np.random.get_state(legacy=True)
    name, keys, position, has_gauss, gauss = numpy_state
    return {
        "torch": torch.get_rng_state(),
        "cuda": _cuda_states(),
        "numpy": (
            str(name),
            torch.from_numpy(keys.astype(np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ),
        "python": random.getstate(),
    }


def _cuda_states() -> list[torch.Tensor]:
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    return torch.cuda.get_rng_state_all()


def restore_random_state(state: dict[str, Any]) -> None:
    """Set every generator; CUDA states are left alone when the number of devices differs."""
    torch.set_rng_state(state["torch"].clone())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([part.clone() for part in state["cuda"]])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))


@contextlib.contextmanager
def unchanged_randomness() -> Iterator[None]:
    """Leave every generator as it was: making a loader draws a number, for one."""
    before = random_state()
    try:
        yield
    finally:
        restore_random_state(before)

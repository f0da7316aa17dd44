"""What an exception that ends a run means: exit code, failure class, last words."""

from __future__ import annotations

from typing import NamedTuple

from vistrain_api.failures import FailureClass
from vistrain_api.protocol import ExitCode
from vistrain_trainer.engine.files import as_storage_fault
from vistrain_trainer.errors import BadInput, LoaderWorkerLost, VistrainError


class End(NamedTuple):
    """How a run ends."""

    exit_code: int
    failure: FailureClass | None
    message: str
    expected: bool
    """Whether the message tells all; otherwise the traceback is logged."""


_HOST_MEMORY = "host memory ran out: raise spec.resources.memory, or lower spec.dataset.loader.workers"


def explain(error: BaseException) -> End:
    """The end that an exception stands for."""
    if isinstance(error, LoaderWorkerLost):
        failure = FailureClass.OUT_OF_MEMORY_HOST if error.out_of_memory else FailureClass.UNKNOWN
        return End(error.exit_code, failure, str(error), expected=True)
    if isinstance(error, VistrainError):
        return End(int(error.exit_code), error.failure, str(error), expected=True)
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        return End(1, FailureClass.OUT_OF_MEMORY_HOST, f"{_HOST_MEMORY} ({error})", expected=False)
    if isinstance(error, OSError):
        fault = as_storage_fault(str(error.filename or "writing to the run folder"), error)
        if fault is not None:
            return End(int(fault.exit_code), fault.failure, str(fault), expected=False)
    if isinstance(error, RuntimeError):
        return _explain_torch(error)
    return _unknown(error)


def _explain_torch(error: RuntimeError) -> End:
    import torch

    text = str(error)
    first = text.partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError):
        return End(
            ExitCode.OUT_OF_GPU_MEMORY,
            FailureClass.OUT_OF_MEMORY_GPU,
            f"GPU memory does not suffice: {first}. Lower spec.schedule.batchSize or take a larger slice",
            expected=False,
        )
    if "does not have a deterministic implementation" in text:
        bad = BadInput(
            field="spec.schedule.determinism",
            value="strict",
            problem=f"not possible on this device: {first}",
            remedy="Say fast",
        )
        return End(int(bad.exit_code), bad.failure, str(bad), expected=False)
    if isinstance(error, torch.AcceleratorError) or "CUDA error" in text or "cuDNN error" in text:
        return End(
            ExitCode.DEVICE_FAULT, FailureClass.DEVICE_FAULT, f"the device failed: {first}", expected=False
        )
    return _unknown(error)


def _unknown(error: BaseException) -> End:
    return End(1, FailureClass.UNKNOWN, f"{type(error).__name__}: {error}"[:1200], expected=False)

"""The errors that end a run, each with the exit code and the failure class it stands for.

VistrainError
├── BadInput            64  manifest, data or weights are wrong; no retry helps
├── OutOfGpuMemory      65  GPU memory does not suffice
├── Diverged            66  the loss is not finite
├── DeviceFault         69  the device failed, or the slice has no CUDA
├── StorageFault        74  the checkpoint volume failed or is full
├── Stopped             75  stopped on request; a checkpoint is saved
├── Fenced              76  a newer attempt owns the run folder
└── LoaderWorkerLost    70  a loader worker died; says whether memory ran out
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from vistrain_api.failures import FailureClass
from vistrain_api.protocol import ExitCode


class VistrainError(Exception):
    """Base of the errors that end a run."""

    exit_code: ClassVar[int] = 1
    failure: ClassVar[FailureClass | None] = FailureClass.UNKNOWN


class BadInput(VistrainError):
    """Something the user gave is wrong: says the field, the value, the problem and the way out."""

    exit_code = ExitCode.BAD_INPUT
    failure = FailureClass.BAD_INPUT

    def __init__(self, *, field: str, value: object, problem: str, remedy: str) -> None:
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy
        super().__init__(f"{field}: {value}: {problem}. {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """How it comes out of a process that found it."""
        made = functools.partial(
            type(self), field=self.field, value=self.value, problem=self.problem, remedy=self.remedy
        )
        return made, ()


class OutOfGpuMemory(VistrainError):
    """GPU memory does not suffice for one step."""

    exit_code = ExitCode.OUT_OF_GPU_MEMORY
    failure = FailureClass.OUT_OF_MEMORY_GPU


class Diverged(VistrainError):
    """The loss or the weights are not finite."""

    exit_code = ExitCode.DIVERGED
    failure = FailureClass.NUMERICAL_DIVERGENCE


class DeviceFault(VistrainError):
    """The device failed, or is not there although it was asked for."""

    exit_code = ExitCode.DEVICE_FAULT
    failure = FailureClass.DEVICE_FAULT


class StorageFault(VistrainError):
    """The checkpoint volume failed or is full; what was saved before is whole."""

    exit_code = ExitCode.STORAGE_FAULT
    failure = FailureClass.STORAGE_FAULT


class Stopped(VistrainError):
    """Stopped on request, with a checkpoint saved."""

    exit_code = ExitCode.STOPPED
    failure = None


class Fenced(VistrainError):
    """A newer attempt owns the run folder; this one must not write any more."""

    exit_code = ExitCode.FENCED
    failure = FailureClass.NODE_LOST


class LoaderWorkerLost(VistrainError):
    """A loader worker died. `out_of_memory` tells a kill for memory from another end."""

    exit_code = 70
    failure = FailureClass.UNKNOWN

    def __init__(self, message: str, *, out_of_memory: bool) -> None:
        super().__init__(message)
        self.out_of_memory = out_of_memory

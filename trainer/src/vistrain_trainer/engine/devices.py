"""The device that is trained on, and what of the machine decides the bits of the result."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from decimal import Decimal

import torch

from vistrain_api.protocol import ENV_STANDIN_DEVICE
from vistrain_api.resources import Resources
from vistrain_trainer.errors import BadInput, DeviceFault


@dataclass(frozen=True)
class Machine:
    """The device, and what else the law of resume holds for."""

    device: torch.device
    name: str
    """For a person, such as `cuda (NVIDIA H100 MIG 1g.20gb)`."""
    threads: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Environment:
    """What must be equal for a resumed run to equal an untouched one to the bit; in each checkpoint."""

    torch: str
    device: str
    cpu_capability: str
    threads: int
    image: str

    @classmethod
    def of(cls, machine: Machine, image: str) -> Environment:
        """That of this process."""
        return cls(
            torch=torch.__version__,
            device=machine.name,
            cpu_capability=torch.backends.cpu.get_cpu_capability(),
            threads=machine.threads,
            image=image,
        )

    def differences(self, before: dict[str, object]) -> list[str]:
        """Such as `threads 4, before 2`; empty when the law holds."""
        return [
            f"{key} {value}, before {before[key]}"
            for key, value in asdict(self).items()
            if key in before and before[key] != value
        ]


def find_machine(resources: Resources, asked: str, *, in_pod: bool) -> Machine:
    """The device for a manifest.

    In a pod a GPU without CUDA is never replaced silently: only the dev cluster's device plugin permits the
    CPU. Elsewhere the best device there is takes the place of one that is not, with a note; `asked`
    (`--device`) decides.

    Raises:
        DeviceFault: in a pod, the slice or GPU has no CUDA.
        BadInput: the device asked for is not here.
    """
    wanted = "cuda" if resources.accelerator.mig or resources.accelerator.gpu else "cpu"
    if resources.accelerator.mps:
        wanted = "mps"
    notes: list[str] = []
    if asked != "auto":
        kind = _asked_device(asked)
    elif wanted == "cpu" or _is_here(wanted):
        kind = wanted
    elif wanted == "cuda" and os.environ.get(ENV_STANDIN_DEVICE) == "cpu":
        kind = "cpu"
        notes.append("the device plugin offers a stand-in: training on the CPU in the slice's place")
    elif in_pod:
        raise DeviceFault(
            f"spec.resources.accelerator: {resources.accelerator.display()}: the container has no "
            f"{wanted.upper()} device, and nothing is trained on the CPU in its place. "
            "Check the node's device plugin and driver"
        )
    else:
        kind = "mps" if _is_here("mps") else "cpu"
        notes.append(
            f"no {wanted.upper()} device is here for spec.resources.accelerator "
            f"{resources.accelerator.display()}: training on {kind} (say --device to choose)"
        )
    threads = _pin_threads(resources, in_pod=in_pod)
    return Machine(device=torch.device(kind), name=_device_name(kind), threads=threads, notes=tuple(notes))


def _asked_device(asked: str) -> str:
    if asked not in ("cpu", "cuda", "mps"):
        raise BadInput(field="--device", value=asked, problem="unknown", remedy="Say auto, cpu, cuda or mps")
    if asked != "cpu" and not _is_here(asked):
        raise BadInput(
            field="--device", value=asked, problem="there is no such device here", remedy="Say --device cpu"
        )
    return asked


def _is_here(kind: str) -> bool:
    return torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()


def _device_name(kind: str) -> str:
    return f"cuda ({torch.cuda.get_device_name(0)})" if kind == "cuda" else kind


def _pin_threads(resources: Resources, *, in_pod: bool) -> int:
    """Set the threads of one operator from spec.resources.cpu: the count decides the order of sums."""
    stated = str(resources.cpu)
    cores = Decimal(stated[:-1]) / 1000 if stated.endswith("m") else Decimal(stated)
    threads = max(1, int(cores))
    if not in_pod:
        threads = min(
            threads, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
    torch.set_num_threads(threads)
    return threads

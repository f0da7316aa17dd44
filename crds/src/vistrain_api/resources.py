"""What a trainer pod runs on."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from vistrain_api.base import Contract, Rule, exactly_one, getattr_by_alias
from vistrain_api.quantities import Cpu, Memory, MigProfileName, to_bytes


def _at_least(member: str, floor: str) -> Rule:
    return Rule(
        cel=f"quantity(string(self.{member})).compareTo(quantity('{floor}')) >= 0",
        message=f"{member} must be at least {floor}; a number without a unit counts bytes",
        holds=lambda m: to_bytes(getattr_by_alias(m, member)) >= to_bytes(floor),
        field_path=f".{member}",
    )


class Mig(Contract):
    """A slice of a GPU."""

    profile: MigProfileName
    """MIG profile, such as 1g.20gb."""


class Gpu(Contract):
    """A whole GPU."""

    count: Annotated[int, Field(ge=1, le=1)] = 1
    """GPUs; a run trains on one device."""


class CpuOnly(Contract):
    """No accelerator."""


class Mps(Contract):
    """An Apple GPU; only without a cluster."""


class Accelerator(Contract):
    """Exactly one of mig, gpu, cpu, mps."""

    mig: Mig | None = None
    """A slice of a GPU."""
    gpu: Gpu | None = None
    """A whole GPU."""
    cpu: CpuOnly | None = None
    """No accelerator."""
    mps: Mps | None = None
    """An Apple GPU; only without a cluster."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one("mig", "gpu", "cpu", "mps"),
        Rule(
            cel="!has(self.mps)",
            message="mps is an Apple GPU, which no cluster offers: use it with `vistrain run`",
            holds=lambda m: m.mps is None,
            field_path=".mps",
            reason="FieldValueForbidden",
            cluster_only=True,
        ),
    )

    def display(self) -> str:
        """The name shown by `kubectl get`: a MIG profile, gpu, cpu or mps."""
        if self.mig is not None:
            return self.mig.profile
        return "gpu" if self.gpu is not None else "cpu" if self.cpu is not None else "mps"


class Resources(Contract):
    """What a trainer pod asks for; requests equal limits."""

    accelerator: Accelerator
    """The device that is trained on."""
    cpu: Cpu = 4
    """CPU cores."""
    memory: Memory = "24Gi"
    """Memory of the host."""
    shared_memory: Memory = "8Gi"
    """Size of /dev/shm, which loader workers hand batches through; counts towards memory."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="quantity(string(self.sharedMemory)).isLessThan(quantity(string(self.memory)))",
            message="sharedMemory must be less than memory: it counts towards it",
            holds=lambda m: to_bytes(m.shared_memory) < to_bytes(m.memory),
            field_path=".sharedMemory",
        ),
        _at_least("memory", "64Mi"),
        _at_least("sharedMemory", "16Mi"),
    )

"""The written units of a manifest: durations, Kubernetes quantities, MIG profiles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

DURATION_PATTERN = r"^([0-9]+(h|m|s))+$"
MEMORY_PATTERN = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$"
CPU_PATTERN = r"^([0-9]+(\.[0-9]{1,3})?|[0-9]+m)$"
MIG_PATTERN = r"^[1-9]g\.[1-9][0-9]{0,2}gb(\+[a-z]+(\.[a-z]+)*)?$"

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=20)]
"""A time span such as `120s`, `10m` or `1h30m`: whole hours, minutes, seconds; no days, no spaces."""

MigProfileName = Annotated[str, Field(pattern=MIG_PATTERN, max_length=24)]
"""A MIG profile as `nvidia-smi mig -lgip` names it: `1g.20gb`, `1g.10gb+me`, `7g.80gb`."""


def _quantity(pattern: str) -> Any:
    def check(value: int | str) -> int | str:
        if isinstance(value, str) and not re.match(pattern, value):
            raise ValueError(f"{value!r} is not a quantity such as matches {pattern}")
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{value!r} is negative")
        return value

    return Annotated[
        int | str,
        AfterValidator(check),
        WithJsonSchema(
            {"x-kubernetes-int-or-string": True, "pattern": pattern, "maxLength": 20, "minimum": 0}
        ),
    ]


Memory = _quantity(MEMORY_PATTERN)
Cpu = _quantity(CPU_PATTERN)

_SECONDS = {"h": 3600, "m": 60, "s": 1}
_FACTORS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def seconds(duration: str) -> int:
    """Seconds in a duration such as `1h30m`. Raises ValueError for another form."""
    if not re.match(DURATION_PATTERN, duration):
        raise ValueError(f"{duration!r} is not a duration such as 120s, 10m or 1h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)(h|m|s)", duration))


def to_bytes(quantity: int | str) -> int:
    """Bytes in a memory quantity such as `24Gi`. Raises ValueError for another form."""
    text = str(quantity)
    if not re.match(MEMORY_PATTERN, text):
        raise ValueError(f"{text!r} is not a memory quantity such as 24Gi or 512Mi")
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return int(Decimal(number) * _FACTORS[unit])


@dataclass(frozen=True)
class MigProfile:
    """A parsed MIG profile: parsed and never listed, since every GPU generation brings its own."""

    compute_slices: int
    memory_gb: int
    attributes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str) -> MigProfile:
        """Parse `1g.10gb+me`. Raises ValueError naming the value and the form expected."""
        match = re.fullmatch(r"([1-9])g\.([1-9][0-9]{0,2})gb(?:\+([a-z]+(?:\.[a-z]+)*))?", name)
        if match is None:
            raise ValueError(f"{name!r} is not a MIG profile such as 1g.20gb or 1g.10gb+me")
        compute, memory, attributes = match.groups()
        return cls(int(compute), int(memory), tuple(attributes.split(".")) if attributes else ())

    @property
    def resource(self) -> str:
        """The extended resource under the mixed strategy; `+` is not allowed there and is written `.`."""
        suffix = "".join(f".{a}" for a in self.attributes)
        return f"nvidia.com/mig-{self.compute_slices}g.{self.memory_gb}gb{suffix}"

    @property
    def product_suffix(self) -> str:
        """What the product label of a node ends in under the single strategy."""
        suffix = "".join(f".{a}" for a in self.attributes)
        return f"-MIG-{self.compute_slices}g.{self.memory_gb}gb{suffix}"

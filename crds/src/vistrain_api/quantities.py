"""The written units of a manifest: durations, Kubernetes quantities, MIG profiles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

DURATION_PATTERN = r"^([0-9]+(h|m|s))+$"
MEMORY_PATTERN = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$"
CPU_PATTERN = r"^([1-9][0-9]*(m|\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9]0{0,2})$"
MIG_PATTERN = r"^[1-9]g\.[1-9][0-9]{0,2}gb(\+[a-z]+(\.[a-z]+)*)?$"

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=20)]
"""A time span such as `120s`, `10m` or `1h30m`: whole hours, minutes, seconds; no days, no spaces."""

MigProfileName = Annotated[str, Field(pattern=MIG_PATTERN, max_length=24)]
"""A MIG profile as `nvidia-smi mig -lgip` names it: `1g.20gb`, `1g.10gb+me`, `7g.80gb`."""


_QUANTITY_LENGTH = 20  # characters


def _quantity(pattern: str, least: int, examples: str) -> Any:
    def check(value: Any) -> int | str:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"not a quantity such as {examples}")
        if isinstance(value, str) and (len(value) > _QUANTITY_LENGTH or not re.fullmatch(pattern, value)):
            raise ValueError(f"not a quantity such as {examples}")
        if isinstance(value, int) and value < least:
            raise ValueError(f"must be at least {least}")
        return value

    schema = {"pattern": pattern, "maxLength": _QUANTITY_LENGTH, "minimum": least}
    # One validator for both spellings, so that a refusal is one error at the field itself.
    return Annotated[
        Any, AfterValidator(check), WithJsonSchema({"x-kubernetes-int-or-string": True, **schema})
    ]


if TYPE_CHECKING:
    Memory = int | str
    Cpu = int | str
else:
    Memory = _quantity(MEMORY_PATTERN, 1, "24Gi or 512Mi")
    Cpu = _quantity(CPU_PATTERN, 1, "4, 0.5 or 500m")

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
    if not re.fullmatch(DURATION_PATTERN, duration):
        raise ValueError(f"{duration!r} is not a duration such as 120s, 10m or 1h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)(h|m|s)", duration))


def to_bytes(quantity: int | str) -> int:
    """Bytes in a memory quantity such as `24Gi`. Raises ValueError for another form."""
    text = str(quantity)
    if not re.fullmatch(MEMORY_PATTERN, text):
        raise ValueError(f"{text!r} is not a memory quantity such as 24Gi or 512Mi")
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return int(Decimal(number) * _FACTORS[unit])


def to_millicores(quantity: int | str) -> int:
    """Thousandths of a core in a CPU quantity such as `4`, `0.5` or `500m`. Raises ValueError."""
    text = str(quantity)
    if not re.fullmatch(CPU_PATTERN, text):
        raise ValueError(f"{text!r} is not a CPU quantity such as 4, 0.5 or 500m")
    return int(text.removesuffix("m")) if text.endswith("m") else int(Decimal(text) * 1000)


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

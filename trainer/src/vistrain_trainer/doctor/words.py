"""Numbers, times and commands as a person reads them."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vistrain_trainer.doctor.evidence import RunEvidence


def counted(number: int, thing: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def ago(time: timedelta) -> str:
    """A length of time in its largest fitting unit, such as `12 minutes ago`."""
    return f"{lasting(time)} ago"


def lasting(time: timedelta) -> str:
    """A length of time in its largest fitting unit, such as `12 minutes`."""
    seconds = max(0, int(time.total_seconds()))
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return counted(seconds // length, unit)
    return counted(seconds, "second")


def again(run: RunEvidence) -> str:
    """The command that goes on with a run."""
    folder = shlex.quote(str(run.folder))
    if run.manifest is None:
        return f"`vistrain run -f MANIFEST --output {folder}`"
    claim = run.manifest.spec.dataset.volume.claim_name
    return f"`vistrain run -f {folder}/manifest.yaml --output {folder} --volume {claim}=DIR`"

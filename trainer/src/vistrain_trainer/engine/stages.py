"""Named places of a run, at which tests end the process: what the law of resume is proved at.

In ordinary runs `stage` does nothing. VISTRAIN_TEST_SIGNALS names places: with
`save.rename:2=KILL,step@17=TERM` the process kills itself the second time it comes to `save.rename`, and asks
itself to stop after step 17.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

ENV_TEST_SIGNALS = "VISTRAIN_TEST_SIGNALS"

_plan: dict[str, signal.Signals] = {}
_seen: Counter[str] = Counter()


def plan(text: str) -> None:
    """Set the places and signals; empty for none."""
    _plan.clear()
    _seen.clear()
    for entry in filter(None, text.split(",")):
        place, _, name = entry.partition("=")
        if ":" not in place and "@" not in place:
            place = f"{place}:1"
        _plan[place] = signal.Signals[f"SIG{name}"]


def stage(name: str, number: int | None = None) -> None:
    """Mark a place in the run; `number` tells apart places that a resumed run counts on."""
    if not _plan:
        return
    _seen[name] += 1
    chosen = _plan.get(f"{name}:{_seen[name]}") or _plan.get(f"{name}@{number}")
    if chosen is not None:
        os.kill(os.getpid(), chosen)


plan(os.environ.get(ENV_TEST_SIGNALS, ""))

"""Named places of a run, at which tests end the process: what the law of resume is proved at.

In ordinary runs `stage` does nothing. VISTRAIN_TEST_SIGNALS names places, such as
`save.rename:2=KILL,step:17=TERM`: the second time the run comes to `save.rename` it kills itself.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

ENV_TEST_SIGNALS = "VISTRAIN_TEST_SIGNALS"


def _parse(text: str) -> dict[tuple[str, int], signal.Signals]:
    plan = {}
    for entry in filter(None, text.split(",")):
        place, _, name = entry.partition("=")
        stage_name, _, count = place.partition(":")
        plan[stage_name, int(count or 1)] = signal.Signals[f"SIG{name}"]
    return plan


_plan = _parse(os.environ.get(ENV_TEST_SIGNALS, ""))
_seen: Counter[str] = Counter()


def stage(name: str) -> None:
    """Mark a place in the run."""
    if not _plan:
        return
    _seen[name] += 1
    chosen = _plan.get((name, _seen[name]))
    if chosen is not None:
        os.kill(os.getpid(), chosen)

"""What comes before the first attempt, in order: raw data are prepared, then the pre-flight looks at all."""

from __future__ import annotations

from vistrain_operator.decide import errands
from vistrain_operator.decide.draft import Draft
from vistrain_operator.decide.errand import Errand
from vistrain_operator.decide.preflight import Preflight
from vistrain_operator.decide.preparation import Preparation

ERRANDS: tuple[Errand, ...] = (Preparation(), Preflight())


def pending(draft: Draft) -> Errand | None:
    """The errand that has yet to be done. A run that has had an attempt needs none."""
    return next((e for e in ERRANDS if errands.pending(draft, e)), None)


def take_in(draft: Draft) -> None:
    """Note the ends of their Jobs, each once."""
    for errand in ERRANDS:
        errands.take_in(draft, errand)


def finish(draft: Draft) -> bool:
    """End the run if an errand has ended for good without being done. Says whether it did."""
    return any(errands.finish(draft, errand) for errand in ERRANDS)


def clear_away(draft: Draft) -> None:
    """Delete the Jobs of errands that are done and that no other run looks at."""
    for errand in ERRANDS:
        errands.clear_away(draft, errand)

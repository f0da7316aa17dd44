"""The pre-flight: the errand that looks at data, weights and disk."""

from __future__ import annotations

from vistrain_api import quantities
from vistrain_api.status import Preflight as Record
from vistrain_operator import jobs
from vistrain_operator.decide.classify import End
from vistrain_operator.decide.draft import Draft
from vistrain_operator.decide.errand import Errand, Limit
from vistrain_operator.decide.settled import Settled
from vistrain_operator.objects import Object


class Preflight(Errand):
    """Every run has its own; its Job goes once it has passed."""

    field = "preflight"
    title = "the pre-flight"
    reason = "Preflight"
    doing = "the pre-flight looks at data, weights and disk before a slice is asked for"
    shared = False

    def wanted(self, draft: Draft) -> bool:
        """Always."""
        return True

    def begun(self, draft: Draft) -> Record:
        """The record as it is, or a new one."""
        return draft.status.preflight or Record()

    def name(self, draft: Draft) -> str:
        """Name of its Job."""
        return jobs.preflight_name(draft.run.metadata.name, draft.uid)

    def body(self, draft: Draft, settled: Settled) -> Object:
        """Its Job."""
        return jobs.preflight(
            settled.run,
            uid=draft.uid,
            image=settled.image,
            path=settled.path,
            manifest=settled.manifest,
            owner=settled.owner,
        )

    def limit(self, draft: Draft) -> Limit:
        """As long as a trainer may be still."""
        stated = draft.spec.resilience.stall_timeout
        return Limit(quantities.seconds(stated), f"resilience.stallTimeout ({stated})")

    def told(self, end: End) -> tuple[str, str, str]:
        """Its warnings are kept."""
        warned = "; ".join(end.words.notes) if end.words is not None else ""
        text = "data, weights and disk are as the run needs them"
        return warned, "PreflightPassed", f"{text}; but: {warned}" if warned else text

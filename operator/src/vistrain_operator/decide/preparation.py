"""The preparation: the errand that makes a data set of raw data, once for all runs that ask for the same.

Whoever needs it first makes its Job, and every run notes its end for itself. Nobody stops it while another
run waits. With the run that made it Kubernetes deletes it; then one of the others makes it again. An end from
before a run was there is not believed: the data may have been changed since, or deleted.
"""

from __future__ import annotations

from vistrain_api import protocol
from vistrain_api.status import PreparationRecord
from vistrain_operator import jobs, objects
from vistrain_operator.decide.classify import End
from vistrain_operator.decide.draft import Draft
from vistrain_operator.decide.errand import Errand, Limit
from vistrain_operator.decide.settled import Settled
from vistrain_operator.objects import Object
from vistrain_operator.preparations import Wanted

# The same for all runs, since they share the Job.
LIMIT = Limit(3600, "an hour")


class Preparation(Errand):
    """Its Job stays for its log until its time to live is over."""

    field = "preparation"
    title = "the preparation"
    reason = "Preparing"
    doing = "raw data are prepared before a slice is asked for"
    shared = True

    def wanted(self, draft: Draft) -> bool:
        """Whether the manifest has a dataset.prepare."""
        return draft.spec.dataset.prepare is not None

    def begun(self, draft: Draft) -> PreparationRecord:
        """The record as it is; a new one where the run, before its start, came to ask for something else."""
        asked, record = _asked(draft), draft.status.preparation
        if record is not None and record.digest == asked.digest:
            return record
        return PreparationRecord(digest=asked.digest, job=asked.job)

    def name(self, draft: Draft) -> str:
        """Name of its Job."""
        return _asked(draft).job

    def body(self, draft: Draft, settled: Settled) -> Object:
        """Its Job."""
        asked = _asked(draft)
        return jobs.preparation(
            settled.run,
            uid=draft.uid,
            name=asked.job,
            digest=asked.digest,
            image=settled.image,
            path=settled.path,
            manifest=settled.manifest,
            owner=settled.owner,
        )

    def limit(self, draft: Draft) -> Limit:
        """One for all."""
        return LIMIT

    def told(self, end: End) -> tuple[str, str, str]:
        """What was made is kept."""
        made = end.words.message if end.words is not None else ""
        return made, "Prepared", f"the data set is made: {made}" if made else "the data set is made"

    def saying(self, draft: Draft, job: Object | None) -> str:
        """Whose Job prepares what."""
        name, what = self.name(draft), "raw data"
        if draft.spec.dataset.prepare is not None:
            what = f"nuScenes {draft.spec.dataset.prepare.nuscenes.version}"
        maker = "" if job is None else objects.label(job, protocol.LABEL_RUN)
        shared = f", made for run {maker}," if maker and maker != draft.run.metadata.name else ""
        return f"Job {name}{shared} prepares {what} before a slice is asked for"

    def outdated(self, draft: Draft, job: Object, end: End) -> bool:
        """Whether it came before this run: of failures, whether the Job did."""
        ours = objects.created(draft.observed.run)
        began = objects.created(job)
        if ours is None or began is None:
            return False
        return (end.at if end.failure is None else began) < ours


def _asked(draft: Draft) -> Wanted:
    asked = draft.preparation
    if asked is None:
        raise ValueError(f"run {draft.run.metadata.name} asks for no preparation")
    return asked

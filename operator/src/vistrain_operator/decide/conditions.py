"""Why a pod does not train yet, as the reason of the condition Running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from vistrain_api.failures import FailureClass
from vistrain_operator import objects
from vistrain_operator.objects import Object
from vistrain_operator.observed import Observed

_PULLING = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
# The Job controller makes its pod within a second; a volume is attached within seconds.
POD_EXPECTED = timedelta(seconds=3)
START_EXPECTED = timedelta(seconds=10)
LOOK_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True)
class Waiting:
    """What a pod that does not run waits for."""

    reason: str
    """Reason of Running=False; a failure class where there is one."""
    message: str
    warn: bool = False
    """Whether a person should be told by an event."""


# One message for Job, pod, scheduling and image: each takes a moment, and is worth no write of its own.
STARTS = Waiting("Starting", "the pod starts")


def waiting(  # noqa: PLR0911 - one return per finding
    job: Object | None, pod: Object | None, observed: Observed
) -> Waiting | None:
    """What the attempt waits for; none when its trainer container runs."""
    if pod is None:
        return _without_pod(job, observed)
    if objects.deletion(pod) is not None:
        return Waiting("Stopping", f"pod {objects.name(pod)} is stopping")
    if objects.trainer_state(pod, "running") is not None:
        return None
    if objects.trainer_state(pod, "terminated") is not None:
        return Waiting("Finishing", "the trainer has ended; the pod follows")
    scheduled = objects.condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        text = f"pod {objects.name(pod)} finds no node: {scheduled.get('message', '')}"
        return Waiting(FailureClass.UNSCHEDULABLE.value, text, warn=True)
    if not (pod.get("spec") or {}).get("nodeName"):
        return STARTS
    stuck = objects.trainer_state(pod, "waiting") or {}
    reason, detail = stuck.get("reason", ""), stuck.get("message", "")
    if reason in _PULLING:
        text = (
            f"{detail or reason}: correct pod.image or pod.imagePullSecrets in a new run, or supply the image"
        )
        return Waiting(FailureClass.IMAGE_PULL.value, text, warn=True)
    if reason not in _STARTING:
        return Waiting(reason, detail or reason, warn=True)
    trouble = observed.troubles.get(objects.uid(pod))
    if trouble:
        return Waiting("VolumeNotReady" if "olume" in trouble else "PodNotStarting", trouble, warn=True)
    return STARTS


def _without_pod(job: Object | None, observed: Observed) -> Waiting:
    if job is None:
        return STARTS
    if (job.get("spec") or {}).get("suspend"):
        return Waiting(FailureClass.PREEMPTED.value, "its queue has not admitted it (or took the quota back)")
    if objects.deletion(job) is not None:
        return Waiting("Stopping", "the Job is being deleted")
    trouble = observed.troubles.get(objects.uid(job))
    if trouble:
        return Waiting(
            FailureClass.POD_REJECTED.value, f"the API server refuses the pod: {trouble}", warn=True
        )
    return STARTS


def wants_events(job: Object | None, pod: Object | None, now: datetime) -> str | None:
    """UID of the Job or pod whose events are to be looked up, because it should have got further by now."""
    if pod is None:
        if job is None or objects.job_deciding(job) or (job.get("spec") or {}).get("suspend"):
            return None
        made = objects.created(job)
        return objects.uid(job) if made is not None and now >= made + POD_EXPECTED else None
    if objects.pod_terminal(pod) or any(objects.trainer_state(pod, s) for s in ("running", "terminated")):
        return None
    if not (pod.get("spec") or {}).get("nodeName"):
        return None
    if (objects.trainer_state(pod, "waiting") or {}).get("reason", "") not in _STARTING:
        return None
    made = objects.created(pod)
    return objects.uid(pod) if made is not None and now >= made + START_EXPECTED else None

"""Reading Kubernetes objects that are plain dicts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from vistrain_api import protocol
from vistrain_operator import timestamps

Object = dict[str, Any]
"""A Kubernetes object as JSON gives it."""

Key = tuple[str, str]
"""Namespace and name of a run."""

RUN_KIND = "DetectorTraining"
RUN_PLURAL = "detectortrainings"
TERMINAL_POD_PHASES = frozenset({"Succeeded", "Failed"})


def meta(obj: Object) -> Object:
    """`metadata`."""
    value: Object = obj.get("metadata") or {}
    return value


def name(obj: Object) -> str:
    """`metadata.name`."""
    return str(meta(obj).get("name", ""))


def namespace(obj: Object) -> str:
    """`metadata.namespace`."""
    return str(meta(obj).get("namespace", ""))


def uid(obj: Object) -> str:
    """`metadata.uid`."""
    return str(meta(obj).get("uid", ""))


def version(obj: Object) -> int:
    """`metadata.resourceVersion`: a number that rises with every write, as the API server promises."""
    try:
        return int(meta(obj).get("resourceVersion") or 0)
    except ValueError:
        return 0


def label(obj: Object, key: str) -> str:
    """A label's value, or an empty text."""
    return str((meta(obj).get("labels") or {}).get(key, ""))


def controller_uid(obj: Object) -> str:
    """UID of the controlling owner, or an empty text."""
    for reference in meta(obj).get("ownerReferences") or []:
        if reference.get("controller"):
            return str(reference.get("uid", ""))
    return ""


def attempt_number(obj: Object) -> int:
    """Number of the attempt that a Job or pod belongs to; 0 where the label is no number."""
    text = label(obj, protocol.LABEL_ATTEMPT)
    return int(text) if text.isdecimal() else 0


def errand(obj: Object) -> Literal["", "preflight", "preparation"]:
    """Which errand a Job or pod is on; an empty text for those of attempts."""
    if label(obj, protocol.LABEL_PREPARATION):
        return "preparation"
    return "preflight" if label(obj, protocol.LABEL_PREFLIGHT) == "true" else ""


def created(obj: Object) -> datetime | None:
    """`metadata.creationTimestamp`."""
    return timestamps.parse_or_none(meta(obj).get("creationTimestamp"))


def deletion(obj: Object) -> datetime | None:
    """`metadata.deletionTimestamp`: for a pod, the moment at which its grace period is over."""
    return timestamps.parse_or_none(meta(obj).get("deletionTimestamp"))


def condition(obj: Object, kind: str) -> Object | None:
    """The entry of `status.conditions` of type `kind`."""
    for entry in (obj.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            found: Object = entry
            return found
    return None


def holds(obj: Object, kind: str) -> bool:
    """Whether the condition of type `kind` is True."""
    entry = condition(obj, kind)
    return entry is not None and entry.get("status") == "True"


def pod_terminal(pod: Object) -> bool:
    """Whether no container of the pod runs or will run again."""
    return (pod.get("status") or {}).get("phase") in TERMINAL_POD_PHASES


def trainer_status(pod: Object) -> Object:
    """The container status of the trainer; empty before the kubelet has reported."""
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if status.get("name") == protocol.CONTAINER:
            found: Object = status
            return found
    return {}


def trainer_state(pod: Object, state: str) -> Object | None:
    """`waiting`, `running` or `terminated` of the trainer container, when it is in that state."""
    found: Object | None = (trainer_status(pod).get("state") or {}).get(state)
    return found


def job_finished(job: Object) -> bool:
    """Whether the Job has its final condition, Complete or Failed."""
    return holds(job, "Complete") or holds(job, "Failed")


def job_deciding(job: Object) -> bool:
    """Whether the Job has decided its end, though its pods may still be stopping."""
    return job_finished(job) or holds(job, "FailureTarget") or holds(job, "SuccessCriteriaMet")

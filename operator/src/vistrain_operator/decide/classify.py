"""Why an attempt ended: from its pod, or from what its Job keeps after the pod is gone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from vistrain_api.failures import FailureClass
from vistrain_api.protocol import EXIT_CLASSES, ExitCode, Progress
from vistrain_operator import objects, timestamps
from vistrain_operator.objects import Object
from vistrain_operator.observed import NodeView
from vistrain_operator.words import read as read_words

# A kubelet that answers ends a pod at the end of its grace period; one that is a little late is not dead.
LATE = timedelta(seconds=5)
# A pod that outlives its grace period so long will not end by itself, whatever its node says of itself.
HOPELESS = timedelta(minutes=5)

# Reasons of the pod condition DisruptionTarget, as kube-controller-manager, scheduler and kubelet write them.
_DISRUPTIONS = {
    "EvictionByEvictionAPI": FailureClass.EVICTED,
    "PreemptionByScheduler": FailureClass.PREEMPTED,
    "DeletionByTaintManager": FailureClass.EVICTED,  # NodeLost when the node no longer answers
    "TerminationByKubelet": FailureClass.EVICTED,
    "DeletionByPodGC": FailureClass.NODE_LOST,
}
# `status.reason` of a pod that the kubelet refused to start.
_REFUSED_BY_NODE = re.compile(
    r"^(UnexpectedAdmissionError|OutOf.+|NodeAffinity|NodePorts|TopologyAffinityError)$"
)
# Exit codes that only tell of a signal: the trainer's own, SIGKILL and SIGTERM as the runtime reports them.
_STOPPED = frozenset({int(ExitCode.STOPPED), 137, 143})
_EXIT_IN_MESSAGE = re.compile(r"with exit code (\d+)")


@dataclass(frozen=True)
class End:
    """The end of an attempt."""

    failure: FailureClass | None
    """Class; none when the run is finished."""
    message: str
    """What is known, for a person."""
    at: datetime
    exit_code: int | None = None
    words: Progress | None = None
    """The trainer's last words."""


def last_words(pod: Object) -> Progress | None:
    """The termination message of the trainer; none when there is none that can be read."""
    terminated = objects.trainer_state(pod, "terminated")
    if not terminated or not terminated.get("message"):
        return None
    try:
        return read_words(terminated["message"])
    except ValueError:
        return None


def lost(pod: Object, nodes: Mapping[str, NodeView] | None, now: datetime) -> bool:
    """Whether the pod should have ended, its grace period being over, and nobody is there to end it."""
    over = objects.deletion(pod)
    if over is None or objects.pod_terminal(pod) or now < over + LATE:
        return False
    return unreachable(pod, nodes) or now >= over + HOPELESS


def never_ran(pod: Object) -> bool:
    """Whether the pod was deleted before it had a node: it may linger, but will never run."""
    return objects.deletion(pod) is not None and not (pod.get("spec") or {}).get("nodeName")


def unreachable(pod: Object, nodes: Mapping[str, NodeView] | None) -> bool:
    """Whether the pod's node is gone or silent; without access to nodes, as far as the pod tells."""
    node = (pod.get("spec") or {}).get("nodeName")
    if not node:
        return False
    if nodes is None:
        disruption = objects.condition(pod, "DisruptionTarget") or {}
        return disruption.get("reason") in {"DeletionByTaintManager", "DeletionByPodGC"}
    view = nodes.get(node)
    return view is None or view.ready == "Unknown"


def end_of_pod(  # noqa: PLR0911 - one return per finding
    pod: Object, job: Object | None, *, suspending: bool, nodes: Mapping[str, NodeView] | None, now: datetime
) -> End | None:
    """The end that the pod shows; none while it may still run."""
    if lost(pod, nodes, now):
        node = pod["spec"].get("nodeName", "")
        return End(FailureClass.NODE_LOST, f"node {node} does not answer, and the grace period is over", now)
    if never_ran(pod):
        failure = FailureClass.SUSPENDED if suspending else FailureClass.DELETED
        return End(failure, "its pod was deleted before it had a node", now)
    if not objects.pod_terminal(pod):
        return None
    status = pod.get("status") or {}
    terminated = objects.trainer_state(pod, "terminated") or {}
    words = last_words(pod)
    code: int | None = terminated.get("exitCode")
    at = timestamps.parse_or_none(terminated.get("finishedAt")) or now
    said = words.message if words is not None else ""

    def end(failure: FailureClass | None, message: str) -> End:
        return End(failure, message, min(at, now), code, words)

    if code == ExitCode.FINISHED or (code is None and status.get("phase") == "Succeeded"):
        return end(None, said)
    explained = _explained(code, words)
    if explained is not None:
        return end(explained, said or f"the trainer ended with exit code {code}")
    if terminated.get("reason") == "OOMKilled":
        text = "the container used more memory than resources.memory allows: raise it in a new run"
        return end(FailureClass.OUT_OF_MEMORY_HOST, text)
    disruption = _disruption(pod, nodes)
    if disruption is not None:
        failure, why = disruption
        return end(failure, f"{why}; {said}" if said else why)
    reason = status.get("reason", "")
    if reason and _REFUSED_BY_NODE.match(reason):
        return end(
            FailureClass.ADMISSION_REJECTED, f"the node refused the pod: {status.get('message', reason)}"
        )
    if suspending:
        return end(FailureClass.SUSPENDED, said or "stopped by spec.suspend")
    if job is not None and (job.get("spec") or {}).get("suspend"):
        return end(FailureClass.PREEMPTED, "its queue took the quota back")
    if objects.deletion(pod) is not None or (job is not None and objects.deletion(job) is not None):
        return end(FailureClass.DELETED, f"its pod or Job was deleted{said and f'; {said}'}")
    if job is None:
        return end(FailureClass.DELETED, "its Job was deleted")
    return end(FailureClass.UNKNOWN, said or _unexplained(code, status))


def _explained(code: int | None, words: Progress | None) -> FailureClass | None:
    """The class that the exit code stands for, or that the last words name beside another code."""
    if code is None or code in _STOPPED or code == ExitCode.FENCED:
        return None
    known = EXIT_CLASSES.get(code)
    if known is None and words is not None:
        known = words.failure  # a loader worker that was killed for memory ends the trainer with code 70
    return None if known == FailureClass.UNKNOWN else known


def _unexplained(code: int | None, status: Object) -> str:
    if code is None:
        detail = ": ".join(t for t in (status.get("reason", ""), status.get("message", "")) if t)
        return f"the pod failed without an exit code{detail and f' ({detail})'}"
    if code == ExitCode.STOPPED:
        return "the trainer stopped itself (exit code 75), though nobody asked it to"
    if code == ExitCode.FENCED:
        return "another run writes to the same run folder: give each run a checkpoint.path of its own"
    if code in _STOPPED:
        return f"the trainer was killed (exit code {code}), and nothing says by whom"
    return f"the trainer ended with exit code {code}"


def _disruption(pod: Object, nodes: Mapping[str, NodeView] | None) -> tuple[FailureClass, str] | None:
    target = objects.condition(pod, "DisruptionTarget")
    status = pod.get("status") or {}
    if target is None or target.get("status") != "True":
        if status.get("reason") in {"Evicted", "Terminated", "NodeShutdown", "Shutdown"}:
            return FailureClass.EVICTED, status.get("message", "") or "evicted by its node"
        return (
            (FailureClass.PREEMPTED, status.get("message", ""))
            if status.get("reason") == "Preempting"
            else None
        )
    reason = target.get("reason", "")
    failure = _DISRUPTIONS.get(reason, FailureClass.EVICTED)
    if reason == "DeletionByTaintManager" and unreachable(pod, nodes):
        failure = FailureClass.NODE_LOST
    if reason == "DeletionByPodGC" and not pod.get("spec", {}).get("nodeName"):
        failure = FailureClass.DELETED  # deleted before it had a node
    return failure, target.get("message", "") or reason


def end_of_job(  # noqa: PLR0911 - one return per finding
    job: Object | None, *, had_pod: bool, suspending: bool, now: datetime
) -> End | None:
    """The end that a Job shows whose pod is gone (or never was); none while it may still make one."""
    if job is None:
        failure = FailureClass.SUSPENDED if suspending else FailureClass.DELETED
        return End(failure, "stopped by spec.suspend" if suspending else "its Job was deleted", now)
    done = next((t for t in ("Complete", "SuccessCriteriaMet") if objects.holds(job, t)), None)
    if done is not None:
        at = timestamps.parse_or_none((objects.condition(job, done) or {}).get("lastTransitionTime"))
        return End(None, "finished; its pod is gone", min(at or now, now), int(ExitCode.FINISHED))
    failed = next(
        (
            c
            for t in ("Failed", "FailureTarget")
            if (c := objects.condition(job, t)) and c.get("status") == "True"
        ),
        None,
    )
    if failed is None:
        if had_pod and (job.get("spec") or {}).get("suspend"):
            return End(FailureClass.PREEMPTED, "its queue took the quota back", now)
        return None
    text = str(failed.get("message", ""))
    at = timestamps.parse_or_none(failed.get("lastTransitionTime")) or now
    found = _EXIT_IN_MESSAGE.search(text)
    if found is None:
        if "DisruptionTarget" in text:
            return End(FailureClass.EVICTED, text, min(at, now))
        # No exit code of the trainer: the pod never ran, or was taken away whole.
        failure = FailureClass.SUSPENDED if suspending else FailureClass.DELETED
        return End(failure, f"its pod is gone without an exit code: {text}", min(at, now))
    code = int(found.group(1))
    if code in _STOPPED:
        # A finished pod stays until somebody deletes it, so one that is gone was deleted while it ran.
        failure = FailureClass.SUSPENDED if suspending else FailureClass.DELETED
        return End(failure, "its pod was deleted", min(at, now), code)
    return End(
        _explained(code, None) or FailureClass.UNKNOWN,
        f"the trainer ended with exit code {code}; its pod is gone",
        min(at, now),
        code,
    )

"""The closed list of failure classes: what each is, what is done about it, and whether it uses the budget."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureClass(StrEnum):
    """Why an attempt ended before the run did."""

    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    DELETED = "Deleted"
    SUSPENDED = "Suspended"
    NODE_LOST = "NodeLost"
    ADMISSION_REJECTED = "AdmissionRejected"
    POD_REJECTED = "PodRejected"
    UNSCHEDULABLE = "Unschedulable"
    OUT_OF_MEMORY_HOST = "OutOfMemoryHost"
    OUT_OF_MEMORY_GPU = "OutOfMemoryGpu"
    DEVICE_FAULT = "DeviceFault"
    STORAGE_FAULT = "StorageFault"
    NUMERICAL_DIVERGENCE = "NumericalDivergence"
    BAD_INPUT = "BadInput"
    IMAGE_PULL = "ImagePull"
    STALLED = "Stalled"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    GATE_NOT_MET = "GateNotMet"
    UNKNOWN = "Unknown"


class Response(StrEnum):
    """What the operator does when an attempt ends so."""

    RESUME = "Resume"  # a new attempt at once, budget untouched
    RETRY = "Retry"  # a new attempt after a back-off, within the budget
    WAIT = "Wait"  # the attempt stands; a condition says what it waits for
    FAIL = "Fail"  # the run is over


@dataclass(frozen=True)
class Handling:
    """The documented answer to a failure class."""

    response: Response
    uses_budget: bool
    explanation: str


HANDLING: dict[FailureClass, Handling] = {
    FailureClass.EVICTED: Handling(Response.RESUME, False, "evicted or drained; resumes from its checkpoint"),
    FailureClass.PREEMPTED: Handling(Response.RESUME, False, "made room for a more important pod; resumes"),
    FailureClass.DELETED: Handling(Response.RESUME, False, "its pod or Job was deleted by hand; resumes"),
    FailureClass.SUSPENDED: Handling(Response.WAIT, False, "spec.suspend is set; resumes when it is cleared"),
    FailureClass.NODE_LOST: Handling(Response.RESUME, False, "its node stopped answering; resumes elsewhere"),
    FailureClass.ADMISSION_REJECTED: Handling(
        Response.RESUME, False, "the node refused the pod (its device plugin was not ready); tried again"
    ),
    FailureClass.POD_REJECTED: Handling(
        Response.WAIT, False, "the API server refuses the pod (quota, Pod Security); waits until it is let in"
    ),
    FailureClass.UNSCHEDULABLE: Handling(Response.WAIT, False, "no node has room; waits for one"),
    FailureClass.OUT_OF_MEMORY_HOST: Handling(
        Response.FAIL, True, "the container's memory did not suffice; never retried unchanged"
    ),
    FailureClass.OUT_OF_MEMORY_GPU: Handling(
        Response.FAIL, True, "GPU memory did not suffice; never retried unchanged"
    ),
    FailureClass.DEVICE_FAULT: Handling(Response.RETRY, True, "the device failed or the slice has no CUDA"),
    FailureClass.STORAGE_FAULT: Handling(Response.RETRY, True, "the checkpoint volume failed or is full"),
    FailureClass.NUMERICAL_DIVERGENCE: Handling(Response.FAIL, True, "the loss was not finite"),
    FailureClass.BAD_INPUT: Handling(
        Response.FAIL, True, "manifest, data or weights are wrong; no retry helps"
    ),
    FailureClass.IMAGE_PULL: Handling(
        Response.WAIT, False, "the image cannot be pulled; the kubelet goes on trying"
    ),
    FailureClass.STALLED: Handling(Response.RETRY, True, "no step for longer than resilience.stallTimeout"),
    FailureClass.DEADLINE_EXCEEDED: Handling(Response.FAIL, True, "resilience.maxDuration has passed"),
    FailureClass.GATE_NOT_MET: Handling(
        Response.FAIL, False, "finished, but a gate is not met; results are kept"
    ),
    FailureClass.UNKNOWN: Handling(Response.RETRY, True, "ended for a reason that nothing explains"),
}

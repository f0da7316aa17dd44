"""A model of a cluster, small and pure: Job controller, scheduler, kubelet, evictions, dead nodes.

It knows what the real ones were measured to do: a Job with this failure policy never replaces its pod, a pod
on a dead node stays Terminating, foreground deletion waits for pods. It stands in for them where thousands of
orders of events are tried; that the real ones do the same is for the tests on the dev cluster to show.
"""

from __future__ import annotations

import copy
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from vistrain_api import protocol
from vistrain_operator import objects, preparations, timestamps
from vistrain_operator.objects import Object
from vistrain_operator.observed import NodeView, Observed, Report
from vistrain_operator.words import read as read_words

START = datetime(2026, 1, 1, tzinfo=UTC)
TOTAL_STEPS = 100
SLICE = "nvidia.com/mig-1g.20gb"
IMAGE = "registry.example/trainer:1"
_UIDS = itertools.count(0xABC000)


def run_object(name: str = "demo", **spec: Any) -> Object:
    """A run as the API server would hold it."""
    return {
        "apiVersion": "vistrain.dev/v1alpha1",
        "kind": "DetectorTraining",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"{next(_UIDS):08x}-0000-4000-8000-000000000001",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {
            "model": {"yolox": {"variant": "nano", "inputSize": {"height": 160, "width": 288}}},
            "initialization": {"scratch": {}},
            "dataset": {
                "volume": {"claimName": "data"},
                "train": {"annotations": "train.json", "images": "images"},
                "validation": {"annotations": "val.json", "images": "images"},
                "classes": ["car", "truck"],
            },
            "schedule": {"epochs": 4, "batchSize": 8, "learningRate": {"peak": 0.005}},
            "checkpoint": {"volume": {"claimName": "checkpoints"}},
            "resources": {"accelerator": {"mig": {"profile": "1g.20gb"}}},
            "resilience": {"terminationGracePeriod": "30s", "maxFailures": 3},
            **spec,
        },
    }


class Cluster:
    """One namespace with one run in it, and the machines it may run on."""

    def __init__(self, run: Object | None = None, commons: Commons | None = None) -> None:
        self.now = START
        self.run: Object | None = run or run_object()
        self.commons = commons
        """Where the preparations are that the run may share with others."""
        self.jobs: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.config_maps: dict[str, Object] = {}
        self.events: dict[str, tuple[str, str]] = {}
        self.claims = {"data", "checkpoints"}
        self.nodes = {n: NodeView(n, ready="True", offered={SLICE: 1}) for n in ("a", "b")}
        self.dead: set[str] = set()
        self.readable_nodes = True
        self.answering = True
        self.evaluated = 0
        """Batches that trainers say they have evaluated."""
        self.saved_step = 0
        """Step of the newest checkpoint in the run folder."""
        self.token = 0
        """Newest fencing token taken in the run folder."""
        self.executed: dict[str, int] = {}
        self.restored: dict[str, int] = {}
        self.tokens: dict[str, int] = {}
        self.faults = 0
        """Attempts' pods that ended by a fault of their own."""
        self.preflight_faults = 0
        """Pods of the pre-flight that did so."""
        self.preflight_passed = False
        """Whether a pod of the pre-flight has ended with 0."""
        self.preflights_made = 0
        self.preparations_made = 0
        self.pods_made = 0
        self.source: Object | None = None
        """The run that initialization.run names."""
        self._serial = 0
        self._prefix = ""
        """Tells UIDs of one cluster from those of another."""

    def serial(self) -> int:
        self._serial += 1
        return self._serial

    # What the operator sees

    def observe(self) -> Observed | None:
        if self.run is None:
            return None
        uid = objects.uid(self.run)
        jobs = [copy.deepcopy(j) for j in self.jobs.values() if objects.controller_uid(j) == uid]
        active = any(not objects.job_deciding(j) for j in jobs)
        missing = () if active else tuple(sorted({"data", "checkpoints"} - self.claims))
        pods = [copy.deepcopy(p) for p in self.pods.values()]
        prepared = preparations.wanted(self.run, IMAGE)
        if prepared is not None and self.commons is not None:
            jobs += [copy.deepcopy(j) for n, j in self.commons.jobs.items() if n == prepared.job]
            pods += [
                copy.deepcopy(p)
                for p in self.commons.pods.values()
                if objects.label(p, "batch.kubernetes.io/job-name") == prepared.job
            ]
        return Observed(
            now=self.now,
            run=copy.deepcopy(self.run),
            jobs=tuple(jobs),
            pods=tuple(pods),
            sharers=() if self.commons is None else self.commons.sharers(self.run),
            nodes=dict(self.nodes) if self.readable_nodes else None,
            missing_claims=missing,
            source=copy.deepcopy(self.source),
            reports=self._reports() if self.answering else {},
            default_image=IMAGE,
        )

    def _reports(self) -> dict[str, Report]:
        return {
            uid: Report(read_words(self._words(pod)), self.now)
            for uid, pod in self.pods.items()
            if objects.trainer_state(pod, "running")
            and pod["spec"].get("nodeName") not in self.dead
            and not objects.errand(pod)
        }

    def _words(self, pod: Object, code: int | None = None, **more: Any) -> str:
        uid = objects.uid(pod)
        step = self.executed.get(uid)
        restored = self.restored.get(uid)
        words = {
            "attempt": objects.attempt_number(pod),
            "token": self.tokens.get(uid, 0),
            "podUid": uid,
            "phase": "Starting" if step is None else "Training",
            "epochs": 4,
            "step": step if step is not None else (restored or 0),
            "totalSteps": TOTAL_STEPS,
            "evaluated": self.evaluated,
            "restoredStep": restored or None,
            "lastStep": step,
            "exitCode": code,
            **more,
        }
        return json.dumps({k: v for k, v in words.items() if v is not None})

    # The API server

    def write_status(self, seen: Object, status: Object) -> bool:
        """Server-side apply with the version that was seen; false for a conflict."""
        if self.run is None or self.run["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]:
            return False
        self.run["status"] = copy.deepcopy(status)
        self._bump()
        return True

    def _bump(self) -> None:
        assert self.run is not None
        self.run["metadata"]["resourceVersion"] = str(int(self.run["metadata"]["resourceVersion"]) + 1)

    def create_job(self, body: Object) -> bool:
        name = objects.name(body)
        if name in self.jobs:
            return False
        job = copy.deepcopy(body)
        uid = f"{self._prefix}job-{self.serial()}"
        job["metadata"] |= {"uid": uid, "creationTimestamp": timestamps.text(self.now)}
        job["status"] = {}
        self.jobs[name] = job
        return True

    def delete_job(self, name: str, propagation: str = "Foreground") -> None:
        job = self.jobs.get(name)
        if job is None:
            return
        if propagation == "Foreground":
            job["metadata"].setdefault("deletionTimestamp", timestamps.text(self.now))
            return
        del self.jobs[name]
        if propagation == "Background":
            for pod in self._pods_of(job):
                self.delete_pod(objects.uid(pod))

    def delete_pod(self, uid: str) -> None:
        pod = self.pods.get(uid)
        if pod is None or objects.deletion(pod) is not None:
            return
        grace = 0 if not pod["spec"].get("nodeName") else 30
        pod["metadata"]["deletionTimestamp"] = timestamps.text(self.now + timedelta(seconds=grace))

    def suspend(self, value: bool) -> None:
        assert self.run is not None
        self.run["spec"]["suspend"] = value
        self.run["metadata"]["generation"] += 1
        self._bump()

    # Disruptions

    def _mark(self, pod: Object, reason: str) -> None:
        conditions = pod["status"].setdefault("conditions", [])
        conditions.append({"type": "DisruptionTarget", "status": "True", "reason": reason, "message": reason})

    def evict(self, uid: str) -> None:
        pod = self.pods[uid]
        if not objects.pod_terminal(pod) and objects.deletion(pod) is None:
            self._mark(pod, "EvictionByEvictionAPI")
            self.delete_pod(uid)

    def kill_node(self, name: str) -> None:
        self.dead.add(name)
        self.nodes[name] = NodeView(name, ready="Unknown", offered={SLICE: 1})

    def heal_node(self, name: str) -> None:
        self.dead.discard(name)
        self.nodes[name] = NodeView(name, ready="True", offered={SLICE: 1})

    def end_pod(self, uid: str, code: int, *, reason: str = "", words: str | None = None) -> None:
        """The trainer container ends."""
        pod = self.pods[uid]
        running = objects.trainer_state(pod, "running")
        assert running is not None
        text = self._words(pod, code) if words is None else words
        terminated = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "message": text,
            "startedAt": running["startedAt"],
            "finishedAt": timestamps.text(self.now),
        }
        status = {"name": protocol.CONTAINER, "state": {"terminated": terminated}}
        self.preflight_passed |= code == 0 and objects.errand(pod) == "preflight"
        pod["status"] |= {"phase": "Succeeded" if code == 0 else "Failed", "containerStatuses": [status]}

    def fault(self, uid: str, code: int = 1) -> None:
        if objects.errand(self.pods[uid]) == "preflight":
            self.preflight_faults += 1
        else:
            self.faults += 1
        self.end_pod(uid, code)

    # The machines

    def _pods_of(self, job: Object) -> list[Object]:
        return [p for p in self.pods.values() if objects.controller_uid(p) == objects.uid(job)]

    def step(self, seconds: float = 1.0) -> None:
        """Let time pass, and everybody but the operator do what he does."""
        self.now += timedelta(seconds=seconds)
        self._taint_manager()
        self._kubelets()
        self._job_controller()
        self._scheduler()

    def _taint_manager(self) -> None:
        for uid, pod in self.pods.items():
            node = pod["spec"].get("nodeName")
            if node in self.dead and not objects.pod_terminal(pod) and objects.deletion(pod) is None:
                self._mark(pod, "DeletionByTaintManager")
                self.delete_pod(uid)

    def _kubelets(self) -> None:
        for uid, pod in list(self.pods.items()):
            node = pod["spec"].get("nodeName")
            if not node or node in self.dead:
                continue
            if objects.trainer_state(pod, "running"):
                self._check(uid, pod) if objects.errand(pod) else self._train(uid, pod)
            elif pod["status"]["phase"] == "Pending" and objects.deletion(pod) is None:
                self._start(uid, pod)
            elif pod["status"]["phase"] == "Pending":
                pod["status"]["phase"] = "Failed"

    def _start(self, uid: str, pod: Object) -> None:
        running = {"running": {"startedAt": timestamps.text(self.now)}}
        status = {"name": protocol.CONTAINER, "state": running, "imageID": ""}
        pod["status"] |= {"phase": "Running", "containerStatuses": [status], "podIP": "10.0.0.1"}
        if not objects.errand(pod):
            self.token += 1
            self.tokens[uid] = self.token
            self.restored[uid] = self.saved_step

    def _check(self, uid: str, pod: Object) -> None:
        stopped = objects.deletion(pod) is not None
        self.end_pod(uid, protocol.ExitCode.STOPPED if stopped else protocol.ExitCode.FINISHED)

    def _train(self, uid: str, pod: Object) -> None:
        fenced = self.tokens[uid] < self.token
        if fenced:
            self.end_pod(uid, protocol.ExitCode.FENCED)
        elif objects.deletion(pod) is not None:
            self.saved_step = max(self.saved_step, self.executed.get(uid, 0))
            self.end_pod(uid, protocol.ExitCode.STOPPED)
        elif self.saved_step >= TOTAL_STEPS:
            self.end_pod(uid, protocol.ExitCode.FINISHED)
        else:
            self.executed[uid] = min(TOTAL_STEPS, max(self.restored[uid], self.executed.get(uid, 0)) + 5)
            if self.executed[uid] % 20 == 0:
                self.saved_step = self.executed[uid]

    def _job_controller(self) -> None:
        for name, job in list(self.jobs.items()):
            pods = self._pods_of(job)
            if objects.deletion(job) is not None:
                self._delete_in_foreground(name, pods)
            elif not objects.job_finished(job):
                if not pods:
                    self._make_pod(job)
                elif all(objects.pod_terminal(p) for p in pods):
                    self._finish(job, pods[-1])
        owners = {objects.uid(j): j for j in self.jobs.values()}
        for uid, pod in list(self.pods.items()):
            if objects.deletion(pod) is None:
                continue
            owner = owners.get(objects.controller_uid(pod))
            # The finalizer of the Job controller keeps a pod until it is counted.
            counted = owner is None or objects.job_finished(owner) or objects.deletion(owner) is not None
            gone = objects.pod_terminal(pod) or not pod["spec"].get("nodeName")
            if gone and counted:
                del self.pods[uid]

    def _delete_in_foreground(self, name: str, pods: list[Object]) -> None:
        for pod in pods:
            if objects.pod_terminal(pod):
                self.pods.pop(objects.uid(pod), None)
            else:
                self.delete_pod(objects.uid(pod))
        if not pods:
            del self.jobs[name]

    def _make_pod(self, job: Object) -> None:
        match objects.errand(job):
            case "preflight":
                self.preflights_made += 1
            case "preparation":
                self.preparations_made += 1
            case _:
                self.pods_made += 1
        uid = f"{self._prefix}pod-{self.serial()}"
        owner = {"kind": "Job", "name": objects.name(job), "uid": objects.uid(job), "controller": True}
        labels = {**job["metadata"]["labels"], "batch.kubernetes.io/job-name": objects.name(job)}
        self.pods[uid] = {
            "metadata": {
                "name": f"{objects.name(job)}-{uid}",
                "namespace": "team",
                "uid": uid,
                "labels": labels,
                "ownerReferences": [owner],
                "creationTimestamp": timestamps.text(self.now),
            },
            "spec": {},
            "status": {"phase": "Pending"},
        }

    def _finish(self, job: Object, pod: Object) -> None:
        code = (objects.trainer_state(pod, "terminated") or {}).get("exitCode")
        name = f"team/{objects.name(pod)}"
        if code == 0:
            condition = {"type": "Complete", "status": "True"}
        else:
            reason = "PodFailurePolicy"
            if objects.holds(pod, "DisruptionTarget"):
                text = f"Pod {name} has condition DisruptionTarget matching FailJob rule at index 0"
            elif code is not None:
                text = f"Container trainer for pod {name} failed with exit code {code} matching FailJob rule"
            else:
                reason, text = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
            condition = {"type": "Failed", "status": "True", "reason": reason, "message": text}
        condition["lastTransitionTime"] = timestamps.text(self.now)
        job["status"]["conditions"] = [condition]

    def _scheduler(self) -> None:
        used = {
            p["spec"].get("nodeName")
            for p in self.pods.values()
            if not objects.pod_terminal(p) and not objects.errand(p)
        }
        for pod in self.pods.values():
            if pod["spec"].get("nodeName") or objects.deletion(pod) is not None:
                continue
            slices = not objects.errand(pod)
            free = [n for n in self.nodes if n not in self.dead and not (slices and n in used)]
            if free:
                pod["spec"]["nodeName"] = free[0]
                if slices:
                    used.add(free[0])

    # What must hold

    def writers(self) -> list[str]:
        """Pods that run on a node that answers, or on one whose silence may yet be short, and that the fence
        does not hold off."""
        return [
            uid
            for uid, pod in self.pods.items()
            if objects.trainer_state(pod, "running")
            and not objects.errand(pod)
            and not (pod["spec"]["nodeName"] in self.dead and self._grace_over(pod))
            and self.tokens[uid] == self.token
        ]

    def could_start(self) -> list[str]:
        """Pods that run or will, on nodes that answer, and are not asked to stop."""
        return [
            uid
            for uid, pod in self.pods.items()
            if not objects.pod_terminal(pod)
            and not objects.errand(pod)
            and pod["spec"].get("nodeName") not in self.dead
            and self.tokens.get(uid, self.token) == self.token
            and objects.deletion(pod) is None
        ]

    def asking_for_a_slice(self) -> list[str]:
        """Jobs whose pods ask for a slice."""
        return [name for name, job in self.jobs.items() if SLICE in str(job["spec"]["template"]["spec"])]

    def _grace_over(self, pod: Object) -> bool:
        over = objects.deletion(pod)
        return over is not None and self.now >= over


class Commons(Cluster):
    """The preparations of a namespace, and the runs that may share them."""

    def __init__(self) -> None:
        super().__init__()
        self.run = None
        self._prefix = "shared-"
        self.clusters: list[Cluster] = []
        self.whole: set[str] = set()
        """Marks of the data sets that lie on the checkpoint volume."""

    def sharers(self, run: Object) -> tuple[str, ...]:
        """Other runs that wait for the same preparation."""
        wanted = preparations.wanted(run, IMAGE)
        others = (c.run for c in self.clusters if c.run is not None)
        return tuple(
            objects.name(other)
            for other in others
            if wanted is not None
            and objects.uid(other) != objects.uid(run)
            and preparations.wanted(other, IMAGE) == wanted
            and preparations.waits(other)
        )

    def end_pod(self, uid: str, code: int, *, reason: str = "", words: str | None = None) -> None:
        super().end_pod(uid, code, reason=reason, words=words)
        if code == 0:
            self.whole.add(objects.label(self.pods[uid], protocol.LABEL_PREPARATION))

    def step(self, seconds: float = 1.0) -> None:
        super().step(seconds)
        for name, job in list(self.jobs.items()):
            ended = [c for c in job["status"].get("conditions", ()) if c["type"] in {"Complete", "Failed"}]
            kept = timedelta(seconds=job["spec"]["ttlSecondsAfterFinished"])
            if ended and self.now >= timestamps.parse(ended[0]["lastTransitionTime"]) + kept:
                self.delete_job(name, "Background")

    def collect(self, run_uid: str) -> None:
        """The garbage collector, once a run is gone."""
        for name, job in list(self.jobs.items()):
            if objects.controller_uid(job) == run_uid:
                self.delete_job(name, "Background")

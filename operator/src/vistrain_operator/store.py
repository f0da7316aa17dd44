"""What the watches have brought, with what was written since and is still on its way through them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vistrain_api import API_VERSION, protocol
from vistrain_operator import objects, preparations
from vistrain_operator.objects import Key, Object
from vistrain_operator.observed import NodeView
from vistrain_operator.preparations import Group

Index = Mapping[Any, Iterable[Any]]
Place = str | Group
"""UID of a run, or a group of runs."""
DEPARTED = 300.0  # seconds for which a deleted pod is remembered


class Store:
    """Runs by key, their Jobs and pods by the run's UID, those of preparations by group, nodes by name.

    The indices are kopf's, and change under our hands only between two awaits. What was just written is kept
    beside them until the watch brings it, so that a pass over a run never undoes the pass before.
    """

    def __init__(self) -> None:
        self._runs: Index = {}
        self._jobs: Index = {}
        self._pods: Index = {}
        self._nodes: Index | None = None
        self._preparing: Index = {}
        self._written_runs: dict[Key, Object] = {}
        self._written_jobs: dict[Place, dict[str, Object]] = {}
        self._departed: dict[Place, dict[str, tuple[float, bytes]]] = {}
        self.synchronised = False
        """Whether the watches have brought everything that was there at the start."""

    def connect(
        self, runs: Index, jobs: Index, pods: Index, nodes: Index | None, preparing: Index | None = None
    ) -> None:
        """Read from these indices from now on; no `nodes` where they may not be read. `preparing` has keys of
        runs by the group that they belong to."""
        self._runs, self._jobs, self._pods, self._nodes = runs, jobs, pods, nodes
        self._preparing = preparing if preparing is not None else {}

    def keys(self) -> list[Key]:
        """Keys of all runs."""
        return list(self._runs)

    def runs(self) -> Iterator[Object]:
        """All runs as the watch has them."""
        for key in list(self._runs):
            run = self.run(key)
            if run is not None:
                yield run

    def run(self, key: Key) -> Object | None:
        """The newest version of a run that is known here."""
        packed = next(iter(self._runs[key]), None) if key in self._runs else None
        watched: Object | None = unpack(packed) if packed is not None else None
        written = self._written_runs.get(key)
        if watched is None or written is None or objects.uid(watched) != objects.uid(written):
            return watched
        return written if objects.version(written) > objects.version(watched) else watched

    def group(self, group: Group) -> list[Key]:
        """Keys of the runs that ask for the same data set."""
        return list(self._preparing[group]) if group in self._preparing else []

    def jobs(self, place: Place) -> list[Object]:
        """Jobs that carry the run's UID as a label, or those of a group's preparations."""
        watched = [unpack(j) for j in self._jobs[place]] if place in self._jobs else []
        known = {objects.uid(j) for j in watched}
        return watched + [j for uid, j in self._written_jobs.get(place, {}).items() if uid not in known]

    def pods(self, place: Place) -> list[Object]:
        """Pods that carry the run's UID as a label, or those of a group's preparations."""
        here = [unpack(p) for p in self._pods[place]] if place in self._pods else []
        departed = self._departed.get(place)
        if departed:
            known = {objects.uid(p) for p in here}
            fresh = time.monotonic() - DEPARTED
            here += [unpack(p) for uid, (at, p) in departed.items() if at > fresh and uid not in known]
        return here

    def all_pods(self) -> Iterator[Object]:
        """Pods of all runs."""
        for place in list(self._pods):
            yield from self.pods(place)

    def nodes(self) -> dict[str, NodeView] | None:
        """Nodes by name; none where they may not be read."""
        if self._nodes is None:
            return None
        return {name: view for name in list(self._nodes) for view in self._nodes[name]}

    def wrote_run(self, run: Object) -> None:
        """Keep a run that was just written."""
        self._written_runs[objects.namespace(run), objects.name(run)] = trim_run(run)

    def wrote_job(self, job: Object) -> None:
        """Keep a Job that was just created."""
        self._written_jobs.setdefault(place_of(job), {})[objects.uid(job)] = trim_job(job)

    def saw_run(self, run: Object, *, deleted: bool) -> None:
        """The watch brought a run: what was written before it is no longer needed."""
        key = (objects.namespace(run), objects.name(run))
        written = self._written_runs.get(key)
        if written is not None and (deleted or objects.version(run) >= objects.version(written)):
            del self._written_runs[key]

    def saw_pod(self, pod: Object, *, deleted: bool) -> None:
        """The watch brought a pod. One that ended and is deleted, as every evicted pod is, is kept for a
        while: how it ended stands in its last version, which may come and go between two passes."""
        if not (deleted and objects.pod_terminal(pod)):
            return
        now = time.monotonic()
        for place, pods in list(self._departed.items()):
            for uid, (at, _) in list(pods.items()):
                if at < now - DEPARTED:
                    del pods[uid]
            if not pods:
                del self._departed[place]
        departed = self._departed.setdefault(place_of(pod), {})
        departed[objects.uid(pod)] = (now, pack(trim_pod(pod)))

    def saw_job(self, job: Object) -> None:
        """The watch brought a Job, alive or deleted: from now on it is what counts."""
        place = place_of(job)
        written = self._written_jobs.get(place)
        if written is not None and written.pop(objects.uid(job), None) is not None and not written:
            del self._written_jobs[place]


def place_of(child: Object) -> Place:
    """What a Job or pod is found by: its group, if it is a preparation's, which belongs to no single run."""
    return preparations.group_of_child(child) or objects.label(child, protocol.LABEL_RUN_UID)


def pack(obj: Object) -> bytes:
    """An object as an index keeps it: JSON takes a quarter of the memory of dicts."""
    return json.dumps(obj, separators=(",", ":")).encode()


def unpack(packed: bytes) -> Object:
    """The object that was packed."""
    value: Object = json.loads(packed)
    return value


_META = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
)


def _trim_meta(obj: Object, *more: str) -> Object:
    meta = objects.meta(obj)
    return {key: meta[key] for key in (*_META, *more) if key in meta}


def trim_run(run: Object) -> Object:
    """What is kept of a run: all but the bookkeeping of field managers."""
    kept: Object = {key: run[key] for key in ("spec", "status") if key in run}
    # The items of a list lack these two.
    return {"apiVersion": API_VERSION, "kind": objects.RUN_KIND, "metadata": _trim_meta(run), **kept}


def trim_job(job: Object) -> Object:
    """What is kept of a Job."""
    status = job.get("status") or {}
    spec = job.get("spec") or {}
    return {
        "metadata": _trim_meta(job, "labels", "ownerReferences"),
        "spec": {"suspend": spec["suspend"]} if "suspend" in spec else {},
        "status": {"conditions": status["conditions"]} if "conditions" in status else {},
    }


def trim_pod(pod: Object) -> Object:
    """What is kept of a pod."""
    status = pod.get("status") or {}
    spec = pod.get("spec") or {}
    wanted = ("phase", "reason", "message", "podIP", "conditions", "containerStatuses")
    return {
        "metadata": _trim_meta(pod, "labels", "ownerReferences"),
        "spec": {"nodeName": spec["nodeName"]} if "nodeName" in spec else {},
        "status": {key: status[key] for key in wanted if key in status},
    }


def view_node(node: Object) -> NodeView:
    """What is kept of a node."""
    status = node.get("status") or {}
    ready = objects.condition(node, "Ready") or {}
    offered = {
        name: int(count)
        for name, count in (status.get("allocatable") or {}).items()
        if name.startswith("nvidia.com/") and str(count).isdecimal()
    }
    return NodeView(
        name=objects.name(node),
        ready=str(ready.get("status", "Unknown")),
        schedulable=not (node.get("spec") or {}).get("unschedulable", False),
        offered=offered,
        product=objects.label(node, "nvidia.com/gpu.product"),
    )

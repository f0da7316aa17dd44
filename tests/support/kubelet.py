"""Scheduler, kubelet and trainer of a control plane without nodes: pods run, and stop when asked.

What it stands in for runs for real on the dev cluster. Here runs must be many, quick and steered: a trainer
goes to the step that the test allows and waits there.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from vistrain_api.protocol import (
    CONTAINER,
    LABEL_ATTEMPT,
    LABEL_PREFLIGHT,
    LABEL_PREPARATION,
    LABEL_RUN,
    PORT,
    ExitCode,
    Progress,
)
from vistrain_operator.api import Api, ApiError

NODES = ("n1", "n2")
TOTAL = 30
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MERGE = "application/merge-patch+json"
_ADDRESSES = itertools.count(1)
_TOKENS = itertools.count(1)


@dataclass
class Trainer:
    """The process in a pod."""

    pod: dict[str, Any]
    restored: int
    token: int = field(default_factory=lambda: next(_TOKENS))
    address: str = field(default_factory=lambda: "127.77.{}.{}".format(*divmod(next(_ADDRESSES), 250)))
    executed: int = 0
    ended: bool = False

    @property
    def step(self) -> int:
        """Step that the model is at."""
        return self.restored + self.executed

    def words(self, code: int | None = None) -> str:
        """What it serves at /progress, or says last."""
        meta = self.pod["metadata"]
        said = Progress(
            attempt=int(meta["labels"][LABEL_ATTEMPT]),
            token=self.token,
            pod_uid=meta["uid"],
            phase="Training" if code is None else "Finished" if code == ExitCode.FINISHED else "Saving",
            epochs=3,
            epoch=3 * self.step // TOTAL,
            step=self.step,
            total_steps=TOTAL,
            restored_step=self.restored or None,
            last_step=self.step if self.executed else None,
            exit_code=code,
        )
        return said.model_dump_json(by_alias=True, exclude_none=True)


class Kubelet:
    """Runs every pod of every run; `run` is to be a task while the test plays."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.trainers: dict[str, Trainer] = {}
        """By UID of the pod; those of ended pods stay."""
        self.allowed: dict[str, int] = {}
        """Step that each namespace's trainers may go to; a third of the way where nothing is said."""
        self.most_at_once: dict[str, int] = {}
        """The largest number of trainers that a namespace had at one time."""
        self.held: set[str] = set()
        """Namespaces whose errands do not come to their end."""
        self.passed: set[tuple[str, str]] = set()
        """Runs whose pre-flight has passed, by namespace and name: only then may a trainer start."""
        self.prepared: dict[str, list[ExitCode]] = {}
        """How the preparations of a namespace ended, in order."""
        self._errands: dict[str, bool] = {}
        """By UID of the pod: whether it has ended."""

    async def run(self) -> None:
        """Work until cancelled."""
        await self._nodes()
        app = web.Application()
        app.router.add_get("/progress", self._progress)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._heartbeats())
                group.create_task(self._pods())
        finally:
            await self._runner.cleanup()

    def of(self, namespace: str, run: str = "") -> list[Trainer]:
        """The trainers of a namespace, or of one run there, in the order of their start."""
        found = ((t, t.pod["metadata"]) for t in self.trainers.values())
        return [t for t, m in found if m["namespace"] == namespace and run in {"", m["labels"][LABEL_RUN]}]

    async def _nodes(self) -> None:
        for name in NODES:
            if await self._api.find(f"/api/v1/nodes/{name}", "nodes") is not None:
                continue  # of an earlier test
            labels = {"kubernetes.io/hostname": name}
            await self._api.create("/api/v1/nodes", "nodes", {"metadata": {"name": name, "labels": labels}})
            condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "up"}
            status = {
                "conditions": [condition],
                "allocatable": {"nvidia.com/mig-1g.20gb": "7", "pods": "110"},
            }
            await self._patch(f"/api/v1/nodes/{name}/status", {"status": status})
            lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name}}
            await self._api.create(LEASES, "leases", lease)

    async def _heartbeats(self) -> None:
        while True:
            for name in NODES:
                await self._patch(f"{LEASES}/{name}", {"spec": {"renewTime": _now(micro=True)}})
            await asyncio.sleep(5)

    async def _pods(self) -> None:
        while True:
            listed = await self._api.get("/api/v1/pods", "pods", {"labelSelector": LABEL_RUN})
            for pod in listed["items"]:
                try:
                    await self._tend(pod)
                except ApiError as error:
                    if not (error.missing or error.conflict):  # changed since it was listed
                        raise
            for namespace in {t.pod["metadata"]["namespace"] for t in self.trainers.values()}:
                alive = sum(not t.ended for t in self.of(namespace))
                self.most_at_once[namespace] = max(alive, self.most_at_once.get(namespace, 0))
            await asyncio.sleep(0.1)

    async def _tend(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        if {LABEL_PREFLIGHT, LABEL_PREPARATION} & meta["labels"].keys():
            await self._tend_errand(pod)
            return
        trainer = self.trainers.get(meta["uid"])
        if trainer is None:
            if "deletionTimestamp" not in meta:
                await self._start(pod)
            return
        if trainer.ended:
            if "deletionTimestamp" in meta:
                await self._remove(pod)
            return
        if "deletionTimestamp" in meta:
            await self._end(trainer, ExitCode.STOPPED)
        elif trainer.step < min(self.allowed.get(meta["namespace"], TOTAL // 3), TOTAL):
            trainer.executed += 1
        elif trainer.step == TOTAL:
            await self._end(trainer, ExitCode.FINISHED)

    async def _tend_errand(self, pod: dict[str, Any]) -> None:
        meta, uid = pod["metadata"], pod["metadata"]["uid"]
        stopping = "deletionTimestamp" in meta
        if uid not in self._errands:
            if not stopping:
                await self._bind(pod, NODES[0])
                await self._status(pod, "Running", {"running": {"startedAt": _now()}})
                self._errands[uid] = False
        elif self._errands[uid]:
            if stopping:
                await self._remove(pod)
        elif stopping or meta["namespace"] not in self.held:
            code = ExitCode.STOPPED if stopping else ExitCode.FINISHED
            words = Progress(attempt=0, token=0, pod_uid=uid, phase="Starting", exit_code=int(code))
            await self._end_pod(pod, code, words.model_dump_json(by_alias=True, exclude_none=True))
            self._errands[uid] = True
            if LABEL_PREPARATION in meta["labels"]:
                self.prepared.setdefault(meta["namespace"], []).append(code)
            elif code == ExitCode.FINISHED:
                self.passed.add((meta["namespace"], meta["labels"][LABEL_RUN]))

    async def _remove(self, pod: dict[str, Any]) -> None:
        await self._api.request("DELETE", _path(pod), resource="pods", body={"gracePeriodSeconds": 0})

    async def _bind(self, pod: dict[str, Any], node: str) -> None:
        binding = {"metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": node}}
        await self._api.create(f"{_path(pod)}/binding", "pods/binding", binding)

    async def _start(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        run = meta["labels"][LABEL_RUN]
        saved = max((t.step for t in self.of(meta["namespace"], run)), default=0)
        trainer = Trainer(pod, saved)
        await self._bind(pod, NODES[trainer.token % 2])  # a conflict for a pod of an earlier test
        assert (meta["namespace"], run) in self.passed, "a slice is asked for before the pre-flight passed"
        await web.TCPSite(self._runner, trainer.address, PORT).start()
        await self._status(pod, "Running", {"running": {"startedAt": _now()}}, trainer.address)
        self.trainers[pod["metadata"]["uid"]] = trainer

    async def _end(self, trainer: Trainer, code: ExitCode) -> None:
        trainer.ended = True
        await self._end_pod(trainer.pod, code, trainer.words(int(code)), trainer.address)

    async def _end_pod(
        self, pod: dict[str, Any], code: ExitCode, words: str, address: str = "127.76.0.1"
    ) -> None:
        state = {
            "exitCode": int(code),
            "reason": "Completed" if code == ExitCode.FINISHED else "Error",
            "message": words,
            "finishedAt": _now(),
        }
        phase = "Succeeded" if code == ExitCode.FINISHED else "Failed"
        await self._status(pod, phase, {"terminated": state}, address)

    async def _status(
        self, pod: dict[str, Any], phase: str, state: dict[str, Any], address: str = "127.76.0.1"
    ) -> None:
        container = {
            "name": CONTAINER,
            "ready": phase == "Running",
            "restartCount": 0,
            "image": "",
            "imageID": "",
            "state": state,
        }
        status = {"phase": phase, "podIP": address, "containerStatuses": [container]}
        await self._patch(f"{_path(pod)}/status", {"status": status})

    async def _progress(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        address = request.transport.get_extra_info("sockname")[0]
        [trainer] = [t for t in self.trainers.values() if t.address == address and not t.ended]
        return web.json_response(json.loads(trainer.words()))

    async def _patch(self, path: str, body: dict[str, Any]) -> None:
        await self._api.request("PATCH", path, resource="kubelet", body=body, content=MERGE)


def _path(pod: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _now(*, micro: bool = False) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")

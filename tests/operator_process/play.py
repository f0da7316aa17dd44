"""One run from creation to its end on a real API server, its operator a process that is killed on the way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.contract.manifests import ROOT
from support.control_plane import ADMIN_TOKEN, ControlPlane
from support.kubelet import MERGE, TOTAL, Kubelet
from support.write_proxy import WriteProxy
from vistrain_api.manifest import read_yaml
from vistrain_operator.api import Api

PATIENCE = 90.0
"""Seconds that a run may take; it needs about five, and one more for each time the operator is killed."""


@dataclass
class Stage:
    """Where a run plays: its namespace, and what reaches it."""

    plane: ControlPlane
    api: Api
    kubelet: Kubelet
    namespace: str
    name: str = "demo"
    """Of the run."""
    dataset: dict[str, Any] | None = None
    """In place of the example's."""

    @property
    def run(self) -> str:
        return f"/apis/vistrain.dev/v1alpha1/namespaces/{self.namespace}/detectortrainings/{self.name}"

    async def status(self) -> dict[str, Any]:
        found = await self.api.get(self.run, "detectortrainings")
        status: dict[str, Any] = found.get("status") or {}
        return status

    async def until(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status is so."""
        status: dict[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds(status):
                    await asyncio.sleep(0.1)
                    status = await self.status()
        except TimeoutError:
            raise AssertionError(f"{self.namespace}: waited for {what}: {status}") from None
        return status

    async def trains(self, attempt: int) -> None:
        """Wait until status shows that the attempt trains; it goes no further than is allowed."""
        await self.until(
            f"attempt {attempt} to train",
            lambda s: (
                s.get("phase") == "Training"
                and s.get("attempt") == attempt
                and bool(s.get("progress", {}).get("step"))
            ),
        )

    async def checks(self) -> None:
        """Wait until the pod of an errand runs, and the status says so."""
        await self.until("the start", lambda s: bool(s.get("startTime")))
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        async with asyncio.timeout(PATIENCE):
            while not (await self.api.get(path, "pods", {"fieldSelector": "status.phase=Running"}))["items"]:
                await asyncio.sleep(0.1)

    async def create(self) -> None:
        """Namespace, claims and the run."""
        await self.api.create("/api/v1/namespaces", "namespaces", {"metadata": {"name": self.namespace}})
        core = f"/api/v1/namespaces/{self.namespace}"
        while await self.api.find(f"{core}/serviceaccounts/default", "serviceaccounts") is None:
            await asyncio.sleep(0.1)  # without it the Job controller's first pod is refused
        for name in ("driving-world", "checkpoints"):
            spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
            claim = {"metadata": {"name": name}, "spec": spec}
            await self.api.create(f"{core}/persistentvolumeclaims", "persistentvolumeclaims", claim)
        await self.apply()

    async def apply(self) -> None:
        """The run."""
        manifest = read_yaml((ROOT / "examples" / "quickstart.yaml").read_text())
        manifest["metadata"] = {"name": self.name, "namespace": self.namespace}
        manifest["spec"]["dataset"] = self.dataset or manifest["spec"]["dataset"]
        await self.api.create(self.run.rpartition("/")[0], "detectortrainings", manifest)

    async def pod(self) -> str:
        """Path of the pod that runs."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        listed = await self.api.get(path, "pods", {"fieldSelector": "status.phase=Running"})
        [pod] = [p for p in listed["items"] if "deletionTimestamp" not in p["metadata"]]
        return f"{path}/{pod['metadata']['name']}"

    async def patch(self, spec: dict[str, Any]) -> None:
        """Merge a change into the run's spec."""
        await self.api.request("PATCH", self.run, resource="runs", body={"spec": spec}, content=MERGE)

    async def listed(self, path: str) -> list[dict[str, Any]]:
        """Objects of the namespace."""
        found = await self.api.get(path.format(self.namespace), "list")
        items: list[dict[str, Any]] = found["items"]
        return items


@contextlib.asynccontextmanager
async def operator(stage: Stage, folder: Path, kill: Callable[[int], bool]) -> AsyncIterator[WriteProxy]:
    """The operator, killed after each write that `kill` names, and started again each time."""
    folder.mkdir()
    process: asyncio.subprocess.Process | None = None

    def after_write(number: int) -> None:
        if kill(number) and process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it died of the write before this one
                os.kill(process.pid, signal.SIGKILL)

    async def run(kubeconfig: Path) -> None:
        nonlocal process
        command = [str(Path(sys.executable).parent / "vistrain-operator"), "--no-leader-election"]
        command += ["--kubeconfig", str(kubeconfig), "--namespace", stage.namespace, "--resync", "1"]
        command += ["--image", "registry.example/trainer:1", "--address", "127.0.0.1", "--port", "0"]
        with (folder / "operator.log").open("ab") as log:
            while True:
                process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
                code = await process.wait()
                assert code == -signal.SIGKILL, (folder / "operator.log").read_text()[-3000:]

    context = ssl.create_default_context(cafile=stage.plane.directory / "certificates" / "apiserver.crt")
    async with WriteProxy(stage.plane.url, context, after_write) as proxy:
        (folder / "kubeconfig").write_text(yaml.safe_dump(_kubeconfig(proxy.url)))
        try:
            async with asyncio.TaskGroup() as group:  # an operator that ends by itself ends the test
                task = group.create_task(run(folder / "kubeconfig"))
                yield proxy
                task.cancel()
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()


def _kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": ADMIN_TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


async def evict(stage: Stage) -> None:
    """The Eviction API, as a drain uses it."""
    path = await stage.pod()
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": path.rpartition("/")[2]}}
    await stage.api.create(f"{path}/eviction", "pods/eviction", body)


async def delete_job(stage: Stage) -> None:
    """`kubectl delete job`."""
    path = f"/apis/batch/v1/namespaces/{stage.namespace}/jobs"
    number = (await stage.status())["attempt"]
    [job] = [
        j
        for j in await stage.listed(path)
        if j["metadata"]["labels"].get("vistrain.dev/attempt") == str(number)
    ]
    await stage.api.delete(
        f"{path}/{job['metadata']['name']}", "jobs", uid=job["metadata"]["uid"], propagation="Background"
    )


async def suspend_and_resume(stage: Stage) -> None:
    """spec.suspend is set, and cleared once the slice is free."""
    await stage.patch({"suspend": True})
    await stage.until("the run to be suspended", lambda s: s.get("phase") == "Suspended")
    await stage.patch({"suspend": False})


Event = Callable[[Stage], Any]


async def play(
    stage: Stage,
    events: Sequence[Event],
    folder: Path,
    kill: Callable[[int], bool],
    *,
    in_preflight: Event | None = None,
) -> list[str]:
    """The run from its creation through each event, in mid-training, to its end. Returns the writes."""
    await stage.create()
    steps = TOTAL // (len(events) + 1)
    if in_preflight is not None:
        stage.kubelet.held.add(stage.namespace)
    async with operator(stage, folder, kill) as proxy:
        if in_preflight is not None:
            await stage.checks()
            await in_preflight(stage)
            stage.kubelet.held.discard(stage.namespace)
        for number, event in enumerate(events, start=1):
            stage.kubelet.allowed[stage.namespace] = steps * number
            await stage.trains(number)
            await event(stage)
        stage.kubelet.allowed[stage.namespace] = TOTAL
        await stage.until("the end", lambda s: s.get("phase") in {"Succeeded", "Failed"})
        await quiet(proxy)
        return proxy.writes


async def quiet(proxy: WriteProxy) -> None:
    """Wait until nothing was written for two rounds of looking at every run."""
    seen, since = len(proxy.writes), 0.0
    while since < 2.5:
        await asyncio.sleep(0.25)
        since = since + 0.25 if len(proxy.writes) == seen else 0.0
        seen = len(proxy.writes)

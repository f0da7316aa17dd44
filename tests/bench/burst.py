"""Seconds from a run created to its Job seen: one run, and a burst of 500; the operator's resident memory.

A real etcd, API server and controller manager on loopback, and the operator as a process of its own. The peer
is Kubeflow Trainer 2.3.0 (Go), measured so on an idle machine of 2 cores: 0.11 s for one, p50 4.3 s and p99
8.1 s in a burst of 500, 52 MB resident. Run with `hack/bench.sh burst`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench._machine import machine, percentile
from support.control_plane import ControlPlane
from vistrain_api.manifest import read_yaml
from vistrain_operator.api import Api, configuration

ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds" / "detectortrainings.vistrain.dev.yaml"
NAMESPACE = "burst"
RUNS = f"/apis/vistrain.dev/v1alpha1/namespaces/{NAMESPACE}/detectortrainings"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PEER = {"one": 0.11, "p50": 4.3, "p99": 8.1, "megabytes": 52.0}
CREATORS = 16


def manifest(name: str) -> dict[str, Any]:
    """The quickstart's run under another name."""
    value: dict[str, Any] = read_yaml((ROOT / "examples" / "quickstart.yaml").read_text())
    value["metadata"] = {"name": name, "namespace": NAMESPACE}
    return value


def resident(pid: int) -> float:
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError(f"process {pid} has no VmRSS")


def processor(pid: int) -> float:
    """Processor time that a process has used, in seconds: what it costs, whoever else is busy here."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch:
    """Notes when the Job of each run is first seen by a watcher."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.seen: dict[str, float] = {}
        self._news = asyncio.Condition()

    async def run(self) -> None:
        found = await self._api.get(JOBS, "jobs")
        version = found["metadata"]["resourceVersion"]
        client = self._api._client
        method, url, headers, _, _ = await client.param_serialize(
            "GET",
            f"{JOBS}?watch=1&resourceVersion={version}",
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        response = await client.call_api(method, url, headers, _request_timeout=900)
        async for line in response.response.content:
            now = time.monotonic()
            event = json.loads(line)
            if event["type"] == "ADDED":
                async with self._news:
                    self.seen.setdefault(event["object"]["metadata"]["labels"]["vistrain.dev/run"], now)
                    self._news.notify_all()

    async def wait_for(self, names: list[str]) -> None:
        async with self._news:
            await self._news.wait_for(lambda: all(n in self.seen for n in names))


async def measure(kubeconfig: str, pid: int, singles: int, burst: int) -> dict[str, float]:
    """The figures: medians of `singles` runs one after another, then a burst of `burst`."""
    api = Api(await configuration(kubeconfig, None))
    watch = Watch(api)
    task = asyncio.create_task(watch.run())
    created: dict[str, float] = {}

    async def create(name: str) -> None:
        created[name] = time.monotonic()
        await api.create(RUNS, "detectortrainings", manifest(name))

    await asyncio.sleep(1)
    before = resident(pid)
    one = []
    for number in range(singles):
        name = f"one-{number}"
        await create(name)
        await asyncio.wait_for(watch.wait_for([name]), 60)
        one.append(watch.seen[name] - created[name])
        await asyncio.sleep(0.5)

    names = [f"burst-{number}" for number in range(burst)]
    queue = iter(names)

    async def creator() -> None:
        for name in queue:
            await create(name)

    begun, used = time.monotonic(), processor(pid)
    await asyncio.gather(*(creator() for _ in range(CREATORS)))
    created_in = time.monotonic() - begun
    peak = resident(pid)
    await asyncio.wait_for(watch.wait_for(names), 300)
    all_in = time.monotonic() - begun
    used = processor(pid) - used
    for _ in range(20):
        peak = max(peak, resident(pid))
        await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await api.close()
    taken = [watch.seen[n] - created[n] for n in names]
    return {
        "one": percentile(one, 50),
        "p50": percentile(taken, 50),
        "p99": percentile(taken, 99),
        "megabytes": peak,
        "idleMegabytes": before,
        "createdIn": created_in,
        "allIn": all_in,
        "processor": used,
    }


@contextlib.contextmanager
def operator(kubeconfig: str, log: Path) -> Iterator[int]:
    """The operator as a process; yields its id."""
    command = [str(Path(sys.executable).parent / "vistrain-operator"), "--kubeconfig", kubeconfig]
    command += ["--image", "registry.example/vistrain-trainer:bench", "--address", "127.0.0.1", "--port", "0"]
    command += ["--namespace", NAMESPACE, "--lease-name", "bench", "--log-format", "json"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        deadline = time.monotonic() + 60
        while b'"ready"' not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the operator did not get ready:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


async def prepare(kubeconfig: str) -> None:
    """Namespace, claims, and a node that offers the slice, so that no run has to be told that none does."""
    api = Api(await configuration(kubeconfig, None))
    try:
        await api.create("/api/v1/nodes", "nodes", {"metadata": {"name": "n1"}})
        status = {"allocatable": {"nvidia.com/mig-1g.20gb": "7"}}
        status["conditions"] = [{"type": "Ready", "status": "True"}]
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": status}
        await api.apply("/api/v1/nodes/n1/status", "nodes/status", body)
        await api.create("/api/v1/namespaces", "namespaces", {"metadata": {"name": NAMESPACE}})
        for name in ("driving-world", "checkpoints"):
            claim = {
                "metadata": {"name": name},
                "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
            }
            path = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
            await api.create(path, "persistentvolumeclaims", claim)
    finally:
        await api.close()


def report(figures: dict[str, float], burst: int) -> None:
    """Figures and ratios to the peer."""
    print(machine())
    print(f"burst of {burst}: created in {figures['createdIn']:.1f} s, ", end="")
    print(f"all Jobs after {figures['allIn']:.1f} s")
    print(f"{'':24}{'vistrain':>10}{'peer':>10}{'ratio':>8}")
    titles = {"one": "one, s", "p50": "burst p50, s", "p99": "burst p99, s", "megabytes": "resident, MB"}
    for key, title in titles.items():
        print(f"{title:24}{figures[key]:10.2f}{PEER[key]:10.2f}{figures[key] / PEER[key]:8.2f}")
    print(f"processor time until the last Job: {figures['processor']:.1f} s; ", end="")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    print(f"resident while idle: {figures['idleMegabytes']:.0f} MB")
    print("goal: ratios of time at most 1, of memory at most 2")


def run(kubeconfig: str, folder: Path, singles: int, burst: int) -> None:
    """Measure on the API server of `kubeconfig`, which serves the CRD already."""
    asyncio.run(prepare(kubeconfig))
    with operator(kubeconfig, folder / "operator.log") as pid:
        report(asyncio.run(measure(kubeconfig, pid, singles, burst)), burst)


def main() -> None:
    """The benchmark as a command."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--singles", type=int, default=10, help="runs created one after another")
    parser.add_argument("--burst", type=int, default=500, help="runs created at once")
    parser.add_argument("--keep-log", type=Path, help="copy the operator's log here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ControlPlane(folder / "control-plane") as plane:
            plane.kubectl.run("apply", "--server-side", "-f", str(CRD))
            plane.kubectl.run("wait", "--for=condition=Established", "crd/detectortrainings.vistrain.dev")
            run(str(plane.kubeconfig), folder, arguments.singles, arguments.burst)
        if arguments.keep_log:
            arguments.keep_log.write_bytes((folder / "operator.log").read_bytes())


if __name__ == "__main__":
    main()

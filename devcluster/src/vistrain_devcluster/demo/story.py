"""The demo's story: data, run, eviction in mid-epoch, resume, the same run untouched, comparison."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from vistrain_devcluster.demo import objects
from vistrain_devcluster.demo.evidence import Evidence
from vistrain_devcluster.demo.tell import Teller
from vistrain_devcluster.kubectl import Kubectl, KubectlError

T = TypeVar("T")

KIND = "detectortrainings.vistrain.dev"
CHECKPOINT_CLAIM = "checkpoints"


class DemoFailed(RuntimeError):
    """The story did not go as told; the text says where to look."""


def wait_for(what: str, poll: Callable[[], T | None], *, seconds: float, every: float = 0.5) -> T:
    """Poll until something is returned. Raises DemoFailed after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = poll()
        if value is not None:
            return value
        time.sleep(every)
    raise DemoFailed(f"waited {seconds:.0f} s for {what}")


def manifest(kubectl: Kubectl, path: Path, *, cpu: bool, suffix: str = "") -> dict[str, Any]:
    """The example as kubectl reads it; on another's cluster it trains on the CPU: nodes are never patched."""
    text = kubectl.run("create", "--dry-run=client", "--output", "json", "--filename", str(path))
    value: dict[str, Any] = json.loads(text)
    value["metadata"]["name"] += suffix
    if cpu:
        value["spec"]["resources"]["accelerator"] = {"cpu": {}}
    return value


class Story:
    """The parts of the demo, in the order in which they are told."""

    def __init__(
        self, kubectl: Kubectl, teller: Teller, *, image: str, example: Path, cpu: bool, output: Path
    ) -> None:
        self.kubectl = kubectl.within(objects.NAMESPACE)
        self.teller = teller
        self.image = image
        self.run = manifest(self.kubectl, example, cpu=cpu)
        self.twin = manifest(self.kubectl, example, cpu=cpu, suffix="-untouched")
        self.name: str = self.run["metadata"]["name"]
        self.names: tuple[str, str] = (self.name, self.twin["metadata"]["name"])
        self.evidence = Evidence(output / "evidence", self.kubectl, self.name)

    def prepare(self, prepare_args: list[str]) -> None:
        """Namespace, volumes, and a Job that renders the small driving world into its volume."""
        self._forget()
        volume = self.run["spec"]["dataset"]["volume"]
        self.kubectl.apply(objects.namespace())
        self.kubectl.apply(
            objects.claim(volume["claimName"], "2Gi", ["ReadWriteOnce"]),
            objects.claim(CHECKPOINT_CLAIM, "5Gi", ["ReadWriteOnce"]),
        )
        target = f"/data/{volume['subPath']}"
        args = ["prepare", "synthetic", "--out", target, *prepare_args]
        self._job("make-data", args, {volume["claimName"]: "/data"}, seconds=600)

    def _forget(self) -> None:
        """A demo starts afresh: an earlier one's namespace goes, with its volumes."""
        if self.kubectl.find("namespace", objects.NAMESPACE) is not None:
            self.teller.live("removing what an earlier demo left")
            self.kubectl.run("delete", "namespace", objects.NAMESPACE, "--wait", timeout=180)

    def _job(self, name: str, args: list[str], mounts: dict[str, str], *, seconds: float) -> str:
        self.kubectl.apply(objects.job(name, self.image, args, mounts))

        def done() -> dict[str, Any] | None:
            job = self.kubectl.get("job", name)
            states = {c["type"]: c["status"] for c in job["status"].get("conditions", [])}
            if states.get("Failed") == "True":
                raise DemoFailed(f"Job {name} failed:\n{self.kubectl.run('logs', f'job/{name}')}")
            self.teller.live(f"Job {name}: {_pod_phase(self.kubectl, name)}")
            return job if states.get("Complete") == "True" else None

        wait_for(f"Job {name}", done, seconds=seconds)
        return self.kubectl.run("logs", f"job/{name}")

    def start(self) -> None:
        """`kubectl apply` of the run, and of its twin that nobody will touch."""
        self.kubectl.apply(self.run, self.twin)

    def evict_in_mid_epoch(self) -> None:
        """Wait until the run is well inside an epoch and past its last checkpoint, then evict its pod."""
        pod, progress = wait_for("a step in mid-epoch", self._mid_epoch, seconds=600, every=0.2)
        at = datetime.now(UTC).isoformat()
        self.kubectl.evict(pod["metadata"]["name"])
        self.evidence.write(
            "eviction",
            {
                "at": at,
                "pod": pod["metadata"]["name"],
                "podUID": pod["metadata"]["uid"],
                "progress": progress,
            },
        )
        steps = progress["totalSteps"] // progress["epochs"]
        self.teller.say(
            f"       evicted {pod['metadata']['name']} on {pod['spec']['nodeName']}"
            f" after step {progress['step']}"
            f" (epoch {progress['epoch'] + 1}, step {progress['step'] % steps} of {steps})"
        )

    def _mid_epoch(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        self._tell_progress()
        for pod in self.evidence.pods():
            progress = self._progress_of(pod)
            if progress is None or progress["phase"] != "Training" or not progress["totalSteps"]:
                continue
            steps = progress["totalSteps"] // progress["epochs"]
            inside = progress["step"] % steps
            saved = (progress.get("lastCheckpoint") or {}).get("step")
            # Past the first epoch, and clear of a boundary: the pod takes a step or two more.
            if progress["epoch"] >= 1 and steps * 0.3 < inside < steps * 0.7 and saved != progress["step"]:
                return pod, progress
        return None

    def _progress_of(self, pod: dict[str, Any]) -> dict[str, Any] | None:
        name = pod["metadata"]["name"]
        if pod["status"].get("phase") != "Running" or "deletionTimestamp" in pod["metadata"]:
            return None
        try:
            value: dict[str, Any] = self.kubectl.raw(
                f"/api/v1/namespaces/{objects.NAMESPACE}/pods/{name}:8080/proxy/progress"
            )
        except (KubectlError, json.JSONDecodeError):
            return None  # not serving yet
        return value

    def _tell_progress(self) -> dict[str, str]:
        """Tell how far both runs are; their phases by name."""
        self.evidence.follow_logs()
        parts, phases = [], {}
        for name in self.names:
            status = self.kubectl.get(KIND, name).get("status", {})
            shown = status.get("display", {})
            phases[name] = status.get("phase", "Pending")
            said = [phases[name], *map(shown.get, ("epoch", "progress", "best"))]
            parts.append(f"{name}: {' '.join(filter(None, said))}")
        self.teller.live("  |  ".join(parts))
        return phases

    def finish(self) -> None:
        """Wait until both runs are over; both must have succeeded."""

        def over() -> bool | None:
            phases = self._tell_progress()
            failed = [name for name, phase in phases.items() if phase == "Failed"]
            if failed:
                raise DemoFailed(f"{failed[0]} failed:\n{self.kubectl.run('describe', KIND, failed[0])}")
            return True if all(phase == "Succeeded" for phase in phases.values()) else None

        wait_for("both runs to succeed", over, seconds=1800, every=1.0)

    def compare(self) -> None:
        """`vistrain checkpoint diff` of both run folders, in the trainer's image, on the volume itself."""
        folders = []
        for name in self.names:
            folders.append(f"/checkpoints/{self.kubectl.get(KIND, name)['status']['resolved']['path']}")
        try:
            log = self._job(
                "compare",
                ["checkpoint", "diff", *folders, "--json"],
                {CHECKPOINT_CLAIM: "/checkpoints"},
                seconds=120,
            )
        except DemoFailed as failure:
            raise DemoFailed(f"the weights differ from the untouched run's: {failure}") from failure
        self.evidence.write("diff", json.loads(log[log.index("[") :]))


def _pod_phase(kubectl: Kubectl, job: str) -> str:
    pods = kubectl.get("pods", "-l", f"job-name={job}")["items"]
    return str(pods[-1]["status"].get("phase", "Pending")) if pods else "no pod yet"

"""Runs on a real cluster, in words that read like a specification."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vistrain_devcluster.api import ApiError
from vistrain_devcluster.kubectl import Kubectl, KubectlError

T = TypeVar("T")
KIND = "detectortrainings.vistrain.dev"
CLASSES = ["car", "truck", "trailer", "bus", "construction_vehicle", "bicycle", "motorcycle"]

# As small as a detector gets: seconds of one core. 24 images make 6 steps an epoch.
TINY: dict[str, Any] = {
    "model": {"yolox": {"variant": "nano", "inputSize": {"height": 64, "width": 96}}},
    "initialization": {"scratch": {}},
    "dataset": {
        "volume": {"claimName": "driving-world", "subPath": "tiny"},
        "train": {"annotations": "annotations/train.json", "images": "images"},
        "validation": {"annotations": "annotations/val.json", "images": "images"},
        "classes": CLASSES,
        "loader": {"workers": 1},
    },
    "schedule": {
        "epochs": 3,
        "batchSize": 4,
        "learningRate": {"peak": 1e-3},
        "warmupEpochs": 1,
        "noAugEpochs": 1,
        "precision": "fp32",
    },
    "evaluation": {"everyEpochs": 3},
    "checkpoint": {"volume": {"claimName": "checkpoints"}, "interval": "30s"},
    "resources": {
        "accelerator": {"cpu": {}},
        "cpu": 1,
        "memory": "2Gi",
        "sharedMemory": "256Mi",
    },
    "resilience": {"terminationGracePeriod": "30s"},
}


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`base` with `change` laid over it, member by member; None removes a member."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def wait_for(what: str, poll: Callable[[], T | None], *, seconds: float = 90, every: float = 0.25) -> T:
    """Poll until something true is returned; fails the test, saying what it waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = poll()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


@dataclass
class Run:
    """One DetectorTraining on the cluster: done to it by kubectl, as users do, and watched by plain requests,
    since a kubectl for every look would take the cores from what is looked at."""

    kubectl: Kubectl
    get: Callable[[str], Any]
    """What the API server answers to a GET of a path."""
    name: str
    spec: dict[str, Any] = field(default_factory=dict)

    def apply(self) -> Run:
        """`kubectl apply`."""
        manifest = {
            "apiVersion": "vistrain.dev/v1alpha1",
            "kind": "DetectorTraining",
            "metadata": {"name": self.name},
            "spec": self.spec,
        }
        self.kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))
        return self

    def patch(self, spec: dict[str, Any]) -> None:
        """Merge a change into the spec."""
        self.kubectl.run("patch", KIND, self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def delete(self) -> None:
        """`kubectl delete`, waiting until the object is gone."""
        self.kubectl.run("delete", KIND, self.name, "--ignore-not-found", "--wait", timeout=90)

    def object(self) -> dict[str, Any]:
        """The run as the API server has it."""
        found: dict[str, Any] = self.get(
            f"/apis/vistrain.dev/v1alpha1/{self._space}/detectortrainings/{self.name}"
        )
        return found

    def status(self) -> dict[str, Any]:
        """Its status."""
        value: dict[str, Any] = self.object().get("status", {})
        return value

    def condition(self, kind: str) -> dict[str, Any]:
        """A condition, or an empty one."""
        for condition in self.status().get("conditions", []):
            if condition["type"] == kind:
                found: dict[str, Any] = condition
                return found
        return {}

    def attempts(self) -> list[dict[str, Any]]:
        """The attempts in status, oldest first."""
        return sorted(self.status().get("attempts", []), key=lambda attempt: attempt["number"])

    def classes(self) -> list[str]:
        """The failure classes of the attempts that have ended before the run did."""
        return [attempt["class"] for attempt in self.attempts() if attempt.get("class")]

    def events(self) -> list[dict[str, Any]]:
        """The events about the run."""
        listed = self.kubectl.get("events", "--field-selector", f"involvedObject.name={self.name}")
        items: list[dict[str, Any]] = listed["items"]
        return items

    def said(self) -> str:
        """What the events say."""
        return "\n".join(f"{event['type']} {event['reason']}: {event['message']}" for event in self.events())

    def pods(self) -> list[dict[str, Any]]:
        """The pods of the run's attempts, oldest first."""
        items: list[dict[str, Any]] = self._mine("/api/v1", "pods", "vistrain.dev%2Fattempt")
        return sorted(items, key=lambda pod: int(pod["metadata"]["labels"]["vistrain.dev/attempt"]))

    def jobs(self) -> list[dict[str, Any]]:
        """The Jobs of the run's attempts."""
        return self._mine("/apis/batch/v1", "jobs", "vistrain.dev%2Fattempt")

    def preflight_pods(self) -> list[dict[str, Any]]:
        """The pods of its pre-flight."""
        return self._mine("/api/v1", "pods", "vistrain.dev%2Fpreflight")

    def preflight_jobs(self) -> list[dict[str, Any]]:
        """The Job of its pre-flight."""
        return self._mine("/apis/batch/v1", "jobs", "vistrain.dev%2Fpreflight")

    def is_refused(self, *words: str, seconds: float = 90) -> None:
        """Assert that the pre-flight refuses it, in these words and once, before a slice was asked for."""
        status = self.becomes("Failed", seconds=seconds)
        record = status["preflight"]
        assert (record["class"], record["exitCode"]) == ("BadInput", 64), self.describe()
        assert status.get("attempt", 0) == 0, "bad input is never retried"
        assert self.attempts() == []
        assert status.get("failures", 0) == status.get("disruptions", 0) == 0
        for kind, value in (("Accepted", "False"), ("Failed", "True")):
            condition = self.condition(kind)
            assert (condition["status"], condition["reason"]) == (value, "BadInput"), condition
            for word in words:
                assert word in condition["message"], condition["message"]
        for word in words:
            assert word in self.said(), self.said()
        # A failed run's Jobs stay: there never was another than the pre-flight's, and that had no slice.
        assert self.jobs() == []
        [job] = self.preflight_jobs()
        assert "nvidia.com/" not in json.dumps(job["spec"])
        names = {event["involvedObject"]["name"] for event in self.kubectl.get("events")["items"]}
        theirs = [n for n in names if n.startswith(f"{self.name}-")]
        assert all(n.startswith(job["metadata"]["name"]) for n in theirs), theirs

    @property
    def _space(self) -> str:
        return f"namespaces/{self.kubectl.namespace}"

    def _mine(self, api: str, plural: str, label: str) -> list[dict[str, Any]]:
        selector = f"vistrain.dev%2Frun%3D{self.name},{label}"
        found = self.get(f"{api}/{self._space}/{plural}?labelSelector={selector}")
        items: list[dict[str, Any]] = found["items"]
        return items

    def pod(self, *, seconds: float = 120) -> dict[str, Any]:
        """The pod that runs now."""

        def running() -> dict[str, Any] | None:
            for pod in reversed(self.pods()):
                if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
                    return pod
            return None

        return wait_for(f"a running pod of {self.name}", running, seconds=seconds)

    def progress(self) -> dict[str, Any] | None:
        """What the trainer serves at /progress, through the API server's proxy."""
        for pod in reversed(self.pods()):
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
                name = pod["metadata"]["name"]
                try:
                    value: dict[str, Any] = self.get(f"/api/v1/{self._space}/pods/{name}:8080/proxy/progress")
                except (ApiError, KubectlError, OSError, json.JSONDecodeError):
                    return None  # not listening yet, or no more
                return value | {"pod": name}
        return None

    def reaches_step(self, step: int, *, seconds: float = 150) -> dict[str, Any]:
        """Wait until the trainer has executed `step`, as it says itself; returns its progress."""

        def reached() -> dict[str, Any] | None:
            progress = self.progress()
            return progress if progress and progress["step"] >= step else None

        return wait_for(f"step {step} of {self.name}", reached, seconds=seconds, every=0.1)

    def becomes(self, phase: str, *, seconds: float = 240) -> dict[str, Any]:
        """Wait for a phase; returns the status. A terminal phase that is another one fails at once."""

        def reached() -> dict[str, Any] | None:
            status = self.status()
            now = status.get("phase")
            if now in {"Succeeded", "Failed"} and now != phase:
                raise AssertionError(f"{self.name} became {now}, not {phase}\n{self.describe()}")
            return status if now == phase else None

        try:
            return wait_for(f"{self.name} to become {phase}", reached, seconds=seconds)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.describe()}") from None

    def evict(self) -> str:
        """Evict the running pod through the Eviction API; returns its name."""
        name: str = self.pod()["metadata"]["name"]
        self.kubectl.evict(name)
        return name

    def describe(self) -> str:
        """Everything a person would look at."""
        parts = [json.dumps(self.status(), indent=1), self.said()]
        for pod in (*self.preflight_pods(), *self.pods()):
            name = pod["metadata"]["name"]
            try:
                parts.append(f"--- {name}: {pod['status'].get('phase')}\n{self.kubectl.logs(name)[-3000:]}")
            except KubectlError as error:
                parts.append(f"--- {name}: {error}")
        return "\n".join(parts)

    def disrupted_only(self, *classes: str) -> None:
        """Assert that exactly these classes disrupted the run, and that its failure budget is unused."""
        status = self.status()
        assert self.classes() == list(classes), self.describe()
        assert status.get("disruptions", 0) == len(classes), self.describe()
        assert status.get("failures", 0) == 0, self.describe()

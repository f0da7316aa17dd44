"""kubectl as a function: objects in and out as JSON values."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any


class KubectlError(RuntimeError):
    """kubectl refused; the text is its own."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl on one cluster, named by a kubeconfig or a context."""

    binary: str = "kubectl"
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None

    @property
    def flags(self) -> list[str]:
        """The options that name the cluster and the namespace."""
        flags: list[str] = []
        for flag, value in (
            ("--kubeconfig", self.kubeconfig),
            ("--context", self.context),
            ("--namespace", self.namespace),
        ):
            if value is not None:
                flags += [flag, value]
        return flags

    def within(self, namespace: str) -> Kubectl:
        """The same cluster, another namespace."""
        return Kubectl(self.binary, self.kubeconfig, self.context, namespace)

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """kubectl's standard output. Raises KubectlError with its standard error."""
        done = subprocess.run(
            [self.binary, *self.flags, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *what: str) -> dict[str, Any]:
        """An object, or a list of them."""
        value: dict[str, Any] = json.loads(self.run("get", *what, "-o", "json"))
        return value

    def find(self, *what: str) -> dict[str, Any] | None:
        """An object, or nothing where there is none."""
        text = self.run("get", *what, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def apply(self, *objects: dict[str, Any]) -> None:
        """Server-side apply."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def raw(self, path: str) -> Any:
        """What the API server answers to a GET, as a JSON value."""
        return json.loads(self.run("get", "--raw", path))

    def evict(self, pod: str) -> None:
        """The Eviction API, as `kubectl drain` and the descheduler use it."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        self.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    def logs(self, pod: str) -> str:
        """The pod's log, each line with its time."""
        return self.run("logs", pod, "--timestamps")

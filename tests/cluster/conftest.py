"""Runs on the dev cluster, and the faults that can be done to it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from support.runs import TINY, Run, merged, wait_for
from support.site import Site, site, unique

T = TypeVar("T")


class Runs:
    """Makes runs, waits, and does to nodes and operator what a bad day does."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.kubectl = site.kubectl
        self.system = site.system
        self.made: list[Run] = []

    def new(self, name: str, **change: Any) -> Run:
        """A tiny run with members of the spec changed; its name is unique, its folder too unless stated."""
        run = Run(self.kubectl, self.site.cluster.api.get, unique(name), merged(TINY, change))
        self.made.append(run)
        return run

    def wait(self, what: str, poll: Callable[[], T | None], *, seconds: float = 60) -> T:
        """Poll until something true is returned."""
        return wait_for(what, poll, seconds=seconds)

    def checkpoint_folder(self) -> Path:
        """The checkpoint volume, as this machine sees it."""
        return self.site.volume_folder("checkpoints")

    def folder(self, run: Run) -> Path:
        """A run's folder, as this machine sees it."""
        return self.checkpoint_folder() / str(run.status()["resolved"]["path"])

    def step_log(self, run: Run) -> list[dict[str, Any]]:
        """log.jsonl of a run folder."""
        text = (self.folder(run) / "log.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def node_log(self, node: str, pod: dict[str, Any]) -> list[dict[str, Any]]:
        """A pod's log as it lies on its node's disk, which can be read when the node's network is cut."""
        meta = pod["metadata"]
        folder = f"{meta['namespace']}_{meta['name']}_{meta['uid']}"
        file = self.site.cluster.config.node_state(node) / "pod-logs" / folder / "trainer" / "0.log"
        lines = [line.partition("{") for line in file.read_text().splitlines()]
        return [json.loads(brace + rest) for _, brace, rest in lines if brace]

    def node_offering(self, resource: str) -> str:
        """The node whose device plugin offers a slice."""
        for node in self.kubectl.get("nodes")["items"]:
            if int(node["status"]["allocatable"].get(resource, "0")):
                name: str = node["metadata"]["name"]
                return name
        raise AssertionError(f"no node offers {resource}")

    def drain(self, node: str, run: Run) -> None:
        """`kubectl drain`, of this run's pod only."""
        selector = f"--pod-selector=vistrain.dev/run={run.name}"
        self.kubectl.run(
            "drain",
            node,
            selector,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--timeout=60s",
            timeout=90,
        )

    def uncordon(self, node: str) -> None:
        """`kubectl uncordon`."""
        self.kubectl.run("uncordon", node)

    def leader(self) -> str:
        """The operator's pod that holds the Lease."""
        holder: str = wait_for("a leader", self._holder, seconds=60)
        return holder

    def _holder(self) -> str:
        for lease in self.system.get("leases")["items"]:
            if "vistrain" in lease["metadata"]["name"]:
                return str(lease["spec"].get("holderIdentity") or "")
        return ""

    @contextmanager
    def no_operator(self) -> Iterator[None]:
        """Both replicas are killed, and stay away."""
        self.system.run("scale", "deployment", "--all", "--replicas=0")
        self.system.run("delete", "pods", "--all", "--grace-period=0", "--force")
        try:
            yield
        finally:
            self.system.run("scale", "deployment", "--all", "--replicas=2")

    def upgrade(self, values: dict[str, str]) -> None:
        """`helm upgrade` with values changed, waiting for the new operator."""
        self.site.place.install(values)

    @contextmanager
    def node_cut(self, node: str) -> Iterator[None]:
        """A node's network is gone; what runs there runs on."""
        self.site.cluster.cut_node(node)
        try:
            yield
        finally:
            self.site.cluster.heal_node(node)

    @contextmanager
    def node_down(self, node: str) -> Iterator[None]:
        """A node loses power."""
        self.site.cluster.kill_node(node)
        try:
            yield
        finally:
            self.site.cluster.start_node(node)

    @contextmanager
    def small_volume(self, claim: str, *, node: str, megabytes: int) -> Iterator[Path]:
        """A claim on a file system of its own, on one node, so small that it fills up."""
        machine = self.site.cluster.node(node)
        folder = self.site.cluster.config.state / f"small-{claim}"
        options = f"size={megabytes}m,mode=0777"
        # In the node's own mount namespace: mounts of the machine do not reach a node that is up.
        script = f"mkdir -p {folder} && mount -t tmpfs -o {options} tmpfs {folder}"
        subprocess.run(machine.command(["sh", "-c", script]), check=True)
        seen = Path(f"/proc/{machine.init_pid()}/root{folder}")
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{self.kubectl.namespace}-{claim}"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "by-hand",
                "hostPath": {"path": str(folder)},
                "claimRef": {"namespace": self.kubectl.namespace, "name": claim},
            },
        }
        wanted = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "by-hand",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        try:
            self.kubectl.apply(volume, wanted)
            yield seen
        finally:
            for run in self.made:
                run.delete()
            self.kubectl.run("delete", "pvc", claim, "--wait", timeout=60)
            self.kubectl.run("delete", "pv", f"{self.kubectl.namespace}-{claim}", "--wait", timeout=60)
            subprocess.run(machine.command(["umount", "--lazy", str(folder)]), check=True)

    @staticmethod
    def fill(folder: Path) -> None:
        """Fill a file system to the last byte."""
        with (folder / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                return


@pytest.fixture
def runs() -> Iterator[Runs]:
    """Makes runs in the tests' namespace; they are deleted afterwards."""
    maker = Runs(site())
    yield maker
    for run in maker.made:
        run.delete()

"""A cluster of the tests' own, beside any that is up: another name, other networks, other folders."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vistrain_devcluster.api import Api, ApiError, wait_until
from vistrain_devcluster.cluster import Cluster
from vistrain_devcluster.config import ClusterConfig

PROBE_IMAGE = "vistrain.local/probe:test"
STATE_ROOT = Path("/var/lib/vistrain-devcluster-test")
SECONDS = 60.0  # how long a thing may take before the test gives up; nothing is asserted about time


def own_config() -> ClusterConfig:
    """The tests' cluster; binaries come from the ordinary cache."""
    return ClusterConfig(
        name="vdctest",
        state_root=STATE_ROOT,
        cache=Path(os.environ.get("VISTRAIN_CACHE", "~/.cache/vistrain")),
        network_prefix="10.251",
        pod_prefix="10.252",
        free_gigabytes=3,  # it holds none of our images
    )


def write_archive(path: Path, image: str, file: Path) -> Path:
    """An image archive (docker format) with the program ``/probe``, run as an ordinary user."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        info = tarfile.TarInfo("probe")
        info.size, info.mode = file.stat().st_size, 0o755
        with file.open("rb") as stream:
            tar.addfile(info, stream)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": ["/probe"], "User": "65532:65532"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [image], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for member, data in (("layer.tar", layer.getvalue()), (name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(scope="session")
def probe_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of the small image, built from ``probe/main.go``."""
    folder = tmp_path_factory.mktemp("probe")
    subprocess.run(
        ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(folder / "probe"), "."],
        cwd=Path(__file__).parent / "probe",
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
        check=True,
    )
    return write_archive(folder / "probe.tar", PROBE_IMAGE, folder / "probe")


@dataclass
class Pods:
    """Makes pods of the probe image and reads what became of them."""

    api: Api

    def create(self, arguments: list[str], **extra: Any) -> str:
        """Creates a pod that runs ``/probe ARGUMENTS``; its name. ``node``, ``limits`` and ``grace`` (s)."""
        name = f"probe-{uuid.uuid4().hex[:8]}"
        spec: dict[str, Any] = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": extra.get("grace", 5),
            "containers": [
                {
                    "name": "probe",
                    "image": PROBE_IMAGE,
                    "args": arguments,
                    "resources": {"limits": extra.get("limits", {})},
                }
            ],
        }
        if "node" in extra:
            spec["nodeSelector"] = {"kubernetes.io/hostname": extra["node"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self.api.call("POST", "/api/v1/namespaces/default/pods", pod)
        return name

    def create_admitted(self, arguments: list[str], **extra: Any) -> str:
        """As ``create``, again while the node refuses it.

        A kubelet that has just started may still count the slices of pods of its former life; a pod is then
        rejected for good, and a controller makes another.
        """
        names: list[str] = []

        def admitted() -> bool:
            if names and self.get(names[-1])["status"].get("reason") == "UnexpectedAdmissionError":
                self.delete(names.pop())
            if not names:
                names.append(self.create(arguments, **extra))
            status = self.get(names[-1])["status"]
            return bool(status.get("phase") != "Pending" and "reason" not in status)

        wait_until("a pod is admitted", admitted, SECONDS, "")
        return names[-1]

    def get(self, name: str) -> dict[str, Any]:
        pod: dict[str, Any] = self.api.get(f"/api/v1/namespaces/default/pods/{name}")
        return pod

    def log(self, name: str) -> str:
        return self.api.call("GET", f"/api/v1/namespaces/default/pods/{name}/log")

    def wait_phase(self, name: str, phase: str) -> dict[str, Any]:
        def reached() -> bool:
            return bool(self.get(name)["status"].get("phase") == phase)

        wait_until(f"pod {name} is {phase}", reached, SECONDS, "")
        return self.get(name)

    def wait_log(self, name: str, text: str) -> str:
        def said() -> bool:
            try:
                return text in self.log(name)
            except ApiError as error:
                if error.status not in (
                    400,
                    404,
                ):  # the container, or the kubelet's view of it, is being made
                    raise
                return False

        try:
            wait_until(f"pod {name} says {text!r}", said, SECONDS, "")
        except TimeoutError as error:
            raise AssertionError(f"{error}{self.get(name)['status']}") from error
        return self.log(name)

    def gone(self, name: str) -> bool:
        return not self.api.exists(f"/api/v1/namespaces/default/pods/{name}")

    def delete(self, name: str) -> None:
        self.api.delete(f"/api/v1/namespaces/default/pods/{name}")
        wait_until(f"pod {name} is gone", lambda: self.gone(name), SECONDS, "")


@pytest.fixture
def own_cluster_config(alone: None) -> ClusterConfig:
    return own_config()


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    """Holds the tests' cluster for a module; one that runs beside it waits."""
    with Path("/run/lock/vistrain-devcluster-test").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def cluster(alone: None, probe_archive: Path) -> Iterator[Cluster]:
    """The tests' own cluster, up, the probe image on each node; taken down with its images afterwards."""
    made = Cluster(own_config(), report=lambda _: None)
    made.down(keep_images=False)
    made.up()
    for node in made.nodes():
        node.import_image(probe_archive)
    yield made
    made.down(keep_images=False)


@pytest.fixture
def pods(cluster: Cluster) -> Pods:
    return Pods(cluster.api)

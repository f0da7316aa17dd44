"""Helm, and a control plane of the tests' own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from support.control_plane import ControlPlane
from support.helm import Helm
from support.runs import wait_for
from vistrain_devcluster.kubectl import Kubectl

MONITORS = ("servicemonitors", "podmonitors")


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm without a cluster."""
    return Helm.find()


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with the Prometheus operator's kinds and the namespaces that the tests name."""
    with ControlPlane(tmp_path_factory.mktemp("chart") / "control-plane") as plane:
        folder = _monitoring_module() / "example" / "prometheus-operator-crd"
        for plural in MONITORS:
            file = folder / f"monitoring.coreos.com_{plural}.yaml"
            plane.kubectl.run("apply", "--server-side", "-f", str(file))
            plane.await_crd(f"{plural}.monitoring.coreos.com")
        for namespace in ("vistrain-system", "team-a", "team-b"):
            plane.kubectl.run("create", "namespace", namespace)
            # A pod is refused until the controller has made the namespace's default account.
            find = partial(plane.kubectl.within(namespace).find, "serviceaccount", "default")
            wait_for(f"the default account of {namespace}", find)
        yield plane


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """The administrator's kubectl on the control plane."""
    return control_plane.kubectl


@pytest.fixture(scope="session")
def releases(helm: Helm, control_plane: ControlPlane) -> Helm:
    """Helm on the control plane."""
    return Helm(helm.binary, kubeconfig=str(control_plane.kubeconfig))


def _monitoring_module() -> Path:
    """Folder of the Prometheus operator's Go module, whose version and digest are pinned in monitoring/."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", "github.com/prometheus-operator/prometheus-operator"],
        cwd=Path(__file__).parent / "monitoring",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(json.loads(done.stdout)["Dir"])

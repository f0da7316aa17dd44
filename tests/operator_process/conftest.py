"""A control plane with one stand-in for nodes, on which the operator's process is started and killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.contract.manifests import ROOT
from support.control_plane import ControlPlane
from vistrain_api.crd.definition import NAME


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, API server and controllers, with the CRD."""
    with ControlPlane(tmp_path_factory.mktemp("operator") / "control-plane") as plane:
        plane.kubectl.run("apply", "--server-side", "-f", str(ROOT / "crds" / f"{NAME}.yaml"))
        plane.await_crd(NAME)
        yield plane

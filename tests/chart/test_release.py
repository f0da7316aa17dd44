"""A release's life, in the order of the file: the tests share what it leaves behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.control_plane import ControlPlane
from support.helm import CHART, Helm, HelmError
from support.runs import TINY
from vistrain_devcluster.kubectl import Kubectl

pytestmark = pytest.mark.cluster

CRD = "detectortrainings.vistrain.dev"
RUN = {
    "apiVersion": "vistrain.dev/v1alpha1",
    "kind": "DetectorTraining",
    "metadata": {"name": "kept"},
    "spec": TINY,
}
# No node runs pods here, so a release with replicas would never be complete.
IDLE = {"replicas": 0}


@pytest.fixture(scope="module")
def release(releases: Helm, control_plane: ControlPlane, kubectl: Kubectl) -> Helm:
    releases.install("vistrain", "vistrain-system", IDLE)
    control_plane.await_crd(CRD)
    kubectl.run("apply", "--namespace", "team-a", "-f", "-", stdin=json.dumps(RUN))
    return releases


def run_uid(kubectl: Kubectl) -> str:
    uid: str = kubectl.within("team-a").get(CRD, "kept")["metadata"]["uid"]
    return uid


def test_notes_say_what_to_do_next(release: Helm) -> None:
    notes = release.run("get", "notes", "vistrain", "--namespace", "vistrain-system")
    assert "kubectl -n vistrain-system rollout status deployment/vistrain" in notes
    assert "kubectl apply -f examples/quickstart.yaml" in notes
    assert "all namespaces" in notes


def test_an_upgrade_leaves_runs_alone(release: Helm, kubectl: Kubectl) -> None:
    team = kubectl.within("team-a")
    before = team.get(CRD, "kept")
    job = team.run("create", "job", "kept-0", "--image=trainer", "--", "train")
    assert "created" in job
    children = team.get("jobs", "kept-0")["metadata"]
    release.install("vistrain", "vistrain-system", {**IDLE, "logLevel": "debug", "workers": 2})
    operator = kubectl.within("vistrain-system").get("deployment", "vistrain")
    assert "--workers=2" in operator["spec"]["template"]["spec"]["containers"][0]["args"]
    assert team.get(CRD, "kept") == before
    after = team.get("jobs", "kept-0")["metadata"]
    assert (after["uid"], after["generation"]) == (children["uid"], children["generation"])


def test_an_upgrade_brings_the_new_crd(release: Helm, kubectl: Kubectl, tmp_path: Path) -> None:
    """Helm never upgrades what lies in a chart's folder crds/; here the CRD is a template."""
    uid = run_uid(kubectl)
    newer = shutil.copytree(CHART, tmp_path / "chart")
    [template] = (newer / "templates" / "crds").glob("*.yaml")
    template.write_text(template.read_text().replace("description: What is trained.", "description: Newer."))
    release.install("vistrain", "vistrain-system", IDLE, chart=newer)
    [version] = kubectl.get("crd", CRD)["spec"]["versions"]
    assert "Newer." in [column.get("description") for column in version["additionalPrinterColumns"]]
    assert run_uid(kubectl) == uid
    release.run("rollback", "vistrain", "--namespace", "vistrain-system")
    [version] = kubectl.get("crd", CRD)["spec"]["versions"]
    assert "Newer." not in [column.get("description") for column in version["additionalPrinterColumns"]]
    assert run_uid(kubectl) == uid


def test_a_second_release_beside_it(release: Helm, kubectl: Kubectl) -> None:
    watching = {**IDLE, "watchNamespaces": ["team-b"]}
    with pytest.raises(HelmError, match=r"CustomResourceDefinition .* exists and cannot be imported"):
        release.install("other", "team-b", watching)
    release.install("other", "team-b", {**watching, "crds": {"install": False}})
    assert kubectl.within("team-b").find("rolebinding", "team-b:other-vistrain")
    release.uninstall("other", "team-b")
    assert kubectl.find("clusterrolebinding", "vistrain-system:vistrain")
    assert kubectl.find("crd", CRD)


def test_uninstalling_keeps_the_runs(release: Helm, kubectl: Kubectl) -> None:
    uid = run_uid(kubectl)
    release.uninstall("vistrain", "vistrain-system")
    left = kubectl.run("get", "deployments,roles,services", "--namespace", "vistrain-system", "-o", "name")
    assert left == ""
    assert not kubectl.find("clusterrole", "vistrain-system:vistrain")
    assert run_uid(kubectl) == uid


def test_installing_again_takes_the_crd_up(release: Helm, kubectl: Kubectl) -> None:
    uid = run_uid(kubectl)
    release.install("vistrain", "vistrain-system", IDLE)
    assert run_uid(kubectl) == uid

"""Claims get volumes that pods of every node may write, and lose them with the claim."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from vistrain_devcluster import provisioner
from vistrain_devcluster.api import wait_until
from vistrain_devcluster.cluster import Cluster
from vistrain_devcluster.config import ClusterConfig

SECONDS = 60.0
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
PODS = "/api/v1/namespaces/default/pods"
PROBE_IMAGE = "vistrain.local/probe:test"


def test_the_program_serves_the_clusters_own_folder() -> None:
    config = ClusterConfig(state_root=Path("/state"))
    program = provisioner.program(config, Path("/bin"))
    assert program.command == [
        "/bin/volume-provisioner",
        "-kubeconfig=/state/vistrain/admin.kubeconfig",
        "-root=/state/vistrain/volumes",
        "-class=standard",
    ]


def claim(cluster: Cluster, modes: list[str], **spec: Any) -> str:
    """Creates a claim; its name."""
    name = f"claim-{uuid.uuid4().hex[:8]}"
    whole = {"accessModes": modes, "resources": {"requests": {"storage": "1Gi"}}, **spec}
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": whole,
    }
    cluster.api.call("POST", CLAIMS, body)
    return name


def bound(cluster: Cluster, name: str) -> dict[str, Any]:
    """The volume that the claim is bound to, once it is."""

    def reached() -> bool:
        return bool(cluster.api.get(f"{CLAIMS}/{name}")["status"]["phase"] == "Bound")

    wait_until(f"claim {name} is bound", reached, SECONDS, "")
    volume = cluster.api.get(f"{CLAIMS}/{name}")["spec"]["volumeName"]
    found: dict[str, Any] = cluster.api.get(f"/api/v1/persistentvolumes/{volume}")
    return found


def restricted_pod(cluster: Cluster, node: str, claimed: str, args: list[str], group: int | None) -> str:
    """A pod as Pod Security "restricted" wants it, the claim at /data."""
    name = f"probe-{uuid.uuid4().hex[:8]}"
    security: dict[str, Any] = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if group is not None:
        security |= {"fsGroup": group, "fsGroupChangePolicy": "OnRootMismatch"}
    container = {
        "name": "probe",
        "image": PROBE_IMAGE,
        "args": args,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "securityContext": security,
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claimed}}],
    }
    cluster.api.call(
        "POST", PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    )
    return name


@pytest.mark.cluster
def test_restricted_pods_of_both_nodes_share_a_volume_through_their_group(
    cluster: Cluster, pods: Any
) -> None:
    name = claim(cluster, ["ReadWriteMany"])
    folder = Path(bound(cluster, name)["spec"]["local"]["path"])
    assert folder.parent == provisioner.root(cluster.config)
    writer = restricted_pod(cluster, "node-a", name, ["write", "/data/note", "from node-a"], 65532)
    pods.wait_log(writer, "written")
    reader = restricted_pod(cluster, "node-b", name, ["read", "/data/note"], 65532)
    assert "from node-a" in pods.wait_log(reader, "from node-a")
    # Files are the group's, so a pod of another user in that group may go on with them.
    assert folder.stat().st_gid == (folder / "note").stat().st_gid == 65532
    assert (folder / "note").stat().st_uid == 65532
    for pod in (writer, reader):
        pods.delete(pod)


@pytest.mark.cluster
def test_a_pod_that_is_not_root_and_names_no_group_cannot_write(cluster: Cluster, pods: Any) -> None:
    name = claim(cluster, ["ReadWriteOnce"])
    bound(cluster, name)
    pod = restricted_pod(cluster, "node-a", name, ["write", "/data/note", "x"], None)
    pods.wait_phase(pod, "Failed")
    assert "permission denied" in pods.log(pod)
    pods.delete(pod)


@pytest.mark.cluster
def test_a_volume_goes_with_its_claim_but_not_before_its_pod(cluster: Cluster, pods: Any) -> None:
    name = claim(cluster, ["ReadWriteOnce"])
    volume = bound(cluster, name)
    folder = Path(volume["spec"]["local"]["path"])
    pod = restricted_pod(cluster, "node-b", name, ["write", "/data/note", "kept"], 65532)
    pods.wait_log(pod, "written")
    cluster.api.delete(f"{CLAIMS}/{name}")
    assert cluster.api.get(f"{CLAIMS}/{name}")["metadata"]["deletionTimestamp"]
    assert (folder / "note").read_text() == "kept"
    pods.delete(pod)
    path = f"/api/v1/persistentvolumes/{volume['metadata']['name']}"
    wait_until("the volume is gone", lambda: not cluster.api.exists(path), SECONDS, "")
    assert not folder.exists()


@pytest.mark.cluster
def test_a_claim_that_cannot_be_served_says_why(cluster: Cluster) -> None:
    name = claim(cluster, ["ReadWriteOnce"], selector={"matchLabels": {"disk": "fast"}})

    def messages() -> list[str]:
        query = f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name}"
        return [str(event["message"]) for event in cluster.api.get(query)["items"]]

    def said() -> bool:
        return any("spec.selector is not supported: remove it" in message for message in messages())

    wait_until("an event names the field", said, SECONDS, "")
    cluster.api.delete(f"{CLAIMS}/{name}")


@pytest.mark.cluster
def test_the_class_is_the_default_and_survives_a_restart(cluster: Cluster) -> None:
    path = f"/apis/storage.k8s.io/v1/storageclasses/{provisioner.STORAGE_CLASS}"
    before = cluster.api.get(path)
    assert before["provisioner"] == provisioner.NAME
    assert before["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    cluster.supervisor.stop("provisioner")
    waiting = claim(cluster, ["ReadWriteMany"])
    cluster.supervisor.start("provisioner")
    bound(cluster, waiting)
    assert cluster.api.get(path)["metadata"]["uid"] == before["metadata"]["uid"]
    cluster.api.delete(f"{CLAIMS}/{waiting}")

"""The dev cluster is a real Kubernetes: pods, logs, exec, evictions, out of memory, slices, dead nodes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vistrain_devcluster import status
from vistrain_devcluster.api import ApiError, wait_until
from vistrain_devcluster.cluster import Cluster
from vistrain_devcluster.device_plugin.server import slice_ids

pytestmark = pytest.mark.cluster
SECONDS = 60.0


def test_up_again_says_that_it_is_up(cluster: Cluster) -> None:
    said: list[str] = []
    Cluster(cluster.config, said.append).up()
    assert said == ["the cluster is already up"]


@pytest.mark.parametrize("node", ["node-a", "node-b"])
def test_a_pod_runs_on_each_node_and_reaches_the_api_server(cluster: Cluster, pods: Any, node: str) -> None:
    name = pods.create(["dial", "10.0.0.1:443"], node=node)
    assert "connected" in pods.wait_log(name, "connected")
    assert pods.get(name)["spec"]["nodeName"] == node
    pods.delete(name)


def test_pods_of_both_nodes_and_the_machine_reach_each_other(cluster: Cluster, pods: Any) -> None:
    # The kubelet's port on the other node: pods are routed across nodes, in both directions.
    for here, there in (("node-a", 2), ("node-b", 1)):
        name = pods.create(["dial", f"{cluster.config.node_address(there).ip}:10250"], node=here)
        pods.wait_log(name, "connected")
        pods.delete(name)


def test_a_pod_finds_a_service_by_its_name(pods: Any) -> None:
    name = pods.create(["dial", "kubernetes.default.svc:443"])
    pods.wait_log(name, "connected")
    events = pods.api.get(f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name}")[
        "items"
    ]
    assert [event["reason"] for event in events if event["type"] == "Warning"] == []
    pods.delete(name)


def test_exec_works(cluster: Cluster, pods: Any) -> None:
    name = pods.create(["tick"], node="node-a")
    pods.wait_log(name, "1\n")
    done = subprocess.run(
        [
            str(cluster.config.cache / "bin" / "kubectl"),
            f"--kubeconfig={cluster.config.kubeconfig}",
            "exec",
            name,
            "--",
            "/probe",
            "eat",
            "x",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "invalid syntax" in done.stderr
    pods.delete(name)


def test_the_eviction_api_ends_a_pod_with_sigterm(pods: Any) -> None:
    name = pods.create(["tick"], grace=20)
    pods.wait_log(name, "1\n")
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    # A finalizer keeps the pod's end readable.
    patch = {"metadata": {"finalizers": ["vistrain.dev/test"]}}
    path = f"/api/v1/namespaces/default/pods/{name}"
    pods.api.call("PATCH", path, patch, "application/merge-patch+json")
    pods.api.call("POST", f"{path}/eviction", body)
    ended = pods.wait_phase(name, "Failed")
    conditions = {c["type"]: c["reason"] for c in ended["status"]["conditions"] if "reason" in c}
    assert conditions["DisruptionTarget"] == "EvictionByEvictionAPI"
    assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 75
    pods.api.call("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    wait_until("the pod is gone", lambda: pods.gone(name), SECONDS, "")


def test_a_pod_over_its_memory_limit_is_killed_by_the_kernel(pods: Any) -> None:
    name = pods.create(["eat", "256"], limits={"memory": "48Mi"})
    ended = pods.wait_phase(name, "Failed")
    state = ended["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)
    pods.delete(name)


def test_a_slice_is_allocated_with_the_stand_in_variable(pods: Any) -> None:
    name = pods.create(["env"], limits={"nvidia.com/mig-3g.40gb": "1"})
    log = pods.wait_log(name, "end of environment")
    assert "VISTRAIN_STANDIN_DEVICE=cpu" in log.splitlines()
    assert f"NVIDIA_VISIBLE_DEVICES={slice_ids('node-b', '3g.40gb', 1)[0]}" in log.splitlines()
    assert pods.get(name)["spec"]["nodeName"] == "node-b"
    # The only one is taken: the next pod waits, and runs when the first is gone.
    second = pods.create(["env"], limits={"nvidia.com/mig-3g.40gb": "1"})

    def refused() -> bool:
        conditions = pods.get(second)["status"].get("conditions", [])
        return any(
            c["type"] == "PodScheduled" and "Insufficient nvidia.com/mig-3g.40gb" in c.get("message", "")
            for c in conditions
        )

    wait_until("the second pod is refused a slice", refused, SECONDS, "")
    pods.delete(name)
    pods.wait_log(second, "end of environment")
    pods.delete(second)


def test_a_pod_without_a_slice_has_no_stand_in_variable(pods: Any) -> None:
    name = pods.create(["env"])
    assert "VISTRAIN_STANDIN_DEVICE" not in pods.wait_log(name, "end of environment")
    pods.delete(name)


def test_nodes_are_labelled_as_gpu_feature_discovery_does(cluster: Cluster) -> None:
    labels = cluster.api.get("/api/v1/nodes/node-a")["metadata"]["labels"]
    assert labels["nvidia.com/mig.strategy"] == "mixed"
    assert labels["nvidia.com/mig-1g.20gb.count"] == "2"
    assert labels["nvidia.com/mig-1g.20gb.product"].endswith("-MIG-1g.20gb")


def test_pod_security_is_enforced(cluster: Cluster, pods: Any) -> None:
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "strict",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    cluster.api.call("POST", "/api/v1/namespaces", namespace)
    account = "/api/v1/namespaces/strict/serviceaccounts/default"
    wait_until("its service account is made", lambda: cluster.api.exists(account), SECONDS, "")
    spec = {"containers": [{"name": "x", "image": "x", "securityContext": {"privileged": True}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    with pytest.raises(ApiError, match=r"violates PodSecurity .*restricted") as refused:
        cluster.api.call("POST", "/api/v1/namespaces/strict/pods", pod)
    assert refused.value.status == 403
    cluster.api.delete("/api/v1/namespaces/strict")


def test_the_audit_log_tells_who_did_what(cluster: Cluster, pods: Any) -> None:
    name = pods.create(["env"])
    pods.wait_log(name, "end of environment")
    pods.delete(name)
    line = next(line for line in cluster.config.audit_log.read_text().splitlines() if name in line)
    assert re.search(r'"user":\{"username":"admin"', line)
    assert '"authorization.k8s.io/decision":"allow"' in line


def test_a_crashed_kubelet_is_started_again_and_offers_its_slices(cluster: Cluster, pods: Any) -> None:
    node = cluster.node("node-a")
    before = next(p for p in node.supervisor.programs() if p["name"] == "kubelet")
    node.registered.unlink()
    subprocess.run(node.command(["kill", "-9", str(before["pid"])]), check=True)

    def again() -> bool:
        now = next(p for p in node.supervisor.programs() if p["name"] == "kubelet")
        return bool(now["statename"] == "RUNNING" and now["pid"] != before["pid"])

    wait_until("the kubelet is back", again, SECONDS, "")
    # A kubelet that starts forgets its plugins; ours registers anew, so a pod gets a slice.
    wait_until("it knows its slices", node.registered.exists, SECONDS, "")
    name = pods.create_admitted(["env"], node="node-a", limits={"nvidia.com/mig-1g.10gb": "1"})
    pods.wait_log(name, "end of environment")
    pods.delete(name)


def _ready(cluster: Cluster, name: str) -> bool:
    return cluster.api.nodes()[name]


def test_a_killed_node_takes_its_pods_along_and_comes_back(cluster: Cluster, pods: Any) -> None:
    name = pods.create(["tick"], node="node-a")
    pods.wait_log(name, "1\n")
    group = cluster.config.node_cgroup("node-a")
    assert cluster.cgroups.processes(group)
    cluster.kill_node("node-a")
    assert cluster.cgroups.processes(group) == set()
    wait_until("the node is NotReady", lambda: not _ready(cluster, "node-a"), SECONDS, "")
    wait_until(
        "its pod is being deleted", lambda: "deletionTimestamp" in pods.get(name)["metadata"], SECONDS, ""
    )
    # Nobody can confirm the pod's end: it stays.
    assert not pods.gone(name)
    state = {s.spec.name: s.state for s in status.nodes(cluster)}
    assert state["node-a"] == "NotReady (killed)"
    cluster.start_node("node-a")
    assert _ready(cluster, "node-a")
    wait_until("the pod is gone", lambda: pods.gone(name), SECONDS, "")
    other = pods.create(["env"], node="node-a")
    pods.wait_log(other, "end of environment")
    pods.delete(other)


def test_up_starts_a_node_whose_process_1_died(cluster: Cluster, pods: Any) -> None:
    node = cluster.node("node-b")
    os.kill(node.init_pid(), signal.SIGKILL)
    wait_until("the node is down", lambda: not node.supervisor.alive(), SECONDS, "")
    said: list[str] = []
    Cluster(cluster.config, said.append).up()
    assert said == ["the cluster is already up", "starting node-b", "ready: node-a, node-b"]
    name = pods.create_admitted(["env"], node="node-b", limits={"nvidia.com/mig-3g.40gb": "1"})
    pods.wait_log(name, "end of environment")
    pods.delete(name)


def test_a_node_that_is_cut_off_runs_on(cluster: Cluster, pods: Any) -> None:
    name = pods.create(["tick"], node="node-b")
    pods.wait_log(name, "1\n")
    logs = cluster.config.node_state("node-b") / "pod-logs"
    log = next(logs.glob(f"default_{name}_*/probe/0.log"))
    cluster.cut_node("node-b")
    wait_until("the node is NotReady", lambda: not _ready(cluster, "node-b"), SECONDS, "")
    wait_until(
        "its pod is being deleted", lambda: "deletionTimestamp" in pods.get(name)["metadata"], SECONDS, ""
    )
    size = log.stat().st_size
    wait_until("the container goes on writing", lambda: log.stat().st_size > size, SECONDS, "")
    assert {s.spec.name: s.state for s in status.nodes(cluster)}["node-b"] == "NotReady (cut off)"
    cluster.heal_node("node-b")
    wait_until("the node is Ready", lambda: _ready(cluster, "node-b"), SECONDS, "")
    wait_until("the pod is gone", lambda: pods.gone(name), SECONDS, "")


def test_a_node_is_added(cluster: Cluster, pods: Any, probe_archive: Path) -> None:
    cluster.add_node("node-c", {"7g.80gb": 1})
    assert cluster.api.allocatable("node-c")["nvidia.com/mig-7g.80gb"] == "1"
    cluster.node("node-c").import_image(probe_archive)
    name = pods.create(["dial", "10.0.0.1:443"], node="node-c")
    pods.wait_log(name, "connected")
    pods.delete(name)
    with pytest.raises(RuntimeError, match="'node-c' already"):
        cluster.add_node("node-c", {})

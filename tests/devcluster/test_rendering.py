"""What the cluster's files say: supervisord, containerd, CNI, kubelet, audit policy."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from vistrain_devcluster import control_plane, dns, node_files
from vistrain_devcluster.cgroups import Cgroups
from vistrain_devcluster.config import DEFAULT_NODES, ClusterConfig, NodeSpec
from vistrain_devcluster.launcher import node_script
from vistrain_devcluster.node import node_programs
from vistrain_devcluster.supervision import Program, render

NODE = DEFAULT_NODES[0]


@pytest.fixture
def config(tmp_path: Path) -> ClusterConfig:
    return ClusterConfig(state_root=tmp_path / "state", cache=tmp_path / "cache")


def test_supervisord_reads_back_what_was_meant(tmp_path: Path) -> None:
    command = ["/bin/echo", "100%", "two words", "a;b", "--key=it's", "%(here)s"]
    program = Program("odd", command, environment={"KEY": "a,l%ue"}, stop_seconds=7, restart=False)
    file = tmp_path / "supervisord.conf"
    file.write_text(render([program], socket=tmp_path / "s.sock", logs=tmp_path, name="test"))
    options = ServerOptions()
    options.realize(["-c", str(file)], doc="")
    (read,) = options.process_group_configs[0].process_configs
    assert shlex.split(read.command) == command
    assert read.environment == {"KEY": "a,l%ue"}
    assert (read.stopwaitsecs, read.autorestart, read.autostart) == (7, False, True)


@pytest.mark.parametrize("word", ['a "quoted" word', "back\\slash", "two\nlines", "a ;comment", "a #comment"])
def test_what_supervisord_cannot_hold_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(ValueError, match="supervisord's configuration cannot hold"):
        render([Program("odd", ["echo", word])], socket=tmp_path / "s", logs=tmp_path, name="test")


def test_programs_stop_in_the_reverse_order_of_their_start(config: ClusterConfig) -> None:
    order = {p.name: p.priority for p in control_plane.programs(config, Path("/bin"))}
    assert order["etcd"] < order["kube-apiserver"] < order["kube-scheduler"]
    node = {p.name: p.priority for p in node_programs(config, NODE, Path("/bin"), "python")}
    assert node["containerd"] < node["kubelet"] < node["device-plugin"]


def test_the_api_server_has_time_to_drain(config: ClusterConfig) -> None:
    server = control_plane.api_server(config, Path("/bin"))
    assert server.stop_seconds > 60
    assert "--authorization-mode=Node,RBAC" in server.command


def test_a_node_without_slices_has_no_device_plugin(config: ClusterConfig) -> None:
    names = [p.name for p in node_programs(config, NodeSpec("plain", 3), Path("/bin"), "python")]
    assert names == ["containerd", "kubelet", "kube-proxy"]
    assert node_files.node_labels(NodeSpec("plain", 3)) == {}


def test_containerd_is_the_nodes_own(config: ClusterConfig) -> None:
    first, second = (tomllib.loads(node_files.containerd_config(config, node.name)) for node in DEFAULT_NODES)
    assert first["root"] != second["root"]
    cri = first["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["restrict_oom_score_adj"] is True
    assert cri["sandbox_image"] == node_files.PAUSE_IMAGE
    assert cri["registry"]["config_path"] == str(config.registry_config)


def test_every_registry_is_mirrored_by_the_local_one(config: ClusterConfig) -> None:
    hosts = {name: tomllib.loads(text) for name, text in node_files.registry_hosts(config).items()}
    assert set(hosts) == {"10.240.0.1:5000", "_default"}
    for content in hosts.values():
        assert list(content["host"]) == ["http://10.240.0.1:5000"]


def test_pods_get_addresses_of_their_nodes_subnet(config: ClusterConfig) -> None:
    plugins = json.loads(node_files.cni_config(config, NODE))["plugins"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert plugins[0]["ipam"]["dataDir"].startswith("/run/")


@pytest.mark.parametrize("version_one", [True, False])
def test_the_kubelet_accepts_both_versions_of_control_groups(
    config: ClusterConfig, version_one: bool
) -> None:
    kubelet = node_files.kubelet_config(config, NODE, cgroup_v1=version_one)
    assert kubelet["failCgroupV1"] is (False if version_one else None)
    assert kubelet["cgroupRoot"] == "/vistrain-devcluster/node-a"
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}


def test_a_dead_node_is_noticed_before_its_lease_is_overdue_twice(config: ClusterConfig) -> None:
    lease = node_files.kubelet_config(config, NODE, cgroup_v1=True)["nodeLeaseDurationSeconds"]
    # The kubelet renews at a quarter of the lease.
    assert lease / 4 * 3 < control_plane.NODE_MONITOR_GRACE_SECONDS


def test_labels_follow_the_slices() -> None:
    labels = node_files.node_labels(NodeSpec("n", 1, {"1g.10gb+me": 1}))
    assert labels["nvidia.com/mig-1g.10gb.me.count"] == "1"
    assert labels["nvidia.com/mig-1g.10gb.me.memory"] == "10240"


def test_the_audit_policy_keeps_what_an_operator_does() -> None:
    last = control_plane.AUDIT_POLICY["rules"][-1]
    assert last == {"level": "Metadata"}
    left_out = [rule for rule in control_plane.AUDIT_POLICY["rules"] if rule["level"] == "None"]
    assert not any("system:serviceaccounts" in rule.get("userGroups", []) for rule in left_out)


def test_the_nodes_script_can_be_read_and_run(config: ClusterConfig, tmp_path: Path) -> None:
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "cgroup" / "cgroup.controllers").touch()
    script = node_script(
        config, Cgroups(tmp_path / "cgroup"), "node-a", {"/var/lib/kubelet": Path("/a b")}, ["run", "it now"]
    )
    boot = (config.node_state("node-a") / "boot.sh").read_text()
    assert script.stat().st_mode & 0o111
    assert "mount --bind '/a b' /var/lib/kubelet" in boot
    assert boot.rstrip().endswith("exec run 'it now'")
    assert "nsenter --net=/run/netns/vistrain-node-a" in script.read_text()


def test_pods_ask_the_bridge_for_names(config: ClusterConfig) -> None:
    kubelet = node_files.kubelet_config(config, NODE, cgroup_v1=True)
    assert kubelet["clusterDNS"] == ["10.240.0.1"]
    assert kubelet["clusterDomain"] == dns.DOMAIN
    text = dns.corefile(config, Path("/k"))
    assert "cluster.local:53 {" in text
    assert "bind 10.240.0.1\n" in text
    assert text.count("{") == text.count("}")


def test_dns_may_only_read_what_names_are_made_of() -> None:
    role, binding = dns.rights()
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list", "watch"}
    assert "secrets" not in {resource for rule in role["rules"] for resource in rule["resources"]}
    assert binding["subjects"][0]["name"] == dns.USER

"""``down`` leaves nothing on the machine, also after the supervisor was killed or ``up`` was interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from vistrain_devcluster import network
from vistrain_devcluster.api import wait_until
from vistrain_devcluster.cgroups import Cgroups
from vistrain_devcluster.cluster import Cluster
from vistrain_devcluster.config import DEFAULT_NODES, ClusterConfig
from vistrain_devcluster.ledger import Ledger

pytestmark = pytest.mark.cluster


def remains(config: ClusterConfig) -> dict[str, list[str]]:
    """Everything on the machine that carries the cluster's name."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    namespaces, links = network.leftovers(config)
    cgroups = [str(p) for p in Path("/sys/fs/cgroup").glob(f"**/{config.cgroup.strip('/')}*")]
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != os.getpid() and str(config.state) in " ".join(process.info["cmdline"] or []):
            processes.append(f"{process.pid} {process.info['cmdline']}")
    return {
        "mounts": [line for line in mounts if str(config.state) in line or f"/{config.name}-" in line],
        "namespaces": namespaces,
        "links": links,
        "cgroups": cgroups,
        "processes": processes,
        "state": [str(p) for p in config.state_root.glob("*")],
    }


def machine() -> dict[str, str]:
    """What the machine itself has: it must be as it was."""

    def said(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return {
        "links": said("ip", "-brief", "link", "show", "type", "bridge")
        + said("ip", "-o", "link", "show", "eth0"),
        "routes": "\n".join(line for line in said("ip", "route").splitlines() if "10.25" in line),
        "iptables": "\n".join(
            line for line in said("iptables-save").splitlines() if not line.startswith(("#", ":"))
        ),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "cgroup mounts": said("findmnt", "--noheadings", "--types", "cgroup,cgroup2", "--output", "TARGET"),
    }


@pytest.fixture
def fresh(own_cluster_config: ClusterConfig) -> Iterator[Cluster]:
    cluster = Cluster(own_cluster_config, report=lambda _: None)
    cluster.down(keep_images=False)
    yield cluster
    cluster.down(keep_images=False)


def nothing_left(config: ClusterConfig) -> None:
    assert remains(config) == {
        kind: [] for kind in ("mounts", "namespaces", "links", "cgroups", "processes", "state")
    }


def test_down_leaves_nothing_and_keeps_the_images(fresh: Cluster, probe_archive: Path) -> None:
    before = machine()
    fresh.up()
    assert remains(fresh.config)["processes"], "the check sees a cluster that is up"
    fresh.node("node-a").import_image(probe_archive)
    fresh.down()
    nothing_left(fresh.config)
    assert machine() == before
    fresh.up()
    assert "vistrain.local/probe:test" in fresh.node("node-a").images()
    assert "vistrain.local/probe:test" not in fresh.node("node-b").images()


def test_down_after_the_supervisor_was_killed(fresh: Cluster) -> None:
    before = machine()
    fresh.up()
    os.kill(int(fresh.config.supervisor_socket.with_suffix(".pid").read_text()), signal.SIGKILL)
    assert remains(fresh.config)["processes"], "nodes and control plane outlive their supervisor"
    fresh.down(keep_images=False)
    nothing_left(fresh.config)
    assert machine() == before


def test_up_after_the_supervisor_was_killed_takes_the_state_up_again(fresh: Cluster) -> None:
    fresh.up()
    fresh.api.call(
        "POST",
        "/api/v1/namespaces/default/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}},
    )
    os.kill(int(fresh.config.supervisor_socket.with_suffix(".pid").read_text()), signal.SIGKILL)
    fresh.up()
    assert fresh.api.exists("/api/v1/namespaces/default/configmaps/kept")
    assert fresh.api.nodes() == {"node-a": True, "node-b": True}


def test_down_after_up_was_interrupted(fresh: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine()

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fresh, "_start_nodes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fresh.up()
    assert remains(fresh.config)["processes"]
    Cluster(fresh.config, report=lambda _: None).down(keep_images=False)
    nothing_left(fresh.config)
    assert machine() == before


def test_down_without_the_record_finds_by_name(fresh: Cluster) -> None:
    fresh.up()
    fresh.ledger.forget()
    fresh.down(keep_images=False)
    nothing_left(fresh.config)


def test_down_without_a_cluster_does_nothing(fresh: Cluster) -> None:
    fresh.down()
    nothing_left(fresh.config)
    assert not fresh.config.state_root.exists()


@pytest.mark.parametrize("root", ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"])
def test_a_real_group_is_made_killed_and_removed(root: str) -> None:
    # On a hybrid machine the second is a real v2 hierarchy, though without controllers.
    if not Path(root, "cgroup.procs").exists() and not any(Path(root).glob("*/cgroup.procs")):
        root = "/sys/fs/cgroup"
    cgroups = Cgroups(Path(root))
    group = "/vdctest-group/node/system"
    cgroups.make(group)
    script = f"{cgroups.enter_command(group)}; sleep 600 & exec setsid sleep 600"
    with subprocess.Popen(["sh", "-c", script]) as process:
        wait_until("both are in", lambda: len(cgroups.processes("/vdctest-group")) == 2, 20, "")
        assert cgroups.kill("/vdctest-group") == 2
        assert process.wait(20) == -signal.SIGKILL
    cgroups.remove("/vdctest-group")
    assert cgroups.left("/vdctest-group") == []


def test_the_bridge_keeps_its_address_when_a_node_goes(own_cluster_config: ClusterConfig) -> None:
    # A bridge that takes its ports' address loses it with the port: every neighbour's entry would be stale.
    config, ledger = own_cluster_config, Ledger(own_cluster_config)

    def address() -> str:
        command = ["ip", "-netns", config.control_netns, "-json", "link", "show", network.BRIDGE]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return str(json.loads(done.stdout)[0]["address"])

    try:
        network.make_control(config, ledger)
        before = address()
        for node in DEFAULT_NODES:
            network.make_node(config, ledger, node, list(DEFAULT_NODES))
            assert address() == before
            network.remove_node(config, node.name, node.index)
            assert address() == before
    finally:
        Cluster(config, report=lambda _: None).down()
    nothing_left(config)


FIRST_CLUSTER = """
import sys
from pathlib import Path
from vistrain_devcluster import network
from vistrain_devcluster.cluster import Cluster
from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.mounts import mount_points

config = ClusterConfig(name="vdcfirst", state_root=Path(sys.argv[1]), cache=Path(sys.argv[2]))
cluster = Cluster(config, report=lambda _: None)
network.make_control(config, cluster.ledger)
print("while up", "/run/netns" in mount_points())
cluster.down()
print("after", [str(p) for p in Path("/run").glob("netns/*")], "/run/netns" in mount_points())
"""


def test_the_first_cluster_of_a_machine_leaves_no_mount(tmp_path: Path) -> None:
    # A machine of its own: no named namespaces, an empty /run, an empty network.
    script = 'umount --recursive /run/netns 2>&- || true; mount -t tmpfs tmpfs /run && exec "$@"'
    machine_of_its_own = ["unshare", "--mount", "--net", "sh", "-c", script, "-"]
    program = [sys.executable, "-c", FIRST_CLUSTER, str(tmp_path / "state"), str(tmp_path / "cache")]
    done = subprocess.run([*machine_of_its_own, *program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["while up True", "after [] False"], done.stderr

"""Configuration files of a node: containerd, CNI, kubelet, kube-proxy."""

from __future__ import annotations

import json
from typing import Any

import yaml

from vistrain_devcluster import pki
from vistrain_devcluster.cgroups import Cgroups
from vistrain_devcluster.config import ClusterConfig, NodeSpec
from vistrain_devcluster.kubeconfig import write_kubeconfig

PAUSE_IMAGE = "vistrain.local/pause:1"
CNI_PLUGINS = "/usr/lib/cni"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


def containerd_config(config: ClusterConfig, node: str) -> str:
    """containerd's ``config.toml`` (version 2)."""
    return f"""\
version = 2
root = "{config.node_images(node)}"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE no process may lower its score; sandboxes would fail to start.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_hugetlb_controller = true

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    discard_unpacked_layers = false

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "runc"
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{config.node_state(node) / "cni"}"

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{config.registry_config}"
"""


def registry_hosts(config: ClusterConfig) -> dict[str, str]:
    """containerd's ``hosts.toml`` files by folder: the local registry, also as a mirror of all others."""
    host = f'[host."http://{config.registry}"]\n  capabilities = ["pull", "resolve"]\n'
    return {
        config.registry: f'server = "http://{config.registry}"\n\n{host}',
        "_default": host,
    }


def cni_config(config: ClusterConfig, node: NodeSpec) -> str:
    """CNI's configuration: each pod a routed cable, addresses from the node's own subnet."""
    return json.dumps(
        {
            "cniVersion": "0.4.0",
            "name": "vistrain",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "mtu": 1500,
                    "ipam": {
                        "type": "host-local",
                        # Below /run: a node that dies forgets the addresses it gave out.
                        "dataDir": "/run/cni",
                        "ranges": [[{"subnet": str(config.pod_subnet(node.index))}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        },
        indent=1,
    )


def kubelet_config(config: ClusterConfig, node: NodeSpec, *, cgroup_v1: bool) -> dict[str, Any]:
    """``KubeletConfiguration`` of a node."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(config.node_address(node.index).ip),
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(config.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(config.pki / f"kubelet-{node.name}.crt"),
        "tlsPrivateKeyFile": str(config.pki / f"kubelet-{node.name}.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": config.node_cgroup(node.name),
        "failCgroupV1": False if cgroup_v1 else None,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "resolvConf": "",
        "clusterDNS": [str(config.gateway.ip)],
        "clusterDomain": "cluster.local",
        # A dead node is noticed by its lease, renewed at a quarter of this.
        "nodeLeaseDurationSeconds": 8,
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "10s",
        "syncFrequency": "10s",
        # The machine's disk and memory are shared with everything else on it.
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "imageMinimumGCAge": "1h",
        "serializeImagePulls": False,
        "maxPods": 110,
        "shutdownGracePeriod": "0s",
        "volumePluginDir": "/var/lib/kubelet/plugins-exec",
        "podLogsDir": str(config.node_state(node.name) / "pod-logs"),
        "logging": {"verbosity": 2},
    }


def kube_proxy_config(config: ClusterConfig, node: NodeSpec) -> dict[str, Any]:
    """``KubeProxyConfiguration`` of a node."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": str(config.pod_network),
        "clientConnection": {"kubeconfig": str(config.node_state(node.name) / "kube-proxy.kubeconfig")},
        "hostnameOverride": node.name,
        "bindAddress": str(config.node_address(node.index).ip),
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        # The machine's connection table is not ours to size.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "100ms"},
    }


def node_labels(node: NodeSpec) -> dict[str, str]:
    """Labels as NVIDIA's GPU feature discovery sets them for the ``mixed`` strategy, per profile offered."""
    if not node.mig:
        return {}
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
        "nvidia.com/gpu.family": "ampere",
        "nvidia.com/gpu.memory": "81920",
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "mixed",
    }
    for profile, count in node.mig.items():
        key = f"nvidia.com/mig-{profile.replace('+', '.')}"
        memory = int(profile.split(".")[1].split("gb")[0]) * 1024
        labels |= {
            f"{key}.count": str(count),
            f"{key}.product": f"NVIDIA-A100-SXM4-80GB-MIG-{profile.replace('+', '.')}",
            f"{key}.memory": str(memory),
        }
    return labels


def write_node_files(config: ClusterConfig, node: NodeSpec, cgroups: Cgroups) -> None:
    """Writes certificates, kubeconfigs and configuration of a node into its state folder."""
    state = config.node_state(node.name)
    for folder in ("cni", "kubelet", "pod-logs", "container-logs", "logs"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "kubelet" / "device-plugins").mkdir(exist_ok=True)
    config.node_images(node.name).mkdir(parents=True, exist_ok=True)
    pki.write_node(config, node.name, str(config.node_address(node.index).ip))
    write_kubeconfig(config, f"kubelet-{node.name}", state / "kubelet.kubeconfig")
    write_kubeconfig(config, "kube-proxy", state / "kube-proxy.kubeconfig")
    (state / "containerd.toml").write_text(containerd_config(config, node.name))
    (state / "cni" / "10-vistrain.conflist").write_text(cni_config(config, node))
    kubelet = kubelet_config(config, node, cgroup_v1=not cgroups.unified)
    (state / "kubelet.yaml").write_text(
        yaml.safe_dump({k: v for k, v in kubelet.items() if v is not None}, sort_keys=False)
    )
    proxy = yaml.safe_dump(kube_proxy_config(config, node), sort_keys=False)
    proxy_file = state / "kube-proxy.yaml"
    # kube-proxy ends itself whenever its file is written, also with what it held before.
    if not proxy_file.exists() or proxy_file.read_text() != proxy:
        proxy_file.write_text(proxy)
    for host, content in registry_hosts(config).items():
        hosts = config.registry_config / host
        hosts.mkdir(parents=True, exist_ok=True)
        (hosts / "hosts.toml").write_text(content)

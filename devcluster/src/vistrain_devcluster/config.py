"""Names, addresses and folders of one dev cluster.

Everything that the cluster makes on the machine carries a name that follows from :class:`ClusterConfig`,
so what a crash left behind can be found again without the process that made it.

Environment:

``VISTRAIN_CACHE``
    Binaries, image content (default ``~/.cache/vistrain``). Survives ``down``.
``VISTRAIN_STATE``
    Certificates, etcd's data, kubelet folders, logs (default ``/var/lib/vistrain-devcluster``); ``down``
    empties it.
``VISTRAIN_CLUSTER``
    The cluster's name, at most 8 characters (default ``vistrain``); a second cluster beside the first needs
    another name and another network.
``VISTRAIN_NETWORK``
    First two octets of the machine network and of the pod network (default ``10.240,10.244``).
``VISTRAIN_FREE_GB``
    Disk that must be free before a cluster is begun (default: what the product's images take).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

LONGEST_NODE_NAME = 30
NODE_NAME = re.compile(r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$")
MIG_RESOURCE_PREFIX = "nvidia.com/mig-"
FIRST_NODE_OCTET = 10
REGISTRY_PORT = 5000


class ConfigError(ValueError):
    """A setting that cannot be used; the message names it, its value and the way out."""


@dataclass(frozen=True)
class NodeSpec:
    """One node: its name, its place in the network (1 …) and the MIG slices it offers, profile to count."""

    name: str
    index: int
    mig: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not NODE_NAME.match(self.name):
            raise ConfigError(
                f"node name {self.name!r}: must be lower-case letters, digits and '-', start with a letter "
                "and be at most 30 characters; for example node-c"
            )
        if not 1 <= self.index <= 200:
            raise ConfigError(f"node index {self.index}: a dev cluster has room for nodes 1 to 200")


def parse_slices(offers: Sequence[str]) -> dict[str, int]:
    """MIG slices from texts such as ``1g.20gb=2``. Raises :class:`ConfigError` that quotes the text."""
    slices: dict[str, int] = {}
    for offer in offers:
        found = re.match(r"^(\d+g\.\d+gb(?:\+[a-z.]+)?)=([1-9]\d?)$", offer)
        if not found:
            raise ConfigError(f"--mig {offer!r}: give a MIG profile and a count, for example 1g.20gb=2")
        slices[found.group(1)] = int(found.group(2))
    return slices


DEFAULT_NODES = (
    NodeSpec("node-a", 1, {"1g.20gb": 2, "1g.10gb": 1}),
    NodeSpec("node-b", 2, {"1g.20gb": 1, "3g.40gb": 1}),
)


def _whole_number(env: Mapping[str, str], name: str) -> int | None:
    given = env.get(name)
    if given is None:
        return None
    if not given.isdecimal():
        raise ConfigError(f"{name}={given!r}: give a whole number, for example {name}=6")
    return int(given)


@dataclass(frozen=True)
class ClusterConfig:
    """Where a cluster lives: its name, its two roots of folders and its networks."""

    name: str = "vistrain"
    state_root: Path = Path("/var/lib/vistrain-devcluster")
    cache: Path = Path("~/.cache/vistrain")
    network_prefix: str = "10.240"
    pod_prefix: str = "10.244"
    free_gigabytes: int | None = None
    """Disk that must be free; none for what our images take on a machine that has not held them."""

    def __post_init__(self) -> None:
        if not re.match(r"^[a-z][a-z0-9]{0,7}$", self.name):
            raise ConfigError(
                f"VISTRAIN_CLUSTER={self.name!r}: must be 1 to 8 lower-case letters and digits, "
                "starting with a letter"
            )
        for prefix in (self.network_prefix, self.pod_prefix):
            if not re.match(r"^\d{1,3}\.\d{1,3}$", prefix):
                raise ConfigError(
                    f"VISTRAIN_NETWORK: {prefix!r} is not two octets; "
                    "for example VISTRAIN_NETWORK=10.240,10.244"
                )
        object.__setattr__(self, "cache", self.cache.expanduser())

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> ClusterConfig:
        """The cluster that the environment variables name. Raises :class:`ConfigError`."""
        env = os.environ if environ is None else environ
        networks = env.get("VISTRAIN_NETWORK", "10.240,10.244").split(",")
        if len(networks) != 2:
            raise ConfigError(
                f"VISTRAIN_NETWORK={env['VISTRAIN_NETWORK']!r}: give the machine network and the pod "
                "network, for example 10.240,10.244"
            )
        return cls(
            name=env.get("VISTRAIN_CLUSTER", "vistrain"),
            state_root=Path(env.get("VISTRAIN_STATE", "/var/lib/vistrain-devcluster")),
            cache=Path(env.get("VISTRAIN_CACHE", "~/.cache/vistrain")),
            network_prefix=networks[0].strip(),
            pod_prefix=networks[1].strip(),
            free_gigabytes=_whole_number(env, "VISTRAIN_FREE_GB"),
        )

    # Folders --------------------------------------------------------------------------------------

    @property
    def state(self) -> Path:
        """This cluster's folder of state."""
        return self.state_root / self.name

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (cluster-admin)."""
        return self.state / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, one JSON event a line."""
        return self.logs / "audit.log"

    @property
    def supervisor_socket(self) -> Path:
        return self.state / "supervisor.sock"

    @property
    def registry_config(self) -> Path:
        """containerd's folder of registry hosts (``certs.d``), shared by all nodes."""
        return self.state / "certs.d"

    def node_state(self, node: str) -> Path:
        """A node's own disk: it survives ``node kill`` and goes with ``down``."""
        return self.state / "nodes" / node

    def node_images(self, node: str) -> Path:
        """A node's image content (containerd's root): in the cache, so that the next ``up`` pulls nothing."""
        return self.cache / "nodes" / self.name / node

    # Kernel objects -------------------------------------------------------------------------------

    @property
    def control_netns(self) -> str:
        """The network namespace of the control plane: it holds the bridge that joins the nodes."""
        return self.name

    def node_netns(self, node: str) -> str:
        return f"{self.name}-{node}"

    @property
    def host_link(self) -> str:
        """The one interface that the cluster adds to the machine's own network."""
        return f"{self.name}0"

    @property
    def cgroup(self) -> str:
        """The control group, in every hierarchy, below which every process of the cluster lives."""
        return f"/{self.name}-devcluster"

    @property
    def control_cgroup(self) -> str:
        return f"{self.cgroup}/control"

    def node_cgroup(self, node: str) -> str:
        return f"{self.cgroup}/{node}"

    # Addresses ------------------------------------------------------------------------------------

    @property
    def machine_network(self) -> IPv4Network:
        return IPv4Network(f"{self.network_prefix}.0.0/24")

    @property
    def pod_network(self) -> IPv4Network:
        return IPv4Network(f"{self.pod_prefix}.0.0/16")

    @property
    def service_network(self) -> IPv4Network:
        """Addresses of Services; known inside the nodes only."""
        return IPv4Network("10.0.0.0/24")

    @property
    def gateway(self) -> IPv4Interface:
        """The bridge's address: API server, registry, and the way from the machine to the pods."""
        return IPv4Interface(f"{self.network_prefix}.0.1/24")

    @property
    def host_address(self) -> IPv4Interface:
        """The machine's own address in the cluster's network."""
        return IPv4Interface(f"{self.network_prefix}.0.254/24")

    def node_address(self, index: int) -> IPv4Interface:
        return IPv4Interface(f"{self.network_prefix}.0.{FIRST_NODE_OCTET + index}/24")

    def pod_subnet(self, index: int) -> IPv4Network:
        return IPv4Network(f"{self.pod_prefix}.{index}.0/24")

    @property
    def kubernetes_service(self) -> IPv4Address:
        """The Service ``kubernetes``: always the first address of the service network."""
        return self.service_network[1]

    @property
    def api_server(self) -> str:
        return f"https://{self.gateway.ip}:6443"

    @property
    def registry(self) -> str:
        """``address:port`` of the local image registry, as images are named and as nodes pull them."""
        return f"{self.gateway.ip}:{REGISTRY_PORT}"

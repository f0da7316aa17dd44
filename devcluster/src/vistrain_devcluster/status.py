"""What a cluster looks like from outside: nodes, slices, processes."""

from __future__ import annotations

from dataclasses import dataclass

from vistrain_devcluster.api import ApiError
from vistrain_devcluster.cluster import Cluster
from vistrain_devcluster.config import MIG_RESOURCE_PREFIX, NodeSpec


@dataclass(frozen=True)
class NodeStatus:
    """A node: ``state`` is Ready, NotReady or down, with what was done to it in brackets."""

    spec: NodeSpec
    state: str
    address: str
    slices: dict[str, str]


@dataclass(frozen=True)
class ProcessStatus:
    """A supervised program of the control plane or of a node, as its supervisord tells it."""

    owner: str
    name: str
    state: str
    description: str


def nodes(cluster: Cluster) -> list[NodeStatus]:
    """Each node of the record, whether or not anything of it runs."""
    record = cluster.ledger.read()
    try:
        ready = cluster.api.nodes() if cluster.supervisor.alive() else {}
    except (ApiError, OSError):
        ready = {}
    found = []
    for spec in record.nodes:
        state = "Ready" if ready.get(spec.name) else "NotReady" if spec.name in ready else "down"
        if spec.name in record.dead:
            state = f"{state} (killed)"
        elif spec.name in record.cut:
            state = f"{state} (cut off)"
        slices: dict[str, str] = {}
        if spec.name in ready:
            allocatable = cluster.api.allocatable(spec.name)
            slices = {k: v for k, v in allocatable.items() if k.startswith(MIG_RESOURCE_PREFIX)}
        found.append(NodeStatus(spec, state, str(cluster.config.node_address(spec.index).ip), slices))
    return found


def processes(cluster: Cluster) -> list[ProcessStatus]:
    """Each supervised program whose supervisord answers."""
    supervisors = [("control", cluster.supervisor)]
    supervisors += [(node.spec.name, node.supervisor) for node in cluster.nodes()]
    return [
        ProcessStatus(owner, program["name"], program["statename"], program["description"])
        for owner, supervisor in supervisors
        if supervisor.alive()
        for program in supervisor.programs()
    ]

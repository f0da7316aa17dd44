"""The cluster's network: one bridge in a namespace of its own, each node a namespace joined to it.

The machine itself gets one interface, one address and one route to the pods; its firewall, its forwarding
and its other interfaces are left alone. Pods are routed (no bridge inside a node): Services need no
``br_netfilter``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from pyroute2 import IPRoute, netns
from pyroute2.netlink.exceptions import NetlinkError

from vistrain_devcluster.config import ClusterConfig, NodeSpec
from vistrain_devcluster.ledger import Ledger

NETNS_FOLDER = Path("/run/netns")
BRIDGE = "br0"
BRIDGE_ADDRESS = "02:76:74:00:00:01"  # locally administered
NODE_LINK = "eth0"


@contextmanager
def _inside(namespace: str | None) -> Iterator[IPRoute]:
    with IPRoute(netns=namespace) if namespace else IPRoute() as link:
        yield link


def _index(link: IPRoute, name: str) -> int:
    found = link.link_lookup(ifname=name)
    if not found:
        raise RuntimeError(f"network interface {name!r} is gone; run `vistrain-devcluster down`, then `up`")
    return int(found[0])


def _namespaces() -> set[str]:
    return set(netns.listnetns()) if NETNS_FOLDER.is_dir() else set()


def _make_namespace(name: str) -> None:
    if name not in _namespaces():
        netns.create(name)
    with _inside(name) as link:
        link.link("set", index=_index(link, "lo"), state="up")


def _remove_namespace(name: str) -> None:
    if name in _namespaces():
        netns.remove(name)


def _write_sysctl(namespace: str, name: str, value: str) -> None:
    # /proc/sys/net shows the namespace of whoever opens it.
    netns.pushns(namespace)
    try:
        (Path("/proc/sys") / name).write_text(value)
    finally:
        netns.popns()


def conflicting_routes(config: ClusterConfig) -> list[str]:
    """Networks the machine already routes that overlap the cluster's; empty when there is room."""
    ours = (config.machine_network, config.pod_network)
    clashes = []
    with _inside(None) as link:
        own = set(link.link_lookup(ifname=config.host_link))
        for route in link.get_routes(family=2):
            destination = route.get_attr("RTA_DST")
            if destination is None or route.get_attr("RTA_OIF") in own or route["dst_len"] == 0:
                continue
            network = IPv4Network(f"{destination}/{route['dst_len']}", strict=False)
            if any(network.overlaps(mine) for mine in ours):
                clashes.append(str(network))
    return sorted(set(clashes))


def make_control(config: ClusterConfig, ledger: Ledger) -> None:
    """Makes the control plane's namespace with the bridge, and the machine's way into it. Can be repeated."""
    ledger.note(namespaces=[config.control_netns], links=[config.host_link])
    # The first named namespace of a machine makes its folder a mount point.
    ledger.note_folder(NETNS_FOLDER)
    ledger.note_mount(NETNS_FOLDER)
    _make_namespace(config.control_netns)
    _write_sysctl(config.control_netns, "net/ipv4/ip_forward", "1")
    with _inside(config.control_netns) as link:
        if not link.link_lookup(ifname=BRIDGE):
            link.link("add", ifname=BRIDGE, kind="bridge", br_stp_state=0)
        bridge = _index(link, BRIDGE)
        # Without an address of its own a bridge takes its ports' lowest, and changes it when that port goes.
        link.link("set", index=bridge, address=BRIDGE_ADDRESS)
        link.addr("replace", index=bridge, address=str(config.gateway.ip), prefixlen=24)
        link.link("set", index=bridge, state="up")
    with _inside(None) as host:
        if not host.link_lookup(ifname=config.host_link):
            host.link(
                "add",
                ifname=config.host_link,
                kind="veth",
                peer={"ifname": "host", "net_ns_fd": config.control_netns},
            )
        index = _index(host, config.host_link)
        host.addr("replace", index=index, address=str(config.host_address.ip), prefixlen=24)
        host.link("set", index=index, state="up")
    _join_bridge(config, "host")
    with _inside(None) as host:
        host.route(
            "replace",
            dst=str(config.pod_network),
            gateway=str(config.gateway.ip),
            oif=_index(host, config.host_link),
        )


def _join_bridge(config: ClusterConfig, port: str) -> None:
    with _inside(config.control_netns) as link:
        link.link("set", index=_index(link, port), master=_index(link, BRIDGE))
        link.link("set", index=_index(link, port), state="up")


def _port(node: NodeSpec) -> str:
    return f"port{node.index}"


def make_node(config: ClusterConfig, ledger: Ledger, node: NodeSpec, others: list[NodeSpec]) -> None:
    """Makes a node's namespace, joins it to the bridge, routes pods to their nodes. Can be repeated."""
    namespace = config.node_netns(node.name)
    ledger.note(namespaces=[namespace])
    _make_namespace(namespace)
    _write_sysctl(namespace, "net/ipv4/ip_forward", "1")
    with _inside(config.control_netns) as link:
        if not link.link_lookup(ifname=_port(node)):
            link.link(
                "add", ifname=_port(node), kind="veth", peer={"ifname": NODE_LINK, "net_ns_fd": namespace}
            )
    _join_bridge(config, _port(node))
    address = config.node_address(node.index)
    with _inside(namespace) as link:
        index = _index(link, NODE_LINK)
        link.addr("replace", index=index, address=str(address.ip), prefixlen=24)
        link.link("set", index=index, state="up")
        link.route("replace", dst="default", gateway=str(config.gateway.ip))
    _route_pods(config, config.control_netns, node)
    for other in others:
        if other.name != node.name and config.node_netns(other.name) in _namespaces():
            _route_pods(config, config.node_netns(other.name), node)
            _route_pods(config, namespace, other)


def _route_pods(config: ClusterConfig, namespace: str, to: NodeSpec) -> None:
    with _inside(namespace) as link:
        link.route(
            "replace",
            dst=str(config.pod_subnet(to.index)),
            gateway=str(config.node_address(to.index).ip),
        )


def set_node_link(config: ClusterConfig, node: NodeSpec, *, up: bool) -> None:
    """Plugs a node's cable into the bridge, or pulls it. What runs on the node goes on."""
    with _inside(config.control_netns) as link:
        link.link("set", index=_index(link, _port(node)), state="up" if up else "down")


def remove_node(config: ClusterConfig, node: str, index: int | None = None) -> None:
    """Removes a node's namespace and its cable; those that are gone already are fine."""
    if index is not None and config.control_netns in _namespaces():
        with _inside(config.control_netns) as link:
            for found in link.link_lookup(ifname=f"port{index}"):
                link.link("del", index=found)
    _remove_namespace(config.node_netns(node))


def remove_all(config: ClusterConfig, namespaces: list[str], links: list[str]) -> None:
    """Removes what :func:`leftovers` finds, and what is named besides."""
    found_namespaces, found_links = leftovers(config)
    with _inside(None) as host:
        for name in {*links, *found_links}:
            for index in host.link_lookup(ifname=name):
                try:
                    host.link("del", index=index)
                except NetlinkError as error:
                    # Its peer's namespace may be going at this moment, and takes it along.
                    if error.code not in (errno.ENODEV, errno.EINVAL):
                        raise
    for name in {*namespaces, *found_namespaces}:
        _remove_namespace(name)


def leftovers(config: ClusterConfig) -> tuple[list[str], list[str]]:
    """Namespaces and interfaces of this cluster that exist now, found by name."""
    names = [n for n in _namespaces() if n == config.control_netns or n.startswith(f"{config.name}-")]
    with _inside(None) as host:
        links = [config.host_link] if host.link_lookup(ifname=config.host_link) else []
    return sorted(names), links

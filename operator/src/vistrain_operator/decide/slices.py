"""Which device a pod asks for: the MIG strategy is a property of nodes, and unknown before scheduling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vistrain_api.quantities import MigProfile
from vistrain_api.resources import Accelerator
from vistrain_operator.objects import Object
from vistrain_operator.observed import NodeView

GPU = "nvidia.com/gpu"
PRODUCT_LABEL = "nvidia.com/gpu.product"
STRATEGY_LABEL = "nvidia.com/mig.strategy"
_MIG_PRODUCT = "-MIG-"


@dataclass(frozen=True)
class Placement:
    """What the pod asks for, and whether some node offers it."""

    resources: Mapping[str, int] = field(default_factory=dict)
    """Extended resources."""
    affinity: tuple[Object, ...] = ()
    """Match expressions that a node must meet, all of them."""
    offered: bool | None = True
    """Whether a node offers it now; none when nodes cannot be read."""
    reason: str = "Offered"
    message: str = ""


def place(accelerator: Accelerator, nodes: Mapping[str, NodeView] | None) -> Placement:
    """Where a run with this accelerator can go. A pod is made all the same where nothing offers it now:
    an autoscaler adds nodes only for pods that wait."""
    if accelerator.mig is not None:
        return _mig(MigProfile.parse(accelerator.mig.profile), accelerator.mig.profile, nodes)
    if accelerator.gpu is not None:
        return _gpu(accelerator.gpu.count, nodes)
    return Placement(reason="NotNeeded", message="the run trains on the CPU")


def _mig(profile: MigProfile, name: str, nodes: Mapping[str, NodeView] | None) -> Placement:
    mixed = {profile.resource: 1}
    if nodes is None:
        return Placement(mixed, offered=None, reason="NodesNotReadable", message=_UNREADABLE)
    having = [n.name for n in nodes.values() if n.offered.get(profile.resource, 0) > 0]
    if having:
        return Placement(mixed, message=f"{profile.resource} is offered by {_some(having)}")
    products = sorted(
        {
            n.product
            for n in nodes.values()
            if n.product.endswith(profile.product_suffix) and n.offered.get(GPU, 0) > 0
        }
    )
    if products:
        wanted = {"key": PRODUCT_LABEL, "operator": "In", "values": products}
        return Placement(
            {GPU: 1}, (wanted,), message=f"{GPU} is offered by nodes of product {_some(products)}"
        )
    what = f"no node offers a slice {name} ({profile.resource})"
    text = f"{what}; offered are: {offers(nodes)}. The pod waits for one"
    return Placement(mixed, offered=False, reason="NotOffered", message=text)


def _gpu(count: int, nodes: Mapping[str, NodeView] | None) -> Placement:
    resources = {GPU: count}
    # Under the single strategy a slice bears the name of a whole GPU: keep off such nodes.
    whole: tuple[Object, ...] = ({"key": STRATEGY_LABEL, "operator": "NotIn", "values": ["single"]},)
    if nodes is None:
        return Placement(resources, whole, offered=None, reason="NodesNotReadable", message=_UNREADABLE)
    sliced = sorted({n.product for n in nodes.values() if _MIG_PRODUCT in n.product})
    if sliced:
        whole = (*whole, {"key": PRODUCT_LABEL, "operator": "NotIn", "values": sliced})
    having = [
        n.name for n in nodes.values() if n.offered.get(GPU, 0) >= count and _MIG_PRODUCT not in n.product
    ]
    if having:
        return Placement(resources, whole, message=f"{GPU} is offered by {_some(having)}")
    text = f"no node offers a whole GPU ({GPU}); offered are: {offers(nodes)}. The pod waits for one"
    return Placement(resources, whole, offered=False, reason="NotOffered", message=text)


def offers(nodes: Mapping[str, NodeView]) -> str:
    """What the nodes offer, for a person: `nvidia.com/mig-1g.20gb (2 on n1)`."""
    lines = [
        f"{resource}{f' of {n.product}' if n.product and resource == GPU else ''} ({count} on {n.name})"
        for n in sorted(nodes.values(), key=lambda n: n.name)
        for resource, count in sorted(n.offered.items())
        if count > 0
    ]
    return _some(lines) if lines else "no GPU and no slice at all"


def _some(names: list[str], limit: int = 8) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


_UNREADABLE = "the operator may not read nodes here, so it cannot tell what they offer"

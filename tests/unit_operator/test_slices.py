"""Which resource a pod asks for, by what the nodes offer."""

from __future__ import annotations

from typing import Any

import pytest

from vistrain_api.resources import Accelerator
from vistrain_operator.decide.slices import GPU, place
from vistrain_operator.observed import NodeView


def mig(profile: str) -> Accelerator:
    return Accelerator.model_validate({"mig": {"profile": profile}})


def nodes(**offered: Any) -> dict[str, NodeView]:
    return {
        name: NodeView(name, ready="True", offered=what[0], product=what[1]) for name, what in offered.items()
    }


MIXED = nodes(a=({"nvidia.com/mig-1g.20gb": 2, GPU: 0}, "NVIDIA-H100"))
SINGLE = nodes(
    b=({GPU: 4}, "NVIDIA-H100-MIG-1g.20gb"),
    c=({GPU: 7}, "NVIDIA-A100-MIG-1g.20gb"),
    d=({GPU: 1}, "NVIDIA-H100"),
)


def test_the_mixed_strategy_comes_first() -> None:
    found = place(mig("1g.20gb"), {**SINGLE, **MIXED})
    assert found.resources == {"nvidia.com/mig-1g.20gb": 1}
    assert found.affinity == ()
    assert found.offered is True


def test_the_single_strategy_names_the_products_that_were_seen() -> None:
    found = place(mig("1g.20gb"), SINGLE)
    assert found.resources == {GPU: 1}
    products = ["NVIDIA-A100-MIG-1g.20gb", "NVIDIA-H100-MIG-1g.20gb"]
    assert found.affinity == ({"key": "nvidia.com/gpu.product", "operator": "In", "values": products},)


def test_attributes_of_a_profile() -> None:
    found = place(mig("1g.10gb+me"), nodes(a=({"nvidia.com/mig-1g.10gb.me": 1}, "")))
    assert found.resources == {"nvidia.com/mig-1g.10gb.me": 1}
    assert found.offered is True


@pytest.mark.parametrize("profile", ["1g.10gb", "1g.20gb+me", "7g.80gb"])
def test_a_slice_that_nobody_offers_is_asked_for_all_the_same(profile: str) -> None:
    found = place(mig(profile), {**SINGLE, **MIXED})
    assert found.offered is False
    assert list(found.resources) == [f"nvidia.com/mig-{profile.replace('+', '.')}"]
    assert profile in found.message
    assert "nvidia.com/mig-1g.20gb (2 on a)" in found.message
    assert "nvidia.com/gpu of NVIDIA-H100 (1 on d)" in found.message


def test_a_whole_gpu_keeps_off_sliced_nodes() -> None:
    found = place(Accelerator.model_validate({"gpu": {}}), SINGLE)
    assert found.resources == {GPU: 1}
    assert found.offered is True
    assert {"key": "nvidia.com/mig.strategy", "operator": "NotIn", "values": ["single"]} in found.affinity
    sliced = ["NVIDIA-A100-MIG-1g.20gb", "NVIDIA-H100-MIG-1g.20gb"]
    assert {"key": "nvidia.com/gpu.product", "operator": "NotIn", "values": sliced} in found.affinity
    only_sliced = {name: node for name, node in SINGLE.items() if name != "d"}
    assert place(Accelerator.model_validate({"gpu": {}}), only_sliced).offered is False


def test_without_access_to_nodes_nothing_is_known() -> None:
    assert place(mig("1g.20gb"), None).offered is None
    assert place(Accelerator.model_validate({"gpu": {}}), None).offered is None


def test_the_cpu_needs_no_slice() -> None:
    found = place(Accelerator.model_validate({"cpu": {}}), {})
    assert (found.resources, found.offered, found.reason) == ({}, True, "NotNeeded")

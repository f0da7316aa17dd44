"""Names, addresses, settings: what the environment may say, and what a wrong word is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from vistrain_devcluster.config import DEFAULT_NODES, ClusterConfig, ConfigError, NodeSpec, parse_slices


def test_the_environment_names_the_cluster() -> None:
    config = ClusterConfig.from_environment(
        {
            "VISTRAIN_CLUSTER": "mine",
            "VISTRAIN_STATE": "/srv/state",
            "VISTRAIN_CACHE": "/srv/cache",
            "VISTRAIN_NETWORK": "10.1, 10.2",
        }
    )
    assert config.state == Path("/srv/state/mine")
    assert config.node_images("node-a") == Path("/srv/cache/nodes/mine/node-a")
    assert (config.host_link, config.control_netns, config.node_netns("a")) == ("mine0", "mine", "mine-a")
    assert config.api_server == "https://10.1.0.1:6443"
    assert str(config.pod_subnet(2)) == "10.2.2.0/24"


def test_the_default_cluster_offers_different_slices_on_two_nodes() -> None:
    offered = [dict(node.mig) for node in DEFAULT_NODES]
    assert len(offered) == 2
    assert offered[0] != offered[1]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"VISTRAIN_CLUSTER": "Far_too_long"}, "VISTRAIN_CLUSTER='Far_too_long'"),
        ({"VISTRAIN_NETWORK": "10.1"}, "VISTRAIN_NETWORK='10.1'"),
        ({"VISTRAIN_NETWORK": "10.1,ten"}, "'ten' is not two octets"),
        ({"VISTRAIN_FREE_GB": "6 GB"}, "VISTRAIN_FREE_GB='6 GB': give a whole number"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ClusterConfig.from_environment(environment)


def test_an_interface_name_fits_the_kernel() -> None:
    assert len(ClusterConfig(name="a" * 8).host_link) <= 15


@pytest.mark.parametrize("name", ["Node", "", "-a", "a" * 40, "a.b"])
def test_a_wrong_node_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="node name"):
        NodeSpec(name, 1)


def test_slices_are_parsed() -> None:
    assert parse_slices(["1g.20gb=2", "1g.10gb+me=1"]) == {"1g.20gb": 2, "1g.10gb+me": 1}


@pytest.mark.parametrize("offer", ["1g.20gb", "1g.20gb=0", "20gb=1", "1g.20gb=two"])
def test_a_wrong_slice_is_quoted(offer: str) -> None:
    with pytest.raises(ConfigError, match=f"--mig '{offer}'"):
        parse_slices([offer])

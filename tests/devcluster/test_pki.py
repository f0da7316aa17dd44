"""Certificates: who signs, whom they name, what is kept."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vistrain_devcluster import pki
from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.kubeconfig import write_kubeconfig


@pytest.fixture
def config(tmp_path: Path) -> ClusterConfig:
    return ClusterConfig(state_root=tmp_path / "state", cache=tmp_path / "cache")


def certificate(config: ClusterConfig, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((config.pki / f"{name}.crt").read_bytes())


def names(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]


def test_the_control_plane_has_a_certificate_for_each_part(config: ClusterConfig) -> None:
    pki.write_control_plane(config)
    authority = certificate(config, "ca")
    for name, user, groups in (
        ("admin", "admin", ["system:masters"]),
        ("controller-manager", "system:kube-controller-manager", []),
        ("scheduler", "system:kube-scheduler", []),
        ("kube-proxy", "system:kube-proxy", []),
        ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"]),
    ):
        issued = certificate(config, name)
        issued.verify_directly_issued_by(authority)
        assert names(issued, NameOID.COMMON_NAME) == [user]
        assert names(issued, NameOID.ORGANIZATION_NAME) == groups
        usage = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    front = certificate(config, "front-proxy-client")
    front.verify_directly_issued_by(certificate(config, "front-proxy-ca"))
    with pytest.raises(ValueError, match="Issuer certificate subject does not match"):
        front.verify_directly_issued_by(authority)


def test_the_api_server_serves_on_its_addresses(config: ClusterConfig) -> None:
    pki.write_control_plane(config)
    served = certificate(config, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    addresses = [str(a) for a in served.value.get_values_for_type(x509.IPAddress)]
    assert addresses == ["10.240.0.1", "10.0.0.1", "127.0.0.1"]
    assert "kubernetes.default.svc" in served.value.get_values_for_type(x509.DNSName)


def test_a_kubelet_is_a_node_to_the_api_server(config: ClusterConfig) -> None:
    pki.write_control_plane(config)
    pki.write_node(config, "node-a", "10.240.0.11")
    issued = certificate(config, "kubelet-node-a")
    assert names(issued, NameOID.COMMON_NAME) == ["system:node:node-a"]
    assert names(issued, NameOID.ORGANIZATION_NAME) == ["system:nodes"]
    usage = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}


def test_what_is_there_is_kept(config: ClusterConfig) -> None:
    pki.write_control_plane(config)
    before = {path.name: path.read_bytes() for path in config.pki.iterdir()}
    pki.write_control_plane(config)
    assert {path.name: path.read_bytes() for path in config.pki.iterdir()} == before


def test_keys_are_private(config: ClusterConfig) -> None:
    pki.write_control_plane(config)
    assert {path.stat().st_mode & 0o777 for path in config.pki.glob("*.key")} == {0o600}
    assert config.pki.stat().st_mode & 0o777 == 0o700
    written = write_kubeconfig(config, "admin", config.kubeconfig)
    assert written.stat().st_mode & 0o777 == 0o600


def test_the_kubeconfig_holds_a_usable_pair(config: ClusterConfig, tmp_path: Path) -> None:
    pki.write_control_plane(config)
    content = yaml.safe_load(write_kubeconfig(config, "admin", config.kubeconfig).read_text())
    assert content["clusters"][0]["cluster"]["server"] == "https://10.240.0.1:6443"
    user = content["users"][0]["user"]
    pair = tmp_path / "pair.pem"
    pair.write_bytes(
        base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
    )
    ssl.create_default_context(cafile=str(config.pki / "ca.crt")).load_cert_chain(pair)

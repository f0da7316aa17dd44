"""Certificates of the cluster: an authority, server and client certificates, the service account key.

Keys are ECDSA P-256; lifetimes are ten years, because the cluster lives on one machine and is thrown away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vistrain_devcluster.config import ClusterConfig

LIFETIME = dt.timedelta(days=3650)
CLOCK_SKEW = dt.timedelta(hours=1)


def _write_private(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data)


def _new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    _write_private(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _subject(name: str, groups: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """A certificate authority kept as ``NAME.crt`` and ``NAME.key`` in a folder; made when absent."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.certificate_path = folder / f"{name}.crt"
        key_path = folder / f"{name}.key"
        if self.certificate_path.exists():
            key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            self._key = key
            self._certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
            return
        self._key = _new_key(key_path)
        subject = _subject(f"vistrain dev cluster {name}")
        self._certificate = (
            _builder(subject, subject, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=True,
                    crl_sign=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate_path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, file: str, name: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """Paths of certificate and key ``FILE.crt`` and ``FILE.key``, made when absent.

        ``name`` and ``groups`` are the user and groups that Kubernetes sees; with ``hosts`` (names and
        addresses) the certificate serves as well.
        """
        certificate_path, key_path = self.folder / f"{file}.crt", self.folder / f"{file}.key"
        if certificate_path.exists() and key_path.exists():
            return certificate_path, key_path
        key = _new_key(key_path)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = _builder(_subject(name, groups), self._certificate.subject, key.public_key())
        if hosts:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return certificate_path, key_path


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_control_plane(config: ClusterConfig) -> Authority:
    """Makes what the control plane needs in ``config.pki``; what is there already is kept."""
    config.pki.mkdir(parents=True, exist_ok=True)
    config.pki.chmod(0o700)
    authority = Authority(config.pki)
    authority.issue(
        "apiserver",
        "kube-apiserver",
        hosts=[
            str(config.gateway.ip),
            str(config.kubernetes_service),
            "127.0.0.1",
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ],
    )
    authority.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"])
    authority.issue("admin", "admin", ["system:masters"])
    authority.issue("controller-manager", "system:kube-controller-manager")
    authority.issue("scheduler", "system:kube-scheduler")
    authority.issue("kube-proxy", "system:kube-proxy")
    Authority(config.pki, "front-proxy-ca").issue("front-proxy-client", "front-proxy-client")
    account_key, account_public = config.pki / "service-account.key", config.pki / "service-account.pub"
    if not account_public.exists():
        public = _new_key(account_key).public_key()
        account_public.write_bytes(
            public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return authority


def write_node(config: ClusterConfig, node: str, address: str) -> tuple[Path, Path]:
    """The kubelet's certificate: its user is ``system:node:NODE``, and it serves on the node's address."""
    return Authority(config.pki).issue(
        f"kubelet-{node}", f"system:node:{node}", ["system:nodes"], hosts=[node, address]
    )

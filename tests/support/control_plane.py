"""A control plane on loopback: etcd, API server, controllers. No node, no root, no network but loopback.

For tests that ask what a real API server makes of objects: validation, admission, roles, the audit log.
"""

from __future__ import annotations

import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.built import built
from support.ports import free_ports
from support.runs import wait_for
from vistrain_devcluster import binaries
from vistrain_devcluster.kubectl import Kubectl

READY_SECONDS = 90
ADMIN_TOKEN = "admin"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class ControlPlane:
    """A context manager; inside it `kubeconfig` is an administrator's and `audit_log` grows."""

    def __init__(self, directory: Path) -> None:
        """`directory` takes data, logs and certificates; it must be new."""
        self.directory = directory
        self.kubeconfig = directory / "admin.kubeconfig"
        self.audit_log = directory / "audit.log"
        self.binaries = built(binaries.ETCD, binaries.KUBERNETES)
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        directory.mkdir(parents=True)

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the administrator."""
        return Kubectl(str(self.binaries / "kubectl"), str(self.kubeconfig))

    def await_crd(self, name: str) -> None:
        """Wait until the API server serves a CustomResourceDefinition (`kubectl wait` fails on a new one)."""

        def established() -> bool:
            conditions = self.kubectl.get("crd", name).get("status", {}).get("conditions") or []
            return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

        wait_for(f"CRD {name}", established)

    def __enter__(self) -> ControlPlane:
        etcd, peer, port = free_ports(3)
        self.url = f"https://127.0.0.1:{port}"
        self._write_files()
        try:
            self._start("etcd", self._etcd(etcd, peer))
            self._start("kube-apiserver", self._api_server(etcd, port))
            self._await_ready()
            self._start("kube-controller-manager", self._controllers())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _write_files(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = serialization.Encoding.PEM
        (self.directory / "accounts.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (self.directory / "accounts.pub").write_bytes(
            key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        (self.directory / "tokens.csv").write_text(f'{ADMIN_TOKEN},admin,admin,"system:masters"\n')
        (self.directory / "audit-policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY))
        # The API server signs its own certificate, which is then its own authority.
        cluster = {
            "server": self.url,
            "certificate-authority": str(self.directory / "certificates/apiserver.crt"),
        }
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "loopback", "cluster": cluster}],
                    "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
                    "contexts": [{"name": "loopback", "context": {"cluster": "loopback", "user": "admin"}}],
                    "current-context": "loopback",
                }
            )
        )

    def _etcd(self, port: int, peer: int) -> Sequence[str]:
        client, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
        return [
            "--name=loopback",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=loopback={peers}",
            "--unsafe-no-fsync",
        ]

    def _api_server(self, etcd: int, port: int) -> Sequence[str]:
        return [
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={port}",
            f"--cert-dir={self.directory / 'certificates'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.directory / 'accounts.pub'}",
            f"--service-account-signing-key-file={self.directory / 'accounts.key'}",
            f"--audit-policy-file={self.directory / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log}",
        ]

    def _controllers(self) -> Sequence[str]:
        return [
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.directory / 'accounts.key'}",
            "--concurrent-gc-syncs=2",
        ]

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            # A test run that is killed takes its processes along.
            command = ["setpriv", "--pdeathsig", "KILL", str(self.binaries / name), *arguments]
            self._processes.append((name, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)))

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            for name, process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}: {self._tail(name)}")
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"API server not ready after {READY_SECONDS} s: {self._tail('kube-apiserver')}"
                )
            time.sleep(0.1)

    def _ready(self) -> bool:
        certificate = self.directory / "certificates" / "apiserver.crt"
        if not certificate.exists():
            return False
        request = urllib.request.Request(
            f"{self.url}/readyz", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
        )
        try:
            context = ssl.create_default_context(cafile=str(certificate))
            with urllib.request.urlopen(request, timeout=5, context=context):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    def _tail(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()[-2000:]

    def _stop(self) -> None:
        # Nothing of it is kept, so nothing needs to end in order: a draining API server would take a minute.
        while self._processes:
            _, process = self._processes.pop()
            process.kill()
            process.wait()

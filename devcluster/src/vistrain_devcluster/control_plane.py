"""The control plane's programs: etcd, API server, controller manager, scheduler.

They share one network namespace; only the API server (and what a caller adds, such as the image registry)
listens beyond its loopback.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.kubeconfig import write_kubeconfig
from vistrain_devcluster.supervision import Program

# A dead node is noticed after the grace, its pods are deleted after the toleration: short, for quick tests.
NODE_MONITOR_GRACE_SECONDS = 8
NOT_READY_TOLERATION_SECONDS = 5
ETCD = "http://127.0.0.1:2379"

# Every write and every read, with user, verb, resource and the RBAC decision; bodies are left out. Health
# checks and the components' own calls would drown the rest.
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "nonResourceURLs": ["/healthz*", "/readyz*", "/livez*", "/metrics", "/version"]},
        {
            "level": "None",
            "users": [
                "system:apiserver",
                "system:kube-controller-manager",
                "system:kube-scheduler",
                "system:kube-proxy",
                "vistrain-dns",
            ],
        },
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
        {"level": "Metadata"},
    ],
}


def etcd(config: ClusterConfig, binaries: Path) -> Program:
    return Program(
        "etcd",
        [
            str(binaries / "etcd"),
            "--name=dev",
            f"--data-dir={config.state / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=dev=http://127.0.0.1:2380",
            # The data is thrown away with the cluster: speed before a machine's power cut.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
        priority=10,
    )


def api_server(config: ClusterConfig, binaries: Path) -> Program:
    pki = config.pki
    return Program(
        "kube-apiserver",
        [
            str(binaries / "kube-apiserver"),
            f"--etcd-servers={ETCD}",
            f"--bind-address={config.gateway.ip}",
            f"--advertise-address={config.gateway.ip}",
            "--secure-port=6443",
            f"--service-cluster-ip-range={config.service_network}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--anonymous-auth=false",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            # Node names do not resolve anywhere.
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki / 'service-account.pub'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
            f"--default-not-ready-toleration-seconds={NOT_READY_TOLERATION_SECONDS}",
            f"--default-unreachable-toleration-seconds={NOT_READY_TOLERATION_SECONDS}",
            f"--audit-policy-file={config.state / 'audit-policy.yaml'}",
            f"--audit-log-path={config.audit_log}",
            "--audit-log-maxsize=100",
            "--audit-log-maxbackup=2",
        ],
        priority=20,
        # It drains for up to a minute while watches are open.
        stop_seconds=70,
    )


def controller_manager(config: ClusterConfig, binaries: Path) -> Program:
    kubeconfig = config.state / "controller-manager.kubeconfig"
    return Program(
        "kube-controller-manager",
        [
            str(binaries / "kube-controller-manager"),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={config.pki / 'service-account.key'}",
            f"--root-ca-file={config.pki / 'ca.crt'}",
            f"--node-monitor-grace-period={NODE_MONITOR_GRACE_SECONDS}s",
            "--node-monitor-period=1s",
        ],
        priority=30,
    )


def scheduler(config: ClusterConfig, binaries: Path) -> Program:
    kubeconfig = config.state / "scheduler.kubeconfig"
    return Program(
        "kube-scheduler",
        [
            str(binaries / "kube-scheduler"),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ],
        priority=30,
    )


def programs(config: ClusterConfig, binaries: Path) -> Sequence[Program]:
    """The four programs, in the order of their start."""
    return [make(config, binaries) for make in (etcd, api_server, controller_manager, scheduler)]


def write_files(config: ClusterConfig) -> None:
    """Writes the kubeconfigs and the audit policy that the programs read. The certificates are there."""
    config.logs.mkdir(parents=True, exist_ok=True)
    (config.state / "audit-policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY, sort_keys=False))
    write_kubeconfig(config, "admin", config.kubeconfig)
    for user in ("controller-manager", "scheduler"):
        write_kubeconfig(config, user, config.state / f"{user}.kubeconfig")

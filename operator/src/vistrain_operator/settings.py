"""What the operator is told at its start: flags, each with an environment variable."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The operator's settings."""

    namespaces: tuple[str, ...] = ()
    """Namespaces watched; all when empty."""
    image: str = ""
    """Trainer image of runs that name none."""
    leader_election: bool = True
    lease_name: str = "vistrain-operator"
    lease_namespace: str = "default"
    identity: str = "local"
    """Holder of the lease."""
    address: str = "0.0.0.0"
    port: int = 8080
    resync: float = 300.0
    """Seconds between two looks at every run."""
    workers: int = 8
    """Reconciles at a time."""
    log_format: str = "json"
    log_level: str = "info"
    kubeconfig: str | None = None
    """File; none within a cluster."""
    context: str | None = None


_EXAMPLES = """examples:
  vistrain-operator --kubeconfig ~/.kube/config --image registry.example/vistrain-trainer:0.1.0
  vistrain-operator --namespace team-a --namespace team-b     (in a pod, by its service account)
"""


def parser() -> argparse.ArgumentParser:
    """The command line; the environment gives the defaults."""
    env = os.environ.get
    p = argparse.ArgumentParser(
        prog="vistrain-operator",
        description="Trains detectors on Kubernetes: observes runs, decides, acts.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--namespace",
        action="append",
        metavar="NS",
        help="watch this namespace; repeatable; all when none is given [VISTRAIN_NAMESPACES=a,b]",
    )
    p.add_argument(
        "--image",
        default=env("VISTRAIN_TRAINER_IMAGE", ""),
        help="trainer image of runs that name none [VISTRAIN_TRAINER_IMAGE]",
    )
    p.add_argument(
        "--lease-name",
        default=env("VISTRAIN_LEASE_NAME", "vistrain-operator"),
        help="Lease of the leader [VISTRAIN_LEASE_NAME]",
    )
    p.add_argument(
        "--lease-namespace",
        default=env("VISTRAIN_LEASE_NAMESPACE") or env("POD_NAMESPACE") or "default",
        help="its namespace [VISTRAIN_LEASE_NAMESPACE, POD_NAMESPACE]",
    )
    p.add_argument(
        "--identity",
        default=env("POD_NAME") or f"{socket.gethostname()}_{os.getpid()}",
        help="holder of the Lease [POD_NAME]",
    )
    p.add_argument("--no-leader-election", action="store_true", help="act without a Lease (one process only)")
    p.add_argument(
        "--address", default=env("VISTRAIN_ADDRESS", "0.0.0.0"), help="HTTP address [VISTRAIN_ADDRESS]"
    )
    p.add_argument(
        "--port",
        type=int,
        default=env("VISTRAIN_PORT", "8080"),
        help="port of /metrics, /healthz, /readyz; 0 takes a free one [VISTRAIN_PORT]",
    )
    p.add_argument(
        "--resync",
        type=float,
        default=env("VISTRAIN_RESYNC", "300"),
        help="seconds between two looks at every run [VISTRAIN_RESYNC]",
    )
    p.add_argument(
        "--workers",
        type=int,
        default=env("VISTRAIN_WORKERS", "8"),
        help="reconciles at a time [VISTRAIN_WORKERS]",
    )
    p.add_argument(
        "--log-format",
        choices=["json", "text"],
        default=env("VISTRAIN_LOG_FORMAT", "text" if sys.stderr.isatty() else "json"),
        help="[VISTRAIN_LOG_FORMAT]",
    )
    p.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default=env("VISTRAIN_LOG_LEVEL", "info"),
        help="[VISTRAIN_LOG_LEVEL]",
    )
    p.add_argument("--kubeconfig", help="kubeconfig file; by default $KUBECONFIG, or the service account")
    p.add_argument("--context", help="context of the kubeconfig")
    return p


def read(arguments: list[str] | None = None) -> Settings:
    """Settings from the command line and the environment. Exits with 2 where they are wrong."""
    p = parser()
    a = p.parse_args(arguments)
    stated = a.namespace or os.environ.get("VISTRAIN_NAMESPACES", "").split(",")
    namespaces = tuple(dict.fromkeys(n.strip() for n in stated if n.strip()))
    if not 0 <= a.port <= 65535:
        p.error(f"--port {a.port}: not a port")
    if a.workers < 1:
        p.error(f"--workers {a.workers}: at least 1")
    if a.resync < 1:
        p.error(f"--resync {a.resync}: at least 1 second")
    return Settings(
        namespaces=namespaces,
        image=a.image,
        leader_election=not a.no_leader_election,
        lease_name=a.lease_name,
        lease_namespace=a.lease_namespace,
        identity=a.identity,
        address=a.address,
        port=a.port,
        resync=a.resync,
        workers=a.workers,
        log_format=a.log_format,
        log_level=a.log_level,
        kubeconfig=a.kubeconfig,
        context=a.context,
    )

"""The Kubernetes objects around the demo's run: namespace, volumes, helper Jobs."""

from __future__ import annotations

from typing import Any

NAMESPACE = "vistrain-demo"
RUN_AS = 65532  # the uid of our images


def namespace(name: str = NAMESPACE) -> dict[str, Any]:
    """A namespace that enforces Pod Security "restricted"."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def claim(name: str, size: str, modes: list[str]) -> dict[str, Any]:
    """A PersistentVolumeClaim on the cluster's default StorageClass."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": modes, "resources": {"requests": {"storage": size}}},
    }


def job(
    name: str, image: str, args: list[str], mounts: dict[str, str], *, command: list[str] | None = None
) -> dict[str, Any]:
    """A Job that runs the trainer image's `vistrain` (or `command`) with claims mounted: {claim: path}."""
    container: dict[str, Any] = {
        "name": "main",
        "image": image,
        "args": args,
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": claim, "mountPath": path} for claim, path in mounts.items()],
    }
    if command is not None:
        container["command"] = command
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": RUN_AS,
            "runAsGroup": RUN_AS,
            "fsGroup": RUN_AS,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in mounts],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 2, "template": {"spec": pod}},
    }

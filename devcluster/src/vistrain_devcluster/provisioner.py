"""The volumes' provisioner: a Go program of ours on the Kubernetes project's provisioner library.

Each claim of the StorageClass ``standard`` (the default) gets a folder below the root and a PersistentVolume
of type ``local`` that every node may use: the nodes share the machine's file system. The folder belongs to
root, as a new disk does, and the kubelet gives it to the pod's fsGroup; a pod that is not root and sets no
fsGroup cannot write.
"""

from __future__ import annotations

from pathlib import Path

from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.supervision import Program

BINARY = "volume-provisioner"
STORAGE_CLASS = "standard"
NAME = "devcluster.vistrain.dev/folder"


def root(config: ClusterConfig) -> Path:
    """The folder of a cluster's volumes; it goes with the cluster's state."""
    return config.state / "volumes"


def command(binary: Path, kubeconfig: Path, folder: Path) -> list[str]:
    """The command that serves in the foreground; it waits for the API server and makes the StorageClass."""
    return [str(binary), f"-kubeconfig={kubeconfig}", f"-root={folder}", f"-class={STORAGE_CLASS}"]


def program(config: ClusterConfig, binary_folder: Path) -> Program:
    """The provisioner as a program of the cluster's supervisord."""
    return Program(
        "provisioner", command(binary_folder / BINARY, config.kubeconfig, root(config)), priority=40
    )

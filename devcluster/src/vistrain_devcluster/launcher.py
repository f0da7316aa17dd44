"""Shell scripts that put a process where it belongs: control group, namespaces, private folders.

They are files in the state folder, so a reader can see, and run by hand, exactly what is started.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from vistrain_devcluster.cgroups import Cgroups
from vistrain_devcluster.config import ClusterConfig


def write_script(path: Path, lines: Sequence[str]) -> Path:
    """Writes an executable script of ``sh`` that ends at the first error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", "set -eu", *lines]) + "\n")
    path.chmod(0o755)
    return path


def control_script(config: ClusterConfig, cgroups: Cgroups, command: Sequence[str]) -> Path:
    """A script that runs ``command`` in the control plane's control group and network namespace."""
    return write_script(
        config.state / "control.sh",
        [
            cgroups.enter_command(config.control_cgroup),
            # Not `ip netns exec`: that mounts /sys anew and hides the control groups.
            f"exec nsenter --net=/run/netns/{config.control_netns} -- {shlex.join(command)}",
        ],
    )


def node_script(
    config: ClusterConfig, cgroups: Cgroups, node: str, binds: dict[str, Path], command: Sequence[str]
) -> Path:
    """A script that runs ``command`` as process 1 of a node.

    The node has namespaces of its own for network, processes and mounts, so its death takes every process and
    every mount along, as a power cut does. ``binds`` are folders that are private to the node (path inside to
    path on the machine); ``/run`` is a fresh tmpfs.
    """
    state = config.node_state(node)
    inside = [
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mkdir -p /run/netns /run/lock /run/cni",
        *(
            f"mount --bind {shlex.quote(str(source))} {shlex.quote(target)}"
            for target, source in binds.items()
        ),
        # As on a machine that boots: mounts made in the node reach its containers.
        "mount --make-rshared /",
        f"exec {shlex.join(command)}",
    ]
    boot = write_script(state / "boot.sh", inside)
    return write_script(
        state / "start.sh",
        [
            cgroups.enter_command(f"{config.node_cgroup(node)}/system"),
            f"exec nsenter --net=/run/netns/{config.node_netns(node)} -- "
            "unshare --mount --propagation slave --pid --fork --kill-child=KILL --mount-proc -- "
            f"{shlex.quote(str(boot))}",
        ],
    )

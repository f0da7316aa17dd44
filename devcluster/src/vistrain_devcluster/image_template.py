"""A folder of image content, ready for containerd, that each new node starts from.

An image of gigabytes is pulled and unpacked once; a node's content is then a tree of hard links to it, made
in seconds, and costs neither disk nor page cache. That is sound since containerd never changes a blob or a
layer in place; its databases are copied.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vistrain_devcluster.config import ClusterConfig

STAMP = "template.json"
# Below these, files never change once written.
IMMUTABLE = {"blobs", "snapshots"}
START_SECONDS = 20.0
CONTAINERD_CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
]

[grpc]
  address = "{socket}"
"""


def folder(config: ClusterConfig) -> Path:
    """Where the template lies: beside the nodes' content, on the same file system."""
    return config.cache / "nodes" / f"{config.name}.template"


def prepare(
    config: ClusterConfig,
    references: Iterable[str],
    archives: Iterable[Path],
    registry: str,
    report: Callable[[str], None] = print,
) -> None:
    """Makes the template hold the images ``references`` (by digest) and those of ``archives``.

    ``registry`` (``host:port``, plain HTTP) serves the references, whatever host they name. Only layers that
    the template lacks are pulled; older builds of the same repositories go.
    """
    wanted = {"references": sorted(references), "archives": sorted(path.name for path in archives)}
    root = folder(config)
    if _stamp(root) == wanted:
        return
    root.mkdir(parents=True, exist_ok=True)
    (root / STAMP).unlink(missing_ok=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vistrain-template-") as temporary:
        hosts = Path(temporary) / "hosts" / "_default"
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text(
            f'[host."http://{registry}"]\n  capabilities = ["pull", "resolve"]\n'
        )
        with _containerd(root, Path(temporary)) as ctr:
            for archive in archives:
                ctr("images", "import", str(archive))
            for reference in wanted["references"]:
                report(f"unpacking {reference} for the nodes")
                ctr("images", "pull", "--hosts-dir", str(hosts.parent), reference)
            repositories = {reference.partition("@")[0] for reference in wanted["references"]}
            for name in ctr("images", "list", "--quiet").split():
                if name.partition("@")[0] in repositories and name not in wanted["references"]:
                    ctr("images", "remove", "--sync", name)
    (root / STAMP).write_text(json.dumps(wanted))
    report(f"images for the nodes: ready in {time.monotonic() - begin:.1f} s")


def seed(config: ClusterConfig, node: str) -> bool:
    """Gives a node that is down the template's content, unless it has it; whether anything was done."""
    template, target = folder(config), config.node_images(node)
    stamp = _stamp(template)
    if stamp is None or _stamp(target) == stamp:
        return False
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.seeding")
    if beside.exists():
        shutil.rmtree(beside)
    # cp, since it also links the device files that overlay layers mark removed files with, and keeps xattrs.
    subprocess.run(["cp", "--archive", "--link", str(template), str(beside)], check=True)
    for path in _mutable_files(beside):
        copy = path.with_name(f"{path.name}.copy")
        shutil.copy2(path, copy)
        copy.replace(path)
    beside.rename(target)
    return True


def _stamp(root: Path) -> object:
    file = root / STAMP
    return json.loads(file.read_text()) if file.exists() else None


def _mutable_files(root: Path) -> list[Path]:
    found = []
    for where, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in IMMUTABLE]
        found += [Path(where) / name for name in files]
    return found


@contextmanager
def _containerd(root: Path, state: Path) -> Iterator[Callable[..., str]]:
    """A containerd of our own on ``root``; gives a function that runs its ``ctr`` on Kubernetes' images."""
    socket = state / "containerd.sock"
    settings = state / "containerd.toml"
    settings.write_text(CONTAINERD_CONFIG.format(root=root, state=state / "state", socket=socket))

    def ctr(*arguments: str) -> str:
        line = ["ctr", "--address", str(socket), "--namespace", "k8s.io", *arguments]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1500:]
            raise RuntimeError(f"`ctr {' '.join(arguments)}` ended with {done.returncode}: {said}")
        return done.stdout

    with (
        (state / "containerd.log").open("w") as log,
        subprocess.Popen(
            ["containerd", f"--config={settings}"], stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            _wait(ctr, process, state / "containerd.log")
            yield ctr
        finally:
            process.terminate()


def _wait(ctr: Callable[..., str], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            ctr("images", "list", "--quiet")
            return
        except RuntimeError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-1500:]
                raise RuntimeError(f"containerd for the template does not start:\n{tail}") from error
            time.sleep(0.1)

"""Builds the product's images, and brings images to the registry and to the nodes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from vistrain_devcluster import base_image, buildah
from vistrain_devcluster.binaries import GO_MODULES
from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.node_files import PAUSE_IMAGE

Report = Callable[[str], None]
PRODUCTS = ("operator", "trainer")
REPOSITORY_ROOT = Path(__file__).resolve().parents[3]
STEP = re.compile(r"^(?:\[(\d+/\d+)\] )?STEP (\d+/\d+): (.*)$")
# Where a build sees the machine's CA bundle and its cache of wheels; nothing of both is in the image.
CA_BUNDLE, WHEELS = "/run/ca-bundle.crt", "/run/uv-cache"


class Receiver(Protocol):
    """What takes an image archive in: a node."""

    def import_image(self, archive: Path) -> None: ...


def build(name: str, report: Report = print, source: Path = REPOSITORY_ROOT, tag: str = "latest") -> str:
    """Builds ``Dockerfile.NAME`` of ``source`` and returns the image's id; unchanged layers are reused.

    Raises BuildahError, whose message ends with the log of the step that failed.
    """
    with buildah.alone():
        return _build(name, report, source, tag)


def _build(name: str, report: Report, source: Path, tag: str = "latest") -> str:
    dockerfile = source / f"Dockerfile.{name}"
    if not dockerfile.exists():
        raise FileNotFoundError(
            f"{dockerfile} is missing: images are built from a checkout of the repository"
        )
    begin = time.monotonic()
    base = base_image.ensure(report)
    log = buildah.store() / f"build-{name}.log"
    text = buildah.run(
        "build",
        "--pull-never",
        "--layers",
        # A fixed time: the same content gives the same digest.
        f"--timestamp={os.environ.get('SOURCE_DATE_EPOCH', '0')}",
        f"--build-arg=BASE={base}",
        *_machine_arguments(),
        f"--file={dockerfile}",
        f"--tag={local_name(name, tag)}",
        str(source),
        follow=_Steps(name, report),
        log=log,
    )
    _forget_old(f"{name}-{tag}", text)
    image = buildah.image_id(local_name(name, tag))
    assert image is not None
    report(f"image {name}: built in {time.monotonic() - begin:.1f} s ({image[:12]})")
    return image


def local_name(name: str, tag: str = "latest") -> str:
    """The name of a product's image in the store."""
    return f"localhost/vistrain/{name}:{tag}"


def push(image: str, registry: str, repository: str, *, insecure: bool = True) -> str:
    """Pushes ``image`` of the store and returns ``REGISTRY/REPOSITORY@sha256:...``.

    zstd at its fastest: of what containerd 1.6 reads, the least time to push and pull on two cores.
    """
    identity = buildah.image_id(image)
    if identity is None:
        raise buildah.BuildahError(f"no image {image!r} in {buildah.store()}: build it first")
    with tempfile.NamedTemporaryFile("r", prefix="digest-") as digest:
        buildah.run(
            "push",
            "--quiet",
            "--format=oci",
            "--compression-format=zstd",
            "--compression-level=1",
            f"--tls-verify={str(not insecure).lower()}",
            f"--digestfile={digest.name}",
            image,
            f"docker://{registry}/{repository}:{identity[:12]}",
        )
        return f"{registry}/{repository}@{digest.read().strip()}"


def publish(
    registry: str,
    report: Report = print,
    products: Iterable[str] = PRODUCTS,
    *,
    source: Path = REPOSITORY_ROOT,
    insecure: bool = True,
) -> dict[str, str]:
    """Builds and pushes the product's images; their references by digest, as the Helm chart takes them."""
    references = {}
    for name in products:
        # One hold for both: another build must not take away the image that is being pushed.
        with buildah.alone():
            _build(name, report, source)
            begin = time.monotonic()
            report(f"image {name}: pushing to {registry}")
            references[name] = push(local_name(name), registry, f"vistrain/{name}", insecure=insecure)
        report(f"image {name}: pushed in {time.monotonic() - begin:.1f} s as {references[name]}")
    return references


def load(image: str, nodes: Iterable[Receiver]) -> None:
    """Puts an image onto nodes without a registry: an archive (``docker save``), or a name in the store."""
    if Path(image).is_file():
        if not tarfile.is_tarfile(image):
            raise ValueError(f"{image} is no image archive: write one with `docker save -o {image} NAME`")
        for node in nodes:
            node.import_image(Path(image))
        return
    if buildah.image_id(image) is None:
        raise buildah.BuildahError(
            f"no image {image!r} in {buildah.store()} and no such file: "
            "give an archive that `docker save` wrote"
        )
    with tempfile.TemporaryDirectory(dir=buildah.environment()["TMPDIR"]) as folder:
        archive = Path(folder) / "image.tar"
        buildah.run("push", "--quiet", image, f"docker-archive:{archive}:{image}")
        for node in nodes:
            node.import_image(archive)


def pause_archive(config: ClusterConfig, sources: Path = GO_MODULES) -> Path:
    """The archive of the pods' sandbox image: one static program of ours, built if it is not cached."""
    program = sources / "pause"
    digest = hashlib.sha256((program / "main.go").read_bytes()).hexdigest()[:12]
    archive = config.cache / "images" / f"pause-{digest}.tar"
    if archive.exists():
        return archive
    with buildah.alone(), buildah.working_container("scratch") as (container, root):
        done = subprocess.run(
            ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(root / "pause"), "."],
            cwd=program,
            env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"building {program} failed:\n{done.stderr.strip()[-1500:]}")
        buildah.run("config", '--entrypoint=["/pause"]', "--user=65535:65535", container)
        buildah.run("commit", "--quiet", "--timestamp=0", container, PAUSE_IMAGE)
        beside = archive.with_suffix(".part")
        beside.unlink(missing_ok=True)
        buildah.run("push", "--quiet", PAUSE_IMAGE, f"docker-archive:{beside}:{PAUSE_IMAGE}")
        beside.replace(archive)
    return archive


class _Steps:
    """Reports each step of a build that is really done, once its next line shows that no cache serves it."""

    def __init__(self, name: str, report: Report) -> None:
        self.name = name
        self.report = report
        self.waiting = ""

    def __call__(self, line: str) -> None:
        if self.waiting and "Using cache" not in line:
            self.report(f"image {self.name}: {self.waiting}")
        self.waiting = ""
        if (found := STEP.match(line)) and (command := found[3]).startswith(("RUN", "COPY")):
            short = re.sub(r"--mount=\S+\s+", "", command)
            self.waiting = (
                f"stage {found[1] or '1/1'} step {found[2]}: {short[:70]}{'…' if len(short) > 70 else ''}"
            )


def _machine_arguments() -> list[str]:
    """What of this machine a build is given: a CA bundle that the environment names, and uv's wheels."""
    arguments = []
    for variable in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
        bundle = os.environ.get(variable)
        if bundle and Path(bundle).is_file():
            arguments += [
                f"--volume={Path(bundle).resolve()}:{CA_BUNDLE}:ro",
                f"--build-arg=PIP_CERT={CA_BUNDLE}",
                f"--build-arg=SSL_CERT_FILE={CA_BUNDLE}",
            ]
            break
    # The environment's own wheels, unpacked: gigabytes that are not fetched twice.
    wheels = _uv_cache()
    wheels.mkdir(parents=True, exist_ok=True)
    return [*arguments, f"--volume={wheels}:{WHEELS}", f"--build-arg=UV_CACHE_DIR={WHEELS}"]


def _uv_cache() -> Path:
    if uv := shutil.which("uv"):
        done = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return Path(done.stdout.strip())
    return ClusterConfig.from_environment().cache / "uv"


def forget(name: str, tag: str) -> None:
    """Removes an image that :func:`build` made; layers that no other build uses go at the next build."""
    with buildah.alone():
        buildah.run("rmi", local_name(name, tag))
        _used(f"{name}-{tag}").unlink(missing_ok=True)


def _used(build_name: str) -> Path:
    return buildah.store() / f"used-{build_name}.txt"


def _forget_old(build_name: str, log: str) -> None:
    """Removes layers that the newest builds do not use; each dependency set would keep gigabytes."""
    used = re.findall(r"^(?:--> (?:Using cache )?)?([0-9a-f]{11,64})$", log, re.MULTILINE)
    _used(build_name).write_text("\n".join(sorted(set(used))) + "\n")
    keep = {line for file in buildah.store().glob("used-*.txt") for line in file.read_text().split()}
    listed = buildah.run("images", "--all", "--no-trunc", "--format={{.ID}} {{.Name}}").splitlines()
    for line in listed:
        identity, _, tag = line.partition(" ")
        identity = identity.removeprefix("sha256:")
        if tag.strip() in ("", "<none>") and not any(identity.startswith(short) for short in keep):
            # One that a kept image stands on is refused, rightly.
            subprocess.run(
                buildah.command("rmi", identity), env=buildah.environment(), capture_output=True, check=False
            )

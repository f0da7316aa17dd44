"""The local image registry: Debian's docker-registry, with its blobs in the cache."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.supervision import Program

BINARY = "docker-registry"
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


class RegistryError(RuntimeError):
    """The registry does not do what was asked; the message names its address and the way out."""


def configuration(storage: Path, address: str) -> dict[str, Any]:
    """The registry's configuration: blobs below `storage`, plain HTTP on `address` (`host:port`)."""
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage), "maxthreads": 100},
            "delete": {"enabled": True},
            # Uploads that a killed push left behind.
            "maintenance": {
                "uploadpurging": {"enabled": True, "age": "1h", "interval": "1h", "dryrun": False}
            },
        },
        "http": {"addr": address},
    }


def write_config(path: Path, storage: Path, address: str) -> Path:
    """Write the configuration to `path` and return `path`."""
    storage.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(configuration(storage, address), sort_keys=False))
    return path


def command(config_file: Path) -> list[str]:
    """The command that serves in the foreground. Raises RegistryError where the binary is missing."""
    binary = shutil.which(BINARY)
    if binary is None:
        raise RegistryError(f"{BINARY} is not there: run `vistrain-devcluster install`")
    return [binary, "serve", str(config_file)]


def storage(config: ClusterConfig) -> Path:
    """Where a cluster's registry keeps its blobs; they outlive the cluster."""
    return config.cache / "registry" / config.name


def program(config: ClusterConfig) -> Program:
    """The registry as a program of the cluster's supervisord; writes its configuration file.

    Before it serves, blobs of images that were pruned are deleted: only then can no push be under way.
    """
    file = write_config(config.state / "registry.yaml", storage(config), config.registry)
    serve, collect = shlex.join(command(file)), shlex.join(_collect_command(file))
    return Program("registry", ["sh", "-c", f"{collect} > /dev/null; exec {serve}"], priority=10)


def ready(address: str) -> bool:
    """Whether a registry answers on `address` (`host:port`)."""
    try:
        with _open(f"http://{address}/v2/") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait(address: str, seconds: float = 20.0) -> None:
    """Return once the registry answers; RegistryError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready(address):
        if time.monotonic() > deadline:
            raise RegistryError(
                f"no image registry answers on {address}: is the cluster up? `vistrain-devcluster up`"
            )
        time.sleep(0.05)


def tags(address: str, repository: str) -> dict[str, str]:
    """The tags of a repository, each with the digest that it names; empty for an unknown repository."""
    try:
        with _open(f"http://{address}/v2/{repository}/tags/list") as answer:
            names = json.load(answer).get("tags") or []
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        raise
    return {name: digest for name in sorted(names) if (digest := _digest(address, repository, name))}


def prune(address: str, keep: dict[str, set[str]]) -> list[str]:
    """Delete, in each repository of `keep`, all digests but those given; return what was deleted.

    The blobs go at the next `collect_garbage`, which needs the registry to be down.
    """
    deleted = []
    for repository, digests in keep.items():
        for digest in sorted(set(tags(address, repository).values()) - digests):
            with _open(f"http://{address}/v2/{repository}/manifests/{digest}", "DELETE"):
                deleted.append(f"{repository}@{digest}")
    return deleted


def collect_garbage(config_file: Path) -> None:
    """Delete blobs that no manifest names. The registry must not be running: it could be writing one."""
    done = subprocess.run(_collect_command(config_file), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RegistryError(f"garbage collection in the registry failed:\n{done.stderr.strip()[-1500:]}")


def _collect_command(config_file: Path) -> list[str]:
    return [command(config_file)[0], "garbage-collect", "--delete-untagged", str(config_file)]


def _digest(address: str, repository: str, reference: str) -> str | None:
    try:
        with _open(f"http://{address}/v2/{repository}/manifests/{reference}", "HEAD") as answer:
            return str(answer.headers["Docker-Content-Digest"])
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def _open(url: str, method: str = "GET") -> Any:
    request = urllib.request.Request(url, method=method, headers={"Accept": ", ".join(MANIFEST_TYPES)})
    # The registry is on this machine: a proxy of the environment has no business there.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=10)

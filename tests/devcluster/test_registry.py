"""The local registry, as a real process on the loopback with its blobs in a folder of the test's."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vistrain_devcluster import images, registry
from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.node_files import PAUSE_IMAGE


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@dataclass
class Running:
    """A registry that serves."""

    address: str
    storage: Path
    config_file: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def blobs(self) -> set[str]:
        return {path.parent.name for path in self.storage.rglob("blobs/sha256/*/*/data")}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    address = free_address()
    file = registry.write_config(tmp_path / "registry.yaml", tmp_path / "storage", address)
    with subprocess.Popen(registry.command(file), stderr=subprocess.DEVNULL) as process:
        registry.wait(address)
        yield Running(address, tmp_path / "storage", file, process)
        process.terminate()


def test_a_clusters_registry_keeps_its_blobs_in_the_cache_and_tidies_before_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "command", lambda file: ["docker-registry", "serve", str(file)])
    config = ClusterConfig(state_root=tmp_path / "state", cache=tmp_path / "cache")
    program = registry.program(config)
    file = config.state / "registry.yaml"
    assert program.command[-1] == (
        f"docker-registry garbage-collect --delete-untagged {file} > /dev/null; "
        f"exec docker-registry serve {file}"
    )
    assert f"rootdirectory: {tmp_path}/cache/registry/vistrain" in file.read_text()
    assert "addr: 10.240.0.1:5000" in file.read_text()


def test_a_missing_registry_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    address = free_address()
    with pytest.raises(registry.RegistryError, match=rf"{address}.*vistrain-devcluster up"):
        registry.wait(address, seconds=0.0)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(registry.RegistryError, match=r"docker-registry.*vistrain-devcluster install"):
        registry.command(Path("registry.yaml"))


@pytest.mark.cluster
def test_an_image_is_pushed_by_digest_and_pruned_with_its_blobs(running: Running) -> None:
    images.pause_archive(ClusterConfig.from_environment())
    reference = images.push(PAUSE_IMAGE, running.address, "test/pause")
    name, _, digest = reference.partition("@")
    assert name == f"{running.address}/test/pause"
    assert list(registry.tags(running.address, "test/pause").values()) == [digest]
    # The same content again is the same reference.
    assert images.push(PAUSE_IMAGE, running.address, "test/pause") == reference
    assert registry.prune(running.address, {"test/pause": {digest}}) == []
    assert digest.removeprefix("sha256:") in running.blobs()
    assert registry.prune(running.address, {"test/pause": set()}) == [f"test/pause@{digest}"]
    assert registry.tags(running.address, "test/pause") == {}
    running.stop()
    registry.collect_garbage(running.config_file)
    assert running.blobs() == set()


@pytest.mark.cluster
def test_an_unknown_repository_has_no_tags(running: Running) -> None:
    assert registry.tags(running.address, "nobody/knows") == {}

"""The record of what is on the machine, control groups, binaries, requirements: without a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue

import pytest

from vistrain_devcluster import binaries, requirements
from vistrain_devcluster.cgroups import Cgroups
from vistrain_devcluster.cluster import Cluster, RequirementsMissing
from vistrain_devcluster.config import ClusterConfig, NodeSpec
from vistrain_devcluster.ledger import Ledger
from vistrain_devcluster.lock import exclusive


@pytest.fixture
def config(tmp_path: Path) -> ClusterConfig:
    return ClusterConfig(state_root=tmp_path / "state", cache=tmp_path / "cache")


# The record


def test_the_record_survives_and_holds_each_name_once(config: ClusterConfig) -> None:
    Ledger(config).note(namespaces=["a", "b"], links=["l"])
    Ledger(config).note(namespaces=["b", "c"], cgroups=["/g"])
    Ledger(config).put_node(NodeSpec("node-b", 2, {"1g.20gb": 1}))
    Ledger(config).put_node(NodeSpec("node-a", 1))
    record = Ledger(config).read()
    assert (record.namespaces, record.links, record.cgroups) == (["a", "b", "c"], ["l"], ["/g"])
    assert [node.name for node in record.nodes] == ["node-a", "node-b"]
    assert Ledger(config).node("node-b").mig == {"1g.20gb": 1}


def test_a_node_is_marked_and_unmarked(config: ClusterConfig) -> None:
    ledger = Ledger(config)
    ledger.mark("node-a", dead=True, cut=False)
    ledger.mark("node-a", dead=True)
    assert (ledger.read().dead, ledger.read().cut) == (["node-a"], [])
    ledger.mark("node-a", dead=False)
    assert ledger.read().dead == []


def test_only_missing_folders_are_noted(config: ClusterConfig, tmp_path: Path) -> None:
    Ledger(config).note_folder(tmp_path / "new" / "deep")
    assert Ledger(config).read().folders == [str(tmp_path / "new" / "deep"), str(tmp_path / "new")]


def test_a_broken_record_is_named(config: ClusterConfig) -> None:
    ledger = Ledger(config)
    ledger.note(links=["l"])
    ledger.path.write_text('{"nodes": [')
    with pytest.raises(RuntimeError, match=str(ledger.path)):
        ledger.read()


def test_an_unknown_node_is_answered_with_the_known_ones(config: ClusterConfig) -> None:
    Ledger(config).put_node(NodeSpec("node-a", 1))
    with pytest.raises(RuntimeError, match=r"'node-x'; known: node-a"):
        Ledger(config).node("node-x")


# Control groups, on trees that look like the kernel's


def tree_of_version_one(root: Path) -> Path:
    for controller in ("memory", "pids", "cpuset", "unified"):
        (root / controller).mkdir(parents=True)
        (root / controller / "cgroup.procs").touch()
    (root / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (root / "cpuset" / "cpuset.mems").write_text("0\n")
    return root


def test_version_one_makes_the_group_in_each_controller(tmp_path: Path) -> None:
    cgroups = Cgroups(tree_of_version_one(tmp_path))
    cgroups.make("/top/node")
    assert (tmp_path / "memory/top/node").is_dir()
    assert (tmp_path / "pids/top/node").is_dir()
    assert not (tmp_path / "unified/top").exists()
    assert cgroups.tracking == tmp_path / "pids"
    assert cgroups.enter_command("/top/node") == f"echo $$ > {tmp_path}/pids/top/node/cgroup.procs"


def test_version_one_copies_a_cpuset_that_is_empty(tmp_path: Path) -> None:
    root = tree_of_version_one(tmp_path)
    group = root / "cpuset" / "top"
    group.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (group / name).write_text("\n")
    Cgroups(root).make("/top")
    assert (group / "cpuset.cpus").read_text() == "0-1\n"
    assert (group / "cpuset.mems").read_text() == "0\n"


def test_version_two_hands_controllers_on(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()
    for folder in (tmp_path, tmp_path / "top"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpu memory pids rdma\n")
        (folder / "cgroup.subtree_control").write_text("cpu memory\n" if folder == tmp_path else "\n")
    cgroups = Cgroups(tmp_path)
    assert cgroups.unified
    cgroups.make("/top/node")
    assert (tmp_path / "top" / "node").is_dir()
    # The kernel adds what is written; a plain file keeps the last word.
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+pids"
    assert (tmp_path / "top" / "cgroup.subtree_control").read_text() == "+pids"


def test_groups_are_removed_children_first_in_every_hierarchy(tmp_path: Path) -> None:
    root = tmp_path
    for hierarchy in ("memory", "unified"):
        (root / hierarchy / "top" / "node" / "pod").mkdir(parents=True)
        # Only now does the hierarchy look mounted; a real group's files vanish with it.
        (root / hierarchy / "cgroup.procs").touch()
    cgroups = Cgroups(root)
    assert sorted(p.parent.name for p in cgroups.left("/top")) == ["memory", "unified"]
    cgroups.remove("/top")
    assert not (root / "memory" / "top").exists()
    assert not (root / "unified" / "top").exists()


def test_kill_ends_what_is_in_the_group(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        root = tree_of_version_one(tmp_path)
        group = root / "pids" / "top" / "deep"
        group.mkdir(parents=True)
        listing = group / "cgroup.procs"
        listing.write_text(f"{process.pid}\n")
        (root / "pids" / "other").mkdir()
        (root / "pids" / "other" / "cgroup.procs").write_text(f"{os.getpid()}\n")
        cgroups = Cgroups(root)
        assert cgroups.processes("/top") == {process.pid}

        def forget() -> None:  # as the kernel does with a process that has ended
            process.wait()
            listing.write_text("")

        kernel = threading.Thread(target=forget)
        kernel.start()
        assert cgroups.kill("/top") == 1
        kernel.join()
        assert process.returncode == -signal.SIGKILL


# The lock


def test_a_lock_whose_file_was_removed_keeps_others_out_all_the_same(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", Queue[str]()
    waits = threading.Event()

    def second() -> None:
        with exclusive(path, waits.set):
            order.put("second in")
            # The file is the one that newcomers see.
            order.put("same" if path.exists() else "gone")

    with exclusive(path, lambda: None):
        other = threading.Thread(target=second)
        other.start()
        assert waits.wait(20)
        order.put("first out")
        path.unlink()
    other.join(20)
    assert [order.get(timeout=1) for _ in range(3)] == ["first out", "second in", "same"]


# Binaries


def module_of(sources: Path, version: str) -> binaries.Module:
    folder = sources / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text(f"module x\n\nrequire (\n\texample.org/demo {version}\n)\n")
    (folder / "go.sum").write_text("")
    return binaries.Module("demo", "example.org/demo", ["example.org/demo/cmd/tool"])


def test_a_new_version_is_built_beside_the_old(tmp_path: Path) -> None:
    module = module_of(tmp_path, "v1.2.3")
    old = binaries.module_folder(module, tmp_path / "cache", tmp_path)
    assert old.name.startswith("demo-v1.2.3-")
    old.mkdir(parents=True)
    (old / "tool").touch()
    assert binaries.missing(tmp_path / "cache", [module], tmp_path) == []
    module_of(tmp_path, "v1.2.4")
    assert binaries.missing(tmp_path / "cache", [module], tmp_path) == ["tool"]


def test_a_change_of_our_own_source_is_another_build(tmp_path: Path) -> None:
    module = module_of(tmp_path, "v1.2.3")
    before = binaries.module_folder(module, tmp_path, tmp_path)
    (tmp_path / "demo" / "main.go").write_text("package main\n")
    assert binaries.module_folder(module, tmp_path, tmp_path) != before


def test_go_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(tmp_path, "v1.2.3")
    monkeypatch.setattr(binaries, "go_version", lambda: (1, 19))
    with pytest.raises(binaries.BuildError, match=r"Go 1.26 or newer is needed to build tool; this is 1.19"):
        binaries.ensure(tmp_path / "cache", print, [module], tmp_path)


def test_a_failed_build_ends_with_the_compilers_words(tmp_path: Path) -> None:
    module = binaries.Module("demo", "example.org/demo", ["."], aliases=((".", "tool"),))
    folder = tmp_path / "demo"
    folder.mkdir()
    # The version stands in a module that is replaced by a folder: nothing is fetched.
    (folder / "go.mod").write_text(
        "module x\n\ngo 1.26.0\n\nrequire example.org/demo v1.0.0\n\nreplace example.org/demo => ./other\n"
    )
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    (folder / "other").mkdir()
    (folder / "other" / "go.mod").write_text("module example.org/demo\n\ngo 1.26.0\n")
    with pytest.raises(binaries.BuildError, match=r"building tool failed(.|\n)*undefined: nonsense"):
        binaries.ensure(tmp_path / "cache", lambda _: None, [module], tmp_path)
    assert not list((tmp_path / "cache").rglob("tool*"))


# Requirements


def test_each_thing_that_is_missing_has_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ClusterConfig(state_root=Path("/srv/state"), cache=tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(requirements, "_free", lambda _: 3 * requirements.GIB)
    monkeypatch.setattr(requirements, "_memory", lambda: 2 * requirements.GIB)
    monkeypatch.setattr(requirements, "missing_packages", lambda: ["containerd", "runc"])
    monkeypatch.setattr(binaries, "go_version", lambda: None)
    found = requirements.problems(config)
    starts = [line.split(":")[0] for line in found]
    assert starts == ["root", "disk", "disk", "memory", "packages", "go"]
    assert "vistrain run -f" in found[0]
    assert "3.0 GB are free" in found[1]
    assert "containerd, runc missing; run `vistrain-devcluster install`" in found[4]
    assert all("\n" not in line for line in found)


def test_a_kernel_that_refuses_namespaces_is_named(
    config: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "missing_packages", list)
    monkeypatch.setattr(requirements, "_namespaces_refused", lambda: "unshare failed: not permitted")
    assert any(
        "kernel: namespaces cannot be made here (unshare failed: not permitted)" in line
        for line in requirements.problems(config)
    )


def test_without_root_nothing_is_touched(config: ClusterConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    cluster = Cluster(config, report=lambda _: None)
    with pytest.raises(RequirementsMissing, match="root: the dev cluster needs it"):
        cluster.up()
    with pytest.raises(RuntimeError, match="run this command as root"):
        cluster.down()
    with pytest.raises(RuntimeError, match="run this command as root"):
        cluster.kill_node("node-a")
    assert not config.state_root.exists()


def test_less_disk_is_needed_where_the_images_are(config: ClusterConfig) -> None:
    assert requirements.needed_disk(config) == requirements.NEEDED_DISK
    blobs = config.node_images("node-a") / "io.containerd.content.v1.content" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    with (blobs / "layer").open("wb") as stream:
        stream.truncate(requirements.HELD_IMAGES + 1)
    assert requirements.needed_disk(config) == requirements.NEEDED_DISK_AGAIN


def test_the_disk_that_must_be_free_can_be_stated(tmp_path: Path) -> None:
    environment = {
        "VISTRAIN_FREE_GB": "1000000",
        "VISTRAIN_STATE": str(tmp_path),
        "VISTRAIN_CACHE": str(tmp_path),
    }
    (line,) = [
        line
        for line in requirements.problems(ClusterConfig.from_environment(environment))
        if line.startswith("disk")
    ]
    assert "1000000 GB are needed" in line


def test_state_below_run_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = ClusterConfig(state_root=Path("/run/x"), cache=tmp_path)
    assert any("VISTRAIN_STATE=/run/x" in line for line in requirements.problems(config))


def test_a_state_folder_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    config = ClusterConfig(state_root=Path("/srv/" + "long-name/" * 8), cache=tmp_path)
    (line,) = [line for line in requirements.problems(config) if "sockets" in line]
    assert "characters too long for Unix sockets" in line


def test_a_package_is_seen_by_what_it_brings(tmp_path: Path) -> None:
    there = tmp_path / "file"
    there.touch()
    assert requirements.Package("x", (str(there), "sh")).present()
    assert not requirements.Package("x", (str(there), "no-such-command")).present()


@pytest.mark.parametrize("systemd", [True, False])
def test_install_asks_apt_for_what_is_missing_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, systemd: bool
) -> None:
    answers = iter([["runc", "prometheus"], []])
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(requirements, "missing_packages", lambda: next(answers))
    monkeypatch.setattr(requirements, "SYSTEMD", tmp_path if systemd else tmp_path / "none")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    assert requirements.install() == ["runc", "prometheus"]
    assert asked[1][-3:] == ["--no-install-recommends", "runc", "prometheus"]
    # The machine gets programs, not services.
    assert asked[2:] == ([["systemctl", "disable", "--now", "prometheus"]] if systemd else [])


def test_a_package_manager_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "missing_packages", lambda: ["runc"])
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 100, "", "E: no network")
    )
    with pytest.raises(RuntimeError, match="`apt-get update -qq` failed:\nE: no network"):
        requirements.install()

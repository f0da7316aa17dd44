"""The cluster's life: up, down, status, and its nodes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from vistrain_devcluster import (
    binaries,
    control_plane,
    dns,
    image_template,
    images,
    launcher,
    mounts,
    network,
    pki,
    provisioner,
    registry,
    requirements,
)
from vistrain_devcluster.api import Api, ApiError, wait_until
from vistrain_devcluster.cgroups import Cgroups
from vistrain_devcluster.config import DEFAULT_NODES, MIG_RESOURCE_PREFIX, ClusterConfig, NodeSpec
from vistrain_devcluster.ledger import Ledger, current_boot
from vistrain_devcluster.lock import exclusive
from vistrain_devcluster.node import Node, program_name
from vistrain_devcluster.node_files import PAUSE_IMAGE
from vistrain_devcluster.supervision import (
    Supervisor,
    SupervisorGone,
    render,
    start_detached,
    supervisord_command,
)

READY_SECONDS = 90.0
Report = Callable[[str], None]


class RequirementsMissing(RuntimeError):
    """Something the cluster needs is not there; ``problems`` has a line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Cluster:
    """One dev cluster. Methods that change it hold a lock, so two commands never meet."""

    def __init__(self, config: ClusterConfig, report: Report = print) -> None:
        self.config = config
        self.report = report
        self.lock = config.state_root / f"{config.name}.lock"
        self.ledger = Ledger(config)
        self.cgroups = Cgroups()
        self.supervisor = Supervisor(config.supervisor_socket)
        self.api = Api(config)

    def _locked(self) -> AbstractContextManager[None]:
        if os.geteuid() != 0:
            raise RuntimeError("the dev cluster is root's: run this command as root")
        return exclusive(self.lock, lambda: self.report("another command is at work; waiting for it"))

    def node(self, name: str) -> Node:
        """The node of that name. Raises when there is none."""
        return Node(self.config, self.ledger.node(name), self.cgroups)

    def nodes(self) -> list[Node]:
        return [Node(self.config, spec, self.cgroups) for spec in self.ledger.read().nodes]

    def running_nodes(self) -> list[Node]:
        """The nodes whose processes run, whatever their network."""
        return [node for node in self.nodes() if node.supervisor.alive()]

    def running(self) -> bool:
        """Whether the supervisor and the API server answer."""
        return self.supervisor.alive() and self.api.ready()

    # Up -------------------------------------------------------------------------------------------

    def up(
        self, nodes: Sequence[NodeSpec] = DEFAULT_NODES, *, prepare: Callable[[], object] | None = None
    ) -> None:
        """Brings the cluster up and returns when every node is Ready. What is up already is left alone.

        State that is there (after a reboot, or after the supervisor was killed) is taken up again.
        ``prepare`` is called between the start of the control plane, with its registry, and that of the
        nodes: what it puts into the image template is on every node from the first moment.
        """
        if os.geteuid() != 0:
            raise RequirementsMissing(requirements.problems(self.config))
        with self._locked():
            if self.running():
                self.report("the cluster is already up")
                self._start_nodes([n for n in self.nodes() if n.spec.name not in self.ledger.read().dead])
                return
            problems = requirements.problems(self.config)
            if clashes := network.conflicting_routes(self.config):
                problems.append(
                    f"network: {', '.join(clashes)} is in use on this machine; choose others with "
                    "VISTRAIN_NETWORK, for example VISTRAIN_NETWORK=10.250,10.254"
                )
            if problems:
                raise RequirementsMissing(problems)
            programs = binaries.ensure(self.config.cache, self.report)
            self._clear_live()
            record = self.ledger.read()
            if record.boot_id not in ("", current_boot()):
                self.report("taking up the cluster of before the machine's restart (`down` begins anew)")
            if not record.nodes:
                record.nodes = list(nodes)
            record.boot_id, record.dead, record.cut = current_boot(), [], []
            self.ledger.write(record)
            self._start_control_plane(programs)
            if prepare:
                prepare()
            self._start_nodes(self.nodes())
            # Pods are refused in a namespace that has no service account yet.
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            wait_until(
                "the service account default/default is made",
                lambda: self.api.exists(account),
                READY_SECONDS,
                f"see {self.config.logs / 'kube-controller-manager.log'}",
            )

    def _start_control_plane(self, folder: Path) -> None:
        config = self.config
        config.state.mkdir(parents=True, exist_ok=True)
        pki.write_control_plane(config)
        control_plane.write_files(config)
        network.make_control(config, self.ledger)
        self.ledger.note(cgroups=[config.cgroup])
        self.cgroups.make(config.control_cgroup)
        self._write_supervisor(folder)
        self.report("starting the control plane")
        script = launcher.control_script(
            config, self.cgroups, supervisord_command(config.state / "supervisord.conf")
        )
        log = config.logs / "supervisord-start.log"
        start_detached([str(script)], log)
        self.supervisor.wait(log)
        wait_until("the API server is ready", self.api.ready, READY_SECONDS, f"see {config.logs}")
        dns.grant(self.api)

    def _write_supervisor(self, folder: Path) -> None:
        """Writes the cluster's supervisord configuration, with every node's files."""
        programs = [
            *control_plane.programs(self.config, folder),
            registry.program(self.config),
            provisioner.program(self.config, folder),
            dns.program(self.config, folder),
        ]
        programs += [node.write(folder, sys.executable) for node in self.nodes()]
        (self.config.state / "supervisord.conf").write_text(
            render(
                programs,
                socket=self.config.supervisor_socket,
                logs=self.config.logs,
                name=f"{self.config.name}-control",
            )
        )

    def _start_nodes(self, nodes: Sequence[Node]) -> None:
        down = [node for node in nodes if not node.supervisor.alive()]
        before = self.api.heartbeats()
        for node in down:
            self.report(f"starting {node.spec.name}")
            node.start()
        for node in down:
            node.wait_started()
            if PAUSE_IMAGE not in node.images():
                node.import_image(images.pause_archive(self.config))
        for node in nodes:
            self._wait_ready(node, before.get(node.spec.name) if node in down else None)
        if down:
            self.report(f"ready: {', '.join(node.spec.name for node in nodes)}")

    def _wait_ready(self, node: Node, stale: float | None) -> None:
        """Waits until the node is Ready and offers its slices.

        ``stale`` is the last word of an earlier life of its kubelet: the API server still repeats it.
        """
        name = node.spec.name
        wanted = {f"{MIG_RESOURCE_PREFIX}{profile}": str(count) for profile, count in node.spec.mig.items()}

        def ready() -> bool:
            try:
                if not self.api.nodes().get(name) or self.api.heartbeats().get(name) == stale:
                    return False
                offered = self.api.allocatable(name)
            except (ApiError, OSError):
                return False
            known = not wanted or node.registered.exists()
            return known and all(offered.get(resource) == count for resource, count in wanted.items())

        wait_until(f"node {name} is Ready with its slices", ready, READY_SECONDS, f"see {node.logs}")

    # Down -----------------------------------------------------------------------------------------

    def down(self, *, keep_images: bool = True) -> None:
        """Removes everything the cluster made, whatever its state. ``keep_images`` keeps image content."""
        with self._locked():
            if self.supervisor.alive():
                self._stop_in_order()
            self._clear_live()
            for mount in self.ledger.read().mounts:
                mounts.unmount_empty(Path(mount))
            for folder in sorted(self.ledger.read().folders, key=len, reverse=True):
                # Removing the folder below another cluster's mount would take that mount away.
                if not mounts.mounted_anywhere(folder):
                    _remove_if_empty(Path(folder))
            if self.config.state.exists():
                shutil.rmtree(self.config.state)
            if not keep_images:
                shutil.rmtree(self.config.cache / "nodes" / self.config.name, ignore_errors=True)
                shutil.rmtree(image_template.folder(self.config), ignore_errors=True)
            self.ledger.forget()
            self.lock.unlink(missing_ok=True)
            _remove_if_empty(self.config.state_root)

    def _stop_in_order(self) -> None:
        """Nodes first, all at once, so that containerd closes its database; the rest has nothing to save."""
        self.report("stopping the nodes")
        names = [program_name(node.spec.name) for node in self.nodes()]
        try:
            with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
                list(pool.map(self.supervisor.stop, names))
        except (SupervisorGone, RuntimeError) as error:
            self.report(f"a node does not stop in order ({error}); killing it")

    def _clear_live(self) -> None:
        """Removes processes, groups and network of this cluster, also those that a crash left behind."""
        record = self.ledger.read()
        for group in {self.config.cgroup, *record.cgroups}:
            killed = self.cgroups.kill(group)
            if killed:
                self.report(f"ended {killed} processes of {group}")
            self.cgroups.remove(group)
        network.remove_all(self.config, record.namespaces, record.links)

    # Nodes ----------------------------------------------------------------------------------------

    def add_node(self, name: str, mig: dict[str, int]) -> NodeSpec:
        """Adds a node and returns when it is Ready."""
        with self._locked():
            self._must_run()
            existing = self.ledger.read().nodes
            if any(node.name == name for node in existing):
                raise RuntimeError(f"a node is called {name!r} already")
            index = min(set(range(1, 201)) - {node.index for node in existing})
            spec = NodeSpec(name, index, mig)
            self.ledger.put_node(spec)
            self._write_supervisor(self.config.cache / "bin")
            self.supervisor.reread()
            self._start_nodes([self.node(name)])
            return spec

    def kill_node(self, name: str) -> None:
        with self._locked():
            self._must_run()
            self.node(name).kill()

    def start_node(self, name: str) -> None:
        with self._locked():
            self._must_run()
            self._start_nodes([self.node(name)])

    def cut_node(self, name: str) -> None:
        with self._locked():
            self.node(name).cut()

    def heal_node(self, name: str) -> None:
        with self._locked():
            self.node(name).heal()

    def _must_run(self) -> None:
        if not self.running():
            raise RuntimeError("the cluster is not up; run `vistrain-devcluster up`")


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return

"""A node: its programs, its start, its death, its cable."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from vistrain_devcluster import image_template, launcher, network
from vistrain_devcluster.api import wait_until
from vistrain_devcluster.cgroups import Cgroups
from vistrain_devcluster.config import ClusterConfig, NodeSpec
from vistrain_devcluster.device_plugin import REGISTERED
from vistrain_devcluster.ledger import Ledger
from vistrain_devcluster.node_files import CONTAINERD_SOCKET, node_labels, write_node_files
from vistrain_devcluster.supervision import Program, Supervisor, render, supervisord_command

# Folders of a node that stand in fixed places: path inside the node to folder in the node's state.
PRIVATE = {
    "/var/lib/kubelet": "kubelet",
    "/var/log/containers": "container-logs",
    "/var/lib/cni": "cni-results",
}
END_SECONDS = 15.0  # until supervisord has noticed the death of a node
# Broken connections are noticed sooner than by default (30 s + 15 s), so a healed node comes back quickly.
HTTP2_ENVIRONMENT = {"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "5", "HTTP2_PING_TIMEOUT_SECONDS": "3"}


def node_programs(config: ClusterConfig, node: NodeSpec, binaries: Path, python: str) -> list[Program]:
    """What runs on a node, under its own supervisord."""
    state = config.node_state(node.name)
    labels = ",".join(f"{key}={value}" for key, value in sorted(node_labels(node).items()))
    kubelet = [
        str(binaries / "kubelet"),
        f"--config={state / 'kubelet.yaml'}",
        f"--kubeconfig={state / 'kubelet.kubeconfig'}",
        f"--hostname-override={node.name}",
        f"--node-ip={config.node_address(node.index).ip}",
        "--cert-dir=/var/lib/kubelet/pki",
    ]
    if labels:
        kubelet.append(f"--node-labels={labels}")
    programs = [
        Program("containerd", ["containerd", f"--config={state / 'containerd.toml'}"], priority=10),
        Program("kubelet", kubelet, priority=20, environment=HTTP2_ENVIRONMENT),
        Program(
            "kube-proxy",
            [str(binaries / "kube-proxy"), f"--config={state / 'kube-proxy.yaml'}"],
            priority=30,
            environment=HTTP2_ENVIRONMENT,
        ),
    ]
    if node.mig:
        offers = [f"{profile}={count}" for profile, count in sorted(node.mig.items())]
        plugin = [python, "-P", "-m", "vistrain_devcluster.device_plugin"]
        programs.append(
            Program(
                "device-plugin",
                [*plugin, "/var/lib/kubelet/device-plugins", node.name, *offers],
                priority=40,
            )
        )
    return programs


def program_name(node: str) -> str:
    """The name of a node's process 1 in the cluster's supervisord."""
    return f"node-{node}" if not node.startswith("node-") else node


class Node:
    """One node of a cluster, as it stands on the machine."""

    def __init__(self, config: ClusterConfig, spec: NodeSpec, cgroups: Cgroups | None = None) -> None:
        self.config = config
        self.spec = spec
        self.cgroups = cgroups or Cgroups()
        self.ledger = Ledger(config)
        self.state = config.node_state(spec.name)
        self.supervisor = Supervisor(self.state / "supervisor.sock")
        self.outer = Supervisor(config.supervisor_socket)

    @property
    def registered(self) -> Path:
        """There while the kubelet that runs knows every slice of the node."""
        return self.state / PRIVATE["/var/lib/kubelet"] / "device-plugins" / REGISTERED

    @property
    def logs(self) -> Path:
        return self.config.logs / self.spec.name

    def write(self, binaries: Path, python: str) -> Program:
        """Writes the node's files; returns the program that is the node, for the cluster's supervisord."""
        write_node_files(self.config, self.spec, self.cgroups)
        self.logs.mkdir(parents=True, exist_ok=True)
        programs = node_programs(self.config, self.spec, binaries, python)
        config_file = self.state / "supervisord.conf"
        config_file.write_text(
            render(programs, socket=self.supervisor.socket, logs=self.logs, name=self.spec.name)
        )
        binds = {inside: self.state / folder for inside, folder in PRIVATE.items()}
        for folder in binds.values():
            folder.mkdir(parents=True, exist_ok=True)
        script = launcher.node_script(
            self.config, self.cgroups, self.spec.name, binds, supervisord_command(config_file)
        )
        # A node that dies stays dead, as a machine does.
        return Program(
            program_name(self.spec.name),
            [str(script)],
            priority=200,
            stop_seconds=30,
            restart=False,
            autostart=False,
            stop_group=True,
        )

    def start(self) -> None:
        """Plugs the node in and switches it on. It must be down."""
        if not self.supervisor.alive():
            image_template.seed(self.config, self.spec.name)
        name = program_name(self.spec.name)
        wait_until(
            f"the end of {self.spec.name}'s former life",
            lambda: self.outer.stopped(name),
            END_SECONDS,
            f"it runs but does not answer: `vistrain-devcluster node kill {self.spec.name}`, then start it",
        )
        self.registered.unlink(missing_ok=True)
        self.ledger.note(cgroups=[self.config.node_cgroup(self.spec.name)])
        # Groups of pods of a former life cost the kubelet's start seconds each.
        self.cgroups.kill(self.config.node_cgroup(self.spec.name))
        self.cgroups.remove(self.config.node_cgroup(self.spec.name))
        self.cgroups.make(f"{self.config.node_cgroup(self.spec.name)}/system")
        network.make_node(self.config, self.ledger, self.spec, self.ledger.read().nodes)
        for inside in PRIVATE:
            self.ledger.note_folder(Path(inside))
            Path(inside).mkdir(parents=True, exist_ok=True)
        self.outer.start(name, wait=False)
        self.ledger.mark(self.spec.name, dead=False, cut=False)

    def wait_started(self) -> None:
        """Returns once the node's process 1 answers."""
        self.supervisor.wait(self.config.logs / f"{program_name(self.spec.name)}.log")

    def kill(self) -> None:
        """Power cut: every process of the node ends at once, its network is gone, its disk stays."""
        self.ledger.mark(self.spec.name, dead=True, cut=False)
        # The cable first: nobody must see the node say goodbye.
        network.remove_node(self.config, self.spec.name, self.spec.index)
        self.cgroups.kill(self.config.node_cgroup(self.spec.name))
        self.cgroups.remove(self.config.node_cgroup(self.spec.name))
        self.supervisor.socket.unlink(missing_ok=True)

    def cut(self) -> None:
        """Pulls the network cable; everything on the node runs on."""
        self.ledger.mark(self.spec.name, cut=True)
        network.set_node_link(self.config, self.spec, up=False)

    def heal(self) -> None:
        """Plugs the network cable in again."""
        network.set_node_link(self.config, self.spec, up=True)
        self.ledger.mark(self.spec.name, cut=False)

    def init_pid(self) -> int:
        """The machine's process id of the node's process 1; an error when the node is down."""
        for program in self.outer.programs():
            if program["name"] == program_name(self.spec.name) and program["pid"]:
                children = psutil.Process(program["pid"]).children()
                if children:
                    return int(children[0].pid)
        raise RuntimeError(
            f"node {self.spec.name} does not run; "
            f"start it with `vistrain-devcluster node start {self.spec.name}`"
        )

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs ``arguments`` inside the node."""
        return ["nsenter", f"--target={self.init_pid()}", "--mount", "--net", "--pid", "--", *arguments]

    def ctr(self, *arguments: str) -> str:
        """Runs containerd's ``ctr`` on the images of Kubernetes; its standard output. Raises on failure."""
        line = ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", *arguments]
        done = subprocess.run(self.command(line), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"`ctr {' '.join(arguments)}` on {self.spec.name} ended with {done.returncode}: "
                f"{(done.stderr or done.stdout).strip()[-1500:]}"
            )
        return done.stdout

    def images(self) -> set[str]:
        """Names of the images that the node has."""
        return set(self.ctr("images", "list", "--quiet").split())

    def import_image(self, archive: Path) -> None:
        """Imports an image archive (OCI or docker) into the node."""
        self.ctr("images", "import", "--no-unpack=false", str(archive))

    def pull(self, image: str) -> None:
        """Pulls an image, through the local registry."""
        self.ctr("images", "pull", "--hosts-dir", str(self.config.registry_config), image)

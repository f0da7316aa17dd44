"""The command ``vistrain-devcluster``."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from vistrain_devcluster import images, requirements
from vistrain_devcluster import status as state
from vistrain_devcluster.cluster import Cluster, RequirementsMissing
from vistrain_devcluster.config import DEFAULT_NODES, ClusterConfig, ConfigError, parse_slices

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A real Kubernetes on one machine: control plane and nodes as supervised processes.",
)
node_app = typer.Typer(no_args_is_help=True, help="Nodes: add one, cut its power, cut its network.")
app.add_typer(node_app, name="node")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The node's name.")]
Image = Annotated[str, typer.Argument(metavar="IMAGE", help="The image's full name.")]


class Progress:
    """A live line on a terminal, plain lines elsewhere; both with the seconds gone by."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.begin = time.monotonic()
        self.status = self.console.status("") if self.console.is_terminal else None
        if self.status:
            self.status.start()

    def __call__(self, text: str) -> None:
        line = f"{time.monotonic() - self.begin:6.1f} s  {text}"
        if self.status:
            self.status.update(line)
        self.console.print(line, markup=False)

    def end(self) -> None:
        if self.status:
            self.status.stop()


def _with_cluster(action: Callable[[Cluster], object], *, quiet: bool = False) -> None:
    """Runs ``action``; what is wrong becomes one line (or one per missing thing) and exit code 1."""
    progress = Progress() if not quiet else None
    report: Callable[[str], None] = progress or (lambda _: None)
    try:
        config = ClusterConfig.from_environment()
        action(Cluster(config, report))
    except RequirementsMissing as missing:
        _fail(["the dev cluster cannot be brought up:", *(f"  {line}" for line in missing.problems)])
    except (ConfigError, RuntimeError, TimeoutError, OSError) as error:
        _fail([f"error: {error}"])
    finally:
        if progress:
            progress.end()


def _fail(lines: list[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)
    raise typer.Exit(1)


@app.command()
def install() -> None:
    """Install the Debian packages that are missing, and no others."""
    before = requirements.missing_packages()
    if not before:
        print("every package is there")
        return
    print(f"installing {', '.join(before)}", flush=True)
    try:
        requirements.install()
    except RuntimeError as error:
        _fail([f"error: {error}"])


@app.command()
def check() -> None:
    """Say what the machine lacks; exit code 1 when it lacks something."""
    try:
        problems = requirements.problems(ClusterConfig.from_environment())
    except (ConfigError, RuntimeError) as error:
        problems = [str(error)]
    if problems:
        _fail(problems)
    print("the machine has what the dev cluster needs")


@app.command()
def up() -> None:
    """Bring the cluster up (two nodes); one that is up already is left alone."""

    def action(cluster: Cluster) -> None:
        cluster.up(DEFAULT_NODES)
        print(f"export KUBECONFIG={cluster.config.kubeconfig}")

    _with_cluster(action)


@app.command()
def down(
    keep_images: Annotated[
        bool, typer.Option(help="Keep the nodes' image content in the cache for the next `up`.")
    ] = True,
) -> None:
    """Remove everything the cluster made on this machine, also what a crash left behind."""
    _with_cluster(lambda cluster: cluster.down(keep_images=keep_images))


@app.command()
def status() -> None:
    """Show nodes, slices and processes; exit code 1 when the cluster is not up."""

    def action(cluster: Cluster) -> None:
        table = Table("node", "state", "address", "slices")
        for node in state.nodes(cluster):
            slices = ", ".join(f"{count} x {name}" for name, count in sorted(node.slices.items()))
            table.add_row(node.spec.name, node.state, node.address, slices or "none")
        if table.row_count:
            Console().print(table)
        for process in state.processes(cluster):
            print(f"{process.owner:12} {process.name:24} {process.state:9} {process.description}")
        if not cluster.running():
            raise RuntimeError("the cluster is not up; run `vistrain-devcluster up`")

    _with_cluster(action, quiet=True)


@app.command()
def kubeconfig() -> None:
    """Print the path of the kubeconfig: `export KUBECONFIG=$(vistrain-devcluster kubeconfig)`."""

    def action(cluster: Cluster) -> None:
        if not cluster.config.kubeconfig.exists():
            raise RuntimeError("there is no cluster; run `vistrain-devcluster up`")
        print(cluster.config.kubeconfig)

    _with_cluster(action, quiet=True)


@app.command()
def load(image: Image) -> None:
    """Put an image that was built here onto every running node, without the registry."""
    _with_cluster(lambda cluster: images.load(image, cluster.running_nodes()))


@app.command()
def pull(image: Image) -> None:
    """Let every running node pull an image through the local registry."""

    def action(cluster: Cluster) -> None:
        for node in cluster.running_nodes():
            cluster.report(f"{node.spec.name} pulls {image}")
            node.pull(image)

    _with_cluster(action)


@node_app.command("add")
def node_add(
    name: Name,
    mig: Annotated[
        list[str] | None,
        typer.Option(metavar="PROFILE=COUNT", help="Slices it offers, such as 1g.20gb=2; can be repeated."),
    ] = None,
) -> None:
    """Add a node and wait until it is Ready."""

    _with_cluster(lambda cluster: cluster.add_node(name, parse_slices(mig or [])))


@node_app.command("kill")
def node_kill(name: Name) -> None:
    """Cut a node's power: every process on it dies at once, its network is gone, its disk stays."""
    _with_cluster(lambda cluster: cluster.kill_node(name))


@node_app.command("start")
def node_start(name: Name) -> None:
    """Switch a killed node on again and wait until it is Ready."""
    _with_cluster(lambda cluster: cluster.start_node(name))


@node_app.command("cut")
def node_cut(name: Name) -> None:
    """Pull a node's network cable; what runs on it runs on."""
    _with_cluster(lambda cluster: cluster.cut_node(name))


@node_app.command("heal")
def node_heal(name: Name) -> None:
    """Plug a node's network cable in again."""
    _with_cluster(lambda cluster: cluster.heal_node(name))


@node_app.command("exec", context_settings={"ignore_unknown_options": True})
def node_exec(
    name: Name, command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run on it.")]
) -> None:
    """Run a command on a node, such as `ctr --namespace k8s.io images list`."""
    codes: list[int] = []

    def action(cluster: Cluster) -> None:
        codes.append(subprocess.run(cluster.node(name).command(command), check=False).returncode)

    _with_cluster(action, quiet=True)
    raise typer.Exit(codes[0])


@app.command()
def logs(program: Annotated[str, typer.Argument(help="Such as kube-apiserver or node-a/kubelet.")]) -> None:
    """Print the path of a program's log."""

    def action(cluster: Cluster) -> None:
        path: Path = cluster.config.logs / f"{program}.log"
        if not path.exists():
            known = sorted(
                str(p.relative_to(cluster.config.logs).with_suffix(""))
                for p in cluster.config.logs.rglob("*.log")
            )
            raise RuntimeError(f"no log of {program!r}; there are: {', '.join(known) or 'none'}")
        print(path)

    _with_cluster(action, quiet=True)


def main() -> None:
    """Entry point."""
    app()

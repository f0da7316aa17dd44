"""The record on disk of what the cluster made, written before each thing is made.

``down`` and the next ``up`` read it, so a cluster whose ``up`` was killed halfway is cleaned as a whole one.
The file is small JSON, replaced atomically.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vistrain_devcluster.config import ClusterConfig, NodeSpec
from vistrain_devcluster.mounts import mount_points

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass
class Record:
    """What is, or is about to be, on the machine."""

    boot_id: str = ""
    namespaces: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    cgroups: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    nodes: list[NodeSpec] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


class Ledger:
    """Reads and writes a cluster's :class:`Record`."""

    def __init__(self, config: ClusterConfig) -> None:
        self.path = config.state_root / f"{config.name}.json"

    def exists(self) -> bool:
        return self.path.exists()

    def read(self) -> Record:
        """The record, empty when there is none. A file that cannot be read is an error that names it."""
        if not self.path.exists():
            return Record()
        try:
            raw = json.loads(self.path.read_text())
            nodes = [NodeSpec(**node) for node in raw.pop("nodes")]
            return Record(nodes=nodes, **raw)
        except (ValueError, TypeError, KeyError) as error:
            raise RuntimeError(
                f"the record {self.path} cannot be read ({error}); delete it and run "
                "`vistrain-devcluster down`, which finds what is left by name"
            ) from error

    def write(self, record: Record) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".tmp")
        with beside.open("w") as stream:
            json.dump(asdict(record), stream, indent=1, default=dict)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self.path)

    def note(
        self, *, namespaces: Iterable[str] = (), links: Iterable[str] = (), cgroups: Iterable[str] = ()
    ) -> None:
        """Adds names of things about to be made."""
        record = self.read()
        for known, new in (
            (record.namespaces, namespaces),
            (record.links, links),
            (record.cgroups, cgroups),
        ):
            known.extend(name for name in new if name not in known)
        self.write(record)

    def note_folder(self, folder: Path) -> None:
        """Adds those of ``folder`` and its parents that are missing and about to be made."""
        record = self.read()
        missing = [str(f) for f in (folder, *folder.parents) if not f.exists()]
        record.folders.extend(name for name in missing if name not in record.folders)
        self.write(record)

    def note_mount(self, folder: Path) -> None:
        """Adds ``folder``, about to become a mount point of the machine, unless it is one already."""
        record = self.read()
        if str(folder) not in {*mount_points(), *record.mounts}:
            record.mounts.append(str(folder))
            self.write(record)

    def put_node(self, node: NodeSpec) -> None:
        """Adds a node, or replaces the one of that name."""
        record = self.read()
        record.nodes = sorted(
            [*(n for n in record.nodes if n.name != node.name), node], key=lambda n: n.index
        )
        self.write(record)

    def node(self, name: str) -> NodeSpec:
        """The node of that name; an error that lists the known ones otherwise."""
        nodes = self.read().nodes
        for node in nodes:
            if node.name == name:
                return node
        known = ", ".join(n.name for n in nodes) or "none: run `vistrain-devcluster up`"
        raise RuntimeError(f"no node is called {name!r}; known: {known}")

    def mark(self, name: str, *, dead: bool | None = None, cut: bool | None = None) -> None:
        """Notes that a node is dead, or cut off the network, or no longer so."""
        record = self.read()
        for names, value in ((record.dead, dead), (record.cut, cut)):
            if value is not None and name in names:
                names.remove(name)
            if value:
                names.append(name)
        self.write(record)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def current_boot() -> str:
    """The kernel's identifier of this boot: kernel objects of another boot are gone."""
    return BOOT_ID.read_text().strip()

"""Control groups of the cluster's processes, on cgroup v1 and v2, below one group per cluster.

On v1 the kubelet wants its root group in every controller. The cluster's own processes (not its pods) are
tracked in one hierarchy only; what they may use is left to the group that started them.
"""

from __future__ import annotations

import os
import shlex
import signal
import time
from pathlib import Path

# Hierarchies of v1 in the order of preference for tracking processes.
TRACKING = ("pids", "systemd", "freezer")
KILL_ROUNDS = 200
KILL_PAUSE = 0.05  # seconds


class Cgroups:
    """The cgroup file system mounted at ``root`` (``/sys/fs/cgroup``), v1, hybrid or v2."""

    def __init__(self, root: Path = Path("/sys/fs/cgroup")) -> None:
        self.root = root
        self.unified = (root / "cgroup.controllers").exists()

    def hierarchies(self) -> list[Path]:
        """The hierarchies with controllers: one on v2; on v1 one per controller (links are followed once)."""
        if self.unified:
            return [self.root]
        found = {
            entry.resolve(): None
            for entry in sorted(self.root.iterdir())
            if entry.is_dir() and (entry / "cgroup.procs").exists() and entry.name != "unified"
        }
        return list(found)

    def _mounted(self) -> list[Path]:
        # Hybrid machines also mount v2, without controllers; the container runtime makes groups there too.
        hybrid = self.root / "unified"
        return [*self.hierarchies(), *([hybrid] if (hybrid / "cgroup.procs").exists() else [])]

    @property
    def tracking(self) -> Path:
        """The hierarchy in which the cluster's own processes are found."""
        if self.unified:
            return self.root
        for name in TRACKING:
            if (self.root / name / "cgroup.procs").exists():
                return self.root / name
        raise RuntimeError(f"no cgroup hierarchy of {', '.join(TRACKING)} is mounted below {self.root}")

    def make(self, group: str) -> None:
        """Makes ``group`` (an absolute cgroup path) in every hierarchy, parents first."""
        for hierarchy in self.hierarchies():
            folder = hierarchy
            for part in Path(group).parts[1:]:
                if self.unified:
                    self._delegate(folder)
                folder = folder / part
                folder.mkdir(exist_ok=True)
                self._inherit_cpuset(folder)

    @staticmethod
    def _delegate(folder: Path) -> None:
        # v2: a child has a controller only when its parent hands it on.
        available = (folder / "cgroup.controllers").read_text().split()
        wanted = [c for c in available if c in {"cpu", "cpuset", "memory", "pids", "io", "hugetlb"}]
        handed = set((folder / "cgroup.subtree_control").read_text().split())
        for controller in wanted:
            if controller not in handed:
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")

    @staticmethod
    def _inherit_cpuset(folder: Path) -> None:
        # v1: a new cpuset is empty, and a process cannot enter an empty one.
        for name in ("cpuset.cpus", "cpuset.mems"):
            file, parent = folder / name, folder.parent / name
            if file.exists() and parent.exists() and not file.read_text().strip():
                file.write_text(parent.read_text())

    def enter_command(self, group: str) -> str:
        """A line of shell that moves the shell into ``group``."""
        return f"echo $$ > {shlex.quote(str(self.tracking / group.lstrip('/') / 'cgroup.procs'))}"

    def processes(self, group: str) -> set[int]:
        """Process ids in ``group`` and below it, in every hierarchy."""
        found: set[int] = set()
        for hierarchy in self._mounted():
            top = hierarchy / group.lstrip("/")
            for folder, _, _ in os.walk(top):
                try:
                    found.update(int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split())
                except OSError:  # removed meanwhile, or (v2) a threaded group
                    continue
        found.discard(0)  # a process of another pid namespace
        return found

    def kill(self, group: str) -> int:
        """SIGKILLs all in ``group`` and below until none is left; returns how many processes there were."""
        killed: set[int] = set()
        for _ in range(KILL_ROUNDS):
            alive = self.processes(group)
            if not alive:
                return len(killed)
            killed |= alive
            for pid in alive:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(KILL_PAUSE)
        raise RuntimeError(
            f"processes of cgroup {group} do not die: {sorted(self.processes(group))}; "
            "look at their state with `ps -o pid,stat,wchan,cmd`"
        )

    def remove(self, group: str) -> None:
        """Removes ``group`` and all below it, in every hierarchy. Nothing may run in it."""
        for hierarchy in self._mounted():
            top = hierarchy / group.lstrip("/")
            for folder, _, _ in os.walk(top, topdown=False):
                self._remove_folder(Path(folder))

    @staticmethod
    def _remove_folder(folder: Path) -> None:
        # The kernel frees a group a moment after its last process: try again for a short while.
        for last in [False] * 20 + [True]:
            try:
                folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                if last:
                    raise
                time.sleep(KILL_PAUSE)
            else:
                return

    def left(self, prefix: str) -> list[Path]:
        """Folders of groups that begin with ``prefix`` and still exist."""
        return [path for h in self._mounted() for path in h.glob(f"{prefix.lstrip('/')}*")]

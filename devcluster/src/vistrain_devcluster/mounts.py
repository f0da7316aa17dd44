"""Mount points of the machine and of its mount namespaces."""

from __future__ import annotations

import subprocess
from pathlib import Path


def mount_points(process: str = "self") -> set[str]:
    """Mount points that a process sees. Raises OSError when it has ended.

    ``os.path.ismount`` does not see a folder that is bound onto itself.
    """
    lines = Path("/proc", process, "mountinfo").read_text().splitlines()
    return {line.split()[4] for line in lines}


def mounted_anywhere(folder: str) -> bool:
    """Whether ``folder`` is a mount point in the mount namespace of any process."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if folder in mount_points(process.name):
                return True
        except OSError:  # it ended meanwhile
            continue
    return False


def unmount_empty(folder: Path) -> None:
    """Unmounts ``folder`` unless there is something in it."""
    while str(folder) in mount_points() and not any(folder.iterdir()):
        subprocess.run(["umount", str(folder)], check=True)

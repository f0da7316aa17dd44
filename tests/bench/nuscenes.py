"""Tables, boxes and whole preparation of nuScenes, ours against the devkit.

A synthetic release at the scale of v1.0-trainval is made without pictures. Each side works in a process of
its own, one after the other, on tables that are in the page cache. The devkit's loading is measured in full;
its projection and export on a random share of the key frames, and extrapolated to all. Goals: projection 100
times as fast, the preparation of all cameras as COCO 40 times, memory at most 3.5 GB and hardly more for six
cameras than for one.

Memory is that of a process and its children at the peak, pages that they share counted once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

sys.path.pop(0)  # this folder: its nuscenes.py is not the devkit
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench._machine import machine
from vistrain_trainer.data.nuscenes.version_folder import version_folder
from vistrain_trainer.data.world.cameras import RIG
from vistrain_trainer.data.world.release import ReleaseOptions, write_release

SIDE = Path(__file__).with_name("_nuscenes_side.py")
FULL = 850
"""Scenes of v1.0-trainval."""
LEAST = 2
DISK, MEMORY = 5e6, 9e6
"""Bytes for each scene: of tables and what is made of them; of the devkit's memory."""
SPARE = 2e9
PAUSE = 0.2
"""Seconds between looks at the memory: they cost some."""

Figures = dict[str, Any]


def run_side(side: str, folder: Path, *arguments: str) -> Figures:
    """The figures of one side, with its peak memory in bytes."""
    command = [sys.executable, str(SIDE), side, str(folder.parent), folder.name, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            peak = 0
            while process.poll() is None:
                peak = max(peak, memory(process.pid))
                time.sleep(PAUSE)
        except BaseException:
            process.kill()
            raise
        assert process.stdout is not None
        answer = process.stdout.read()
    if process.returncode:
        sys.exit(f"{side} ended with {process.returncode}")
    figures: Figures = json.loads(answer)
    return figures | {"memory": peak}


def memory(pid: int) -> int:
    """Bytes of a process and its children, each page shared out among those who have it."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                total += one.memory_full_info().pss
    return total


@contextlib.contextmanager
def release(options: argparse.Namespace) -> Iterator[Path]:
    """The version's folder of the release that is measured on."""
    if options.root:
        yield version_folder(options.root, None)
        return
    with tempfile.TemporaryDirectory() as folder:
        scenes = chosen(options.scenes, Path(folder))
        began = time.perf_counter()
        root = Path(folder) / "release"
        asked = ReleaseOptions(
            version="v1.0-trainval",
            scenes=scenes,
            samples=40,
            cameras=tuple(RIG),
            height=900,
            width=1600,
            seed=0,
            pictures="none",
        )
        write_release(asked, root)
        print(f"a synthetic release of {scenes} scenes made in {time.perf_counter() - began:.0f} s")
        yield version_folder(root, None)


def chosen(asked: int | None, folder: Path) -> int:
    """How many scenes to make: those asked for, or all that fit."""
    memory, disk = psutil.virtual_memory().available, shutil.disk_usage(folder).free
    most = int(min((memory - SPARE) / MEMORY, (disk - SPARE) / DISK))
    if most < (asked or LEAST):
        sys.exit(
            f"{memory / 1e9:.1f} GB of memory and {disk / 1e9:.1f} GB of disk under {folder} "
            f"suffice for {max(0, most)} scenes"
        )
    return asked or min(FULL, most)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, help=f"{FULL} when not given, or as many as there is room for")
    parser.add_argument("--root", type=Path, help="a release that is there, the real one for example")
    parser.add_argument("--frames", type=int, default=1000, help="key frames that the devkit projects into")
    options = parser.parse_args()
    with release(options) as folder:
        size = sum(path.stat().st_size for path in folder.glob("*.json"))
        theirs = run_side("devkit", folder, "--frames", str(options.frames))
        rows = theirs["rows"]
        named = ", ".join(f"{rows[name]:,} {name}" for name in ("scene", "sample", "sample_annotation"))
        print(f"{folder.name}: {named}, {rows['sample_data']:,} sample_data; tables of {size / 1e9:.2f} GB")
        ours = run_side("project", folder)
        one, six = run_side("prepare", folder, "--cameras", "CAM_FRONT"), run_side("prepare", folder)
    report(theirs, ours, one, six)
    print(machine())


def report(theirs: Figures, ours: Figures, one: Figures, six: Figures) -> None:
    """Print the figures of both sides, and their ratios."""
    load, share = theirs["load"], theirs["share"]
    print(f"load: devkit {load:.1f} s, ours {ours['load']:.1f} s: {load / ours['load']:.1f} times as fast")

    slow, fast = (1e6 * side["project"] / side["pairs"] for side in (theirs, ours))
    print(f"projection: {slow / fast:.0f} times as fast (goal 100), for each annotation and camera")
    print(f"  devkit {slow:.1f} µs, on {theirs['frames']:,} key frames ({theirs['crashes']} crashes)")
    print(f"  ours {fast:.2f} µs, on all {ours['pairs']:,}, {ours['boxes'] / ours['pairs']:.1%} of them seen")

    projected, written = theirs["project"] / share, theirs["write"] / share
    whole = load + projected + written
    print(f"preparation: {whole / six['seconds']:.0f} times as fast (goal 40)")
    print(
        f"  devkit {whole:.0f} s: loading {load:.0f} s; extrapolated from {share:.2%} of the key frames: "
        f"projecting {projected:.0f} s, writing {written:.0f} s"
    )
    print(
        f"  ours {six['seconds']:.1f} s ({six['processor']:.1f} s of processor time): "
        f"{six['images']:,} images, {six['boxes']:,} boxes of the tracking classes"
    )

    small, large = one["memory"] / 1e9, six["memory"] / 1e9
    print(f"memory: devkit {theirs['memory'] / 1e9:.2f} GB, ours {large:.2f} GB (goal 3.5)")
    print(f"  with one camera {small:.2f} GB: six take {large / small:.2f} times as much")


if __name__ == "__main__":
    main()

"""One side of the nuScenes benchmark in a process of its own, so that its memory can be told: prints JSON."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder: its nuscenes.py is not the devkit

Figures = dict[str, Any]


def devkit(options: argparse.Namespace) -> Figures:
    """Load all tables; project and export the boxes of some key frames as the devkit's own script does."""
    from nuscenes.nuscenes import NuScenes
    from nuscenes.scripts import export_2d_annotations_as_json as export

    began = time.perf_counter()
    export.nusc = nusc = NuScenes(options.version, str(options.root), verbose=False)
    loaded = time.perf_counter() - began
    frames = [row for row in nusc.sample_data if row["sensor_modality"] == "camera" and row["is_key_frame"]]
    random.seed(0)
    some = random.sample(frames, min(options.frames, len(frames)))
    records, crashes = [], 0
    began = time.perf_counter()
    for row in some:
        try:
            records.extend(export.get_2d_boxes(row["token"], ["", "1", "2", "3", "4"]))
        except AttributeError:  # a hull is a line or a point
            crashes += 1
    projected = time.perf_counter() - began
    with tempfile.TemporaryFile("w") as file:
        began = time.perf_counter()
        json.dump(records, file, sort_keys=True, indent=4)
        written = time.perf_counter() - began
    return {
        "load": loaded,
        "project": projected,
        "write": written,
        "pairs": sum(len(nusc.get("sample", row["sample_token"])["anns"]) for row in some),
        "boxes": len(records),
        "crashes": crashes,
        "frames": len(some),
        "share": len(some) / len(frames),
        "rows": {table: len(getattr(nusc, table)) for table in nusc.table_names},
    }


def project(options: argparse.Namespace) -> Figures:
    """Load the tables, and project all boxes into the key frames of all cameras."""
    from vistrain_trainer.data.nuscenes.interpolation import boxes_at
    from vistrain_trainer.data.nuscenes.projection import Views
    from vistrain_trainer.data.nuscenes.projection import project as into_views
    from vistrain_trainer.data.nuscenes.reader import read_release

    began = time.perf_counter()
    release = read_release(options.root, options.version, (), sweeps=False)
    loaded = time.perf_counter() - began
    pairs = boxes = 0
    began = time.perf_counter()
    for scene in release.scenes:
        frames = slice(scene.frames[0].start, scene.frames[-1].stop)
        at = boxes_at(release, frames)
        views = Views.of(release, frames).take(at.frame - frames.start)
        seen = into_views(at.translation, at.size, at.rotation, views).seen
        pairs, boxes = pairs + len(seen), boxes + int(seen.sum())
    return {"load": loaded, "project": time.perf_counter() - began, "pairs": pairs, "boxes": boxes}


def prepare(options: argparse.Namespace) -> Figures:
    """Make a COCO data set of the key frames."""
    from vistrain_trainer.data.nuscenes.options import PrepareOptions
    from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes

    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        asked = PrepareOptions(root=options.root, version=options.version, cameras=tuple(options.cameras))
        made = prepare_nuscenes(asked, Path(out) / "made")
        seconds = time.perf_counter() - began
    counts = [split.counts for split in made["coco"].splits.values()]
    return {
        "seconds": seconds,
        "images": sum(count.images for count in counts),
        "boxes": sum(count.annotations for count in counts),
    }


SIDES: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "devkit": devkit,
    "prepare": prepare,
    "project": project,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("root", type=Path)
    parser.add_argument("version")
    parser.add_argument("--frames", type=int, default=0, help="of the devkit's: key frames to project into")
    parser.add_argument("--cameras", nargs="*", default=(), help="of a preparation; all when none is named")
    options = parser.parse_args()
    figures = SIDES[options.side](options)
    user, system, of_children, for_children, _ = os.times()
    json.dump({**figures, "processor": user + system + of_children + for_children}, sys.stdout)


if __name__ == "__main__":
    main()

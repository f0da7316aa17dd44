"""A small data set with near-duplicates, in each of the layouts that samples are moved in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from support.yolo_dataset import NAMES, alike, picture
from vistrain_trainer.data.sets.convert import ConvertOptions, convert
from vistrain_trainer.data.sets.opening import open_set
from vistrain_trainer.data.yolo.data_file import encode_data_file

LAYOUTS = ("folders", "lists", "coco", "coco-bare")
Members = Sequence[Sequence[int]]
"""Classes of the boxes of each picture of a group of near-duplicates, three at most."""
GROUPS: dict[str, list[Members]] = {
    "train": [[[3], [3, 3], [0]], [[3]], [[3, 1]], [[0, 2], [0]], [[3], [3]], [[1]], [[]], [[2, 2, 3, 3, 3]]],
    "val": [[[0]], [[3, 1]], [[2], [2]]],
    "test": [[[3]], [[1, 0]]],
}
"""Vegetation (3) is in seven images of train, with 2 + 1, 1, 1, 1 + 1 and 3 boxes."""


def write_drainage(
    folder: Path, layout: str = "folders", groups: Mapping[str, Sequence[Members]] = GROUPS
) -> list[str]:
    """Write the data set, and give what a command takes for it."""
    if layout == "folders":
        return [str(_write_folders(folder, groups))]
    if layout == "lists":
        return [str(_gather(_write_folders(folder, groups)))]
    source = folder.with_name(f"{folder.name}-source")
    data = _write_folders(source, groups)
    convert(open_set([str(data)]), ConvertOptions("coco", "copy"), folder)
    shutil.rmtree(source)
    if layout == "coco":
        return [str(folder)]
    return _strip(folder, list(groups))


def contents(data: Sequence[str]) -> dict[str, dict[str, list[tuple[str, tuple[float, ...]]]]]:
    """Class and box in pixels of each picture's base name, by split."""
    found = open_set(data)
    result: dict[str, dict[str, list[tuple[str, tuple[float, ...]]]]] = {}
    for name, split in found.splits.items():
        result[name] = {Path(image.file_name).name: [] for image in split.images}
        assert len(result[name]) == len(split.images)
        boxes = split.boxes
        for image, index, box in zip(boxes.image, boxes.classes, boxes.boxes.tolist(), strict=True):
            picture_name = Path(split.images[image].file_name).name
            result[name][picture_name].append((found.classes[index], tuple(np.round(box, 4))))
    return result


def _write_folders(folder: Path, groups: Mapping[str, Sequence[Members]]) -> Path:
    random = np.random.default_rng(8)
    seed = 0
    for split, of_split in groups.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for at, members in enumerate(of_split):
            seed += 1
            pictures = [picture(seed, 48, 64), *alike(picture(seed, 48, 64))]
            for member, (classes, content) in enumerate(zip(members, pictures, strict=False)):
                name = f"{split}-{at:02d}-{member}"
                cv2.imwrite(str(folder / "images" / split / f"{name}.png"), content)
                if classes:
                    rows = [f"{index} {_box(random)}\n" for index in classes]
                    (folder / "labels" / split / f"{name}.txt").write_text("".join(rows))
    path = folder / "data.yaml"
    path.write_bytes(encode_data_file(NAMES, {split: f"images/{split}" for split in groups}))
    return path


def _box(random: np.random.Generator) -> str:
    across, down = random.uniform(0.2, 0.8, 2)
    return f"{across:.6f} {down:.6f} {random.uniform(0.1, 0.4):.6f} {random.uniform(0.1, 0.4):.6f}"


def _gather(path: Path) -> Path:
    """All pictures in one folder, and lists that name them in several ways."""
    folder = path.parent
    splits = sorted(entry.name for entry in (folder / "images").iterdir())
    for split in splits:
        lines = []
        for number, old in enumerate(sorted((folder / "images" / split).iterdir())):
            for kind, name in (("images", old.name), ("labels", f"{old.stem}.txt")):
                target = folder / kind / "all"
                target.mkdir(exist_ok=True)
                source = folder / kind / split / name
                if source.exists():
                    source.rename(target / name)
            new = folder / "images" / "all" / old.name
            lines.append([f"./images/all/{old.name}", f"images/all/{old.name}", str(new)][number % 3])
        (folder / f"{split}.txt").write_text("\r\n".join(lines))  # without an end to the last line
        for kind in ("images", "labels"):
            (folder / kind / split).rmdir()
    path.write_bytes(encode_data_file(NAMES, {split: f"{split}.txt" for split in splits}))
    return path


def _strip(folder: Path, splits: Sequence[str]) -> list[str]:
    """No manifest; ids that count from 1 in each file; pictures in a folder for each split; indented JSON."""
    (folder / "manifest.json").unlink()
    files = []
    for split in splits:
        path = folder / "annotations" / f"{split}.json"
        document: dict[str, Any] = json.loads(path.read_text())
        del document["info"]
        ids = {image["id"]: at for at, image in enumerate(document["images"], start=1)}
        for image in document["images"]:
            image["id"] = ids[image["id"]]
            image["file_name"] = image["file_name"].removeprefix(f"{split}/")
        for at, annotation in enumerate(document["annotations"], start=1):
            annotation |= {"id": at, "image_id": ids[annotation["image_id"]], "note": f"{split} {at}"}
        if split == "val":  # the ids of the categories are a file's own matter
            for category in document["categories"]:
                category["id"] += 10
            for annotation in document["annotations"]:
                annotation["category_id"] += 10
        path.write_text(json.dumps(document, indent=1))
        files.append(f"{split}={path}")
    return files

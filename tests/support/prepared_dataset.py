"""A data set as `vistrain prepare` leaves it: annotation files, a reserve, a manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from support.coco_dataset import CLASSES
from vistrain_trainer.data.manifest import (
    MANIFEST,
    RESERVED,
    Counts,
    DatasetManifest,
    Pictures,
    SceneRef,
    Source,
    SplitRecord,
    digest_of,
    encode,
)

SPLITS = {"train": (1, 2, 3), "val": (4,), "test": (5,)}
"""Numbers of the scenes of each split."""
PICTURES_OF_A_SCENE = 4


def scene(number: int, drive: str = "") -> SceneRef:
    """The scene of a number; `drive` tells scenes of equal names apart."""
    name = f"scene-{number:04d}"
    return SceneRef(name=name, token=hashlib.md5(f"{name}{drive}".encode()).hexdigest())


def write_prepared(
    folder: Path,
    splits: Mapping[str, Sequence[int]] = SPLITS,
    reserved: Sequence[str] = ("test",),
    *,
    classes: Sequence[str] = CLASSES,
    drive: str = "",
) -> DatasetManifest:
    """Write images/, annotations/{split}.json, reserved.json and manifest.json; gives the manifest."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    records, files, held = {}, {}, {}
    for split, numbers in splits.items():
        scenes = [scene(number, drive) for number in numbers]
        document = _document(folder / "images", scenes, classes)
        content = json.dumps(document).encode()
        (folder / "annotations" / f"{split}.json").write_bytes(content)
        files[f"annotations/{split}.json"] = hashlib.sha256(content).hexdigest()
        of = [0] * len(classes)
        for one in document["annotations"]:
            of[one["category_id"] - 1] += 1
        counts = Counts(
            images=len(document["images"]),
            annotations=len(document["annotations"]),
            per_class=dict(zip(classes, of, strict=True)),
        )
        records[split] = SplitRecord(counts=counts, scenes=tuple(scenes), reserved=split in reserved)
        if split in reserved:
            held |= {image["file_name"]: image["scene_token"] for image in document["images"]}
    if held:
        (folder / RESERVED).write_text(json.dumps(held))
        files[RESERVED] = hashlib.sha256((folder / RESERVED).read_bytes()).hexdigest()
    manifest = DatasetManifest(
        format="coco",
        command="vistrain prepare nuscenes --version v1.0-mini --splits scenes.json --format coco",
        version="0.1.0",
        source=Source(kind="nuscenes", version="v1.0-mini", digest="5e" * 32),
        classes=tuple(classes),
        cameras=("CAM_FRONT",),
        split_lists="scenes.json",
        fps=2.0,
        frame_interval=0.5,
        splits=records,
        pictures=Pictures(mode="copy", root="images"),
        files=files,
        digest=digest_of(files),
    )
    (folder / MANIFEST).write_bytes(encode(manifest))
    return manifest


def edit(path: Path, **changes: Any) -> None:
    """Replace members of a JSON file by hand; None removes one."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def _document(pictures: Path, scenes: Sequence[SceneRef], classes: Sequence[str]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations = []
    for one in scenes:
        random = np.random.default_rng(int(one.name[-4:]))
        for number in range(PICTURES_OF_A_SCENE):
            name = f"n015__{one.name}__CAM_FRONT__{1_532_402_927_000_000 + number}.png"
            cv2.imwrite(str(pictures / name), random.integers(0, 256, (72, 96, 3), np.uint8))
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": name,
                    "width": 96,
                    "height": 72,
                    "scene": one.name,
                    "scene_token": one.token,
                    "sample_token": hashlib.md5(name.encode()).hexdigest(),
                }
            )
            x, y = (int(value) for value in random.integers(0, 40, 2))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": int(random.integers(len(classes))) + 1,
                    "bbox": [x, y, 24, 16],
                    "area": 384,
                    "iscrowd": 0,
                }
            )
    return {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": at, "name": name} for at, name in enumerate(classes, start=1)],
    }

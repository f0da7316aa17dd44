"""A small COCO dataset on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CLASSES = ("car", "bus", "bicycle")


def write_dataset(folder: Path, images: int = 12, suffix: str = ".png", **document: Any) -> Path:
    """A dataset of pictures of several sizes with two to four boxes each; gives the annotation file."""
    random = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    content: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 10 * at + 3, "name": name} for at, name in enumerate(CLASSES)],
    }
    for number in range(images):
        height, width = int(random.integers(80, 200)), int(random.integers(120, 320))
        picture = cv2.resize(random.integers(0, 256, (9, 13, 3), np.uint8), (width, height))
        name = f"{number:03d}{suffix}"
        cv2.imwrite(str(folder / "images" / name), picture)
        content["images"].append({"id": 100 + number, "file_name": name, "width": width, "height": height})
        for _ in range(int(random.integers(2, 5))):
            x, y = int(random.integers(0, width - 60)), int(random.integers(0, height - 50))
            w, h = int(random.integers(15, 60)), int(random.integers(15, 50))
            category = 10 * int(random.integers(0, 3)) + 3
            content["annotations"].append(
                {
                    "id": len(content["annotations"]),
                    "image_id": 100 + number,
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    content |= document
    path = folder / "annotations" / "train.json"
    path.write_text(json.dumps(content))
    return path

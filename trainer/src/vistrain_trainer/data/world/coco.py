"""The world as COCO detection files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simplejpeg

from vistrain_trainer.data.manifest import Counts
from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.world.cameras import Camera
from vistrain_trainer.data.world.catalogue import KINDS
from vistrain_trainer.data.world.projection import View
from vistrain_trainer.data.world.renderer import SeenBox, render
from vistrain_trainer.data.world.scene import Scene, token

QUALITY = 90
"""JPEG quality."""
MIN_VISIBILITY = 0.3
"""Boxes of which less can be seen are not annotated."""
NOON = 0.875
"""Daylight from which pictures are tagged `noon`, and others `dusk`: what evaluation slices a split by."""
MIN_SIDE = 1.0
"""Boxes narrower or lower than this many pixels are not annotated."""


@dataclass
class CocoSplit:
    """The document of one split as it grows."""

    classes: Sequence[str]
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, image: dict[str, Any], boxes: Sequence[SeenBox]) -> None:
        """Take up a picture; ids count from 1 in the order of adding."""
        self.images.append({"id": len(self.images) + 1, **image})
        for seen in boxes:
            left, top, right, bottom = (round(value, 2) for value in seen.box)
            width, height = round(right - left, 2), round(bottom - top, 2)
            if seen.visibility < MIN_VISIBILITY or min(width, height) < MIN_SIDE:
                continue
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": len(self.images),
                    "category_id": self.classes.index(seen.instance.class_name) + 1,
                    "bbox": [left, top, width, height],
                    "area": round(width * height, 2),
                    "iscrowd": 0,
                    "instance_token": seen.instance.token,
                    "visibility": round(seen.visibility, 3),
                    "distance": round(seen.distance, 2),
                }
            )

    def counts(self) -> Counts:
        """Images, annotations and annotations per class."""
        per_class = Counter(annotation["category_id"] for annotation in self.annotations)
        return Counts(
            images=len(self.images),
            annotations=len(self.annotations),
            per_class={name: per_class[number] for number, name in enumerate(self.classes, start=1)},
        )

    def write(self, path: Path) -> None:
        """Write the annotation file."""
        categories = [
            {"id": number, "name": name, "supercategory": KINDS[name].category}
            for number, name in enumerate(self.classes, start=1)
        ]
        document = {
            "info": {"description": "Synthetic driving world"},
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }
        path.write_text(json.dumps(document, separators=(",", ":")) + "\n")


def write_scene(
    scene: Scene, cameras: Sequence[Camera], seed: int, folder: Path, split: CocoSplit
) -> Iterator[Path]:
    """Write a scene's pictures under ``folder`` and add them to the split; yields each file when written."""
    for timestamp in scene.sample_times:
        for camera in cameras:
            view = View(camera, scene.ego_pose(timestamp))
            noise = generator(seed, Purpose.NOISE, timestamp, *camera.name.encode())
            picture, boxes = render(scene.moment(timestamp), view, noise)
            name = f"{camera.name}/{scene.name}_{timestamp}.jpg"
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                simplejpeg.encode_jpeg(picture, quality=QUALITY, colorspace="BGR", colorsubsampling="420")
            )
            split.add(
                {
                    "file_name": name,
                    "width": camera.width,
                    "height": camera.height,
                    "timestamp": timestamp,
                    "camera": camera.name,
                    "scene": scene.name,
                    "scene_token": scene.token,
                    "sample_token": token(seed, "sample", scene.name, timestamp),
                    "tags": ["noon" if scene.daylight >= NOON else "dusk"],
                },
                boxes,
            )
            yield path

"""Which scenes the images of a COCO file are of, as the file itself states it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistrain_trainer.data.coco_file import ImageRecord
from vistrain_trainer.errors import BadInput


@dataclass(frozen=True)
class ImageScenes:
    """Tokens by image; empty where the file states none."""

    scene: tuple[str, ...]
    sample: tuple[str, ...]
    """Of images without a scene's token only."""


def read_scenes(
    document: dict[str, Any], images: Sequence[ImageRecord], path: Path, field: str
) -> ImageScenes:
    """Read `scene_token` and `sample_token`, which an image may have beside COCO's own fields.

    Args:
        document: the parsed file.
        images: as `coco_file.read_images` gives them: the order of the result.
        path: of the file, for messages.
        field: of the run's manifest, for messages.

    Raises:
        BadInput: a token is not a text.
    """
    entries = {entry["id"]: entry for entry in document["images"]}
    scene = tuple(_token(entries[image.id], "scene_token", path, field) for image in images)
    sample = tuple(
        "" if known else _token(entries[image.id], "sample_token", path, field)
        for image, known in zip(images, scene, strict=True)
    )
    return ImageScenes(scene, sample)


def _token(image: dict[str, Any], key: str, path: Path, field: str) -> str:
    token = image.get(key)
    if token is None:
        return ""
    if not isinstance(token, str):
        raise BadInput(
            field=field,
            value=str(path),
            problem=f"image {image['id']} has the {key} {token!r}, which is not a text",
            remedy="write the annotation file again, or leave the token out",
        )
    return sys.intern(token)

"""Reading of a split from a COCO file, with what `vistrain prepare` states beside COCO's own fields."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import numpy as np

from vistrain_trainer.checking.content import UNKNOWN, Boxes, CameraSequence, Frames, Split
from vistrain_trainer.errors import BadInput

BINS = (np.nan, 0.2, 0.5, 0.7, 0.9)
"""Middle of each of nuScenes' bins of visibility."""


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int
    camera: str = ""
    scene: str = ""
    scene_token: str = ""
    timestamp: int = UNKNOWN
    keyframe: bool | None = None
    sample_data_token: str = ""


class _Annotation(msgspec.Struct):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    visibility: float | None = None
    distance: float | None = None


class _Category(msgspec.Struct):
    id: int
    name: str


class _Document(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(path: Path, name: str, classes: tuple[str, ...], *, bins: bool = False) -> Split:
    """Read a split.

    Args:
        path: of the annotation file.
        name: of the split.
        classes: in the manifest's order.
        bins: whether `visibility` is the number of one of nuScenes' bins, not a share.

    Raises:
        BadInput: it cannot be read, is no COCO file, or names an image or category that it does not list.
    """
    document = _decoded(path)
    numbered = tuple(one.name for one in sorted(document.categories, key=lambda one: one.id))
    if sorted(numbered) != sorted(classes):
        _refuse(path, list(numbered), f"its categories are not the classes of the manifest, {list(classes)}")
    labels = {one.id: classes.index(one.name) for one in document.categories}
    places: dict[tuple[str, str], int] = {}
    sequences: list[CameraSequence] = []
    for image in document.images:
        key = (image.scene_token or image.scene, image.camera)
        if places.setdefault(key, len(places)) == len(sequences):
            title = "_".join(filter(None, (image.scene, image.camera)))
            sequences.append(CameraSequence(image.scene, image.camera, title, image.scene_token))
    frames = Frames(
        name=tuple(image.file_name for image in document.images),
        token=tuple(image.sample_data_token for image in document.images),
        size=_array(((image.width, image.height) for image in document.images), np.int32, 2),
        sequence=np.array(
            [places[image.scene_token or image.scene, image.camera] for image in document.images], np.int32
        ),
        timestamp=np.array([image.timestamp for image in document.images], np.int64),
        keyframe=np.array(
            [UNKNOWN if image.keyframe is None else image.keyframe for image in document.images], np.int8
        ),
        orientation=np.ones(len(document.images), np.uint8),
    )
    return Split(name, numbered, tuple(sequences), frames, _boxes(document, labels, path, bins=bins))


def _decoded(path: Path) -> _Document:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Document)
    except OSError as error:
        _refuse(path, path.name, f"it cannot be read: {error.strerror}")
    except msgspec.ValidationError as error:
        _refuse(path, path.name, f"it is no COCO file of boxes: {error}")
    except msgspec.DecodeError as error:
        _refuse(path, path.name, f"it is not whole JSON: {error}")


def _boxes(document: _Document, labels: dict[int, int], path: Path, *, bins: bool) -> Boxes:
    rows = {image.id: row for row, image in enumerate(document.images)}
    if len(rows) != len(document.images):
        _refuse(path, "images", "an image id comes twice")
    stated = document.annotations
    for one in stated:
        if one.image_id not in rows:
            _refuse(path, one.id, f"the annotation is for image {one.image_id}, which is not listed")
        if one.category_id not in labels:
            _refuse(path, one.id, f"the annotation is of category {one.category_id}, which is not listed")
    visibility = _optional(one.visibility for one in stated)
    if bins:
        known = np.isfinite(visibility)
        number = np.where(known, visibility, 0).astype(int)
        if (number < 0).any() or (number >= len(BINS)).any():
            _refuse(path, "visibility", "it is not the number of one of nuScenes' bins, 1 to 4")
        visibility = np.array(BINS, np.float32)[number]
    return Boxes(
        frame=np.array([rows[one.image_id] for one in stated], np.int32),
        box=_array((one.bbox for one in stated), np.float64, 4),
        label=np.array([labels[one.category_id] for one in stated], np.int16),
        track=np.full(len(stated), UNKNOWN, np.int32),
        visibility=visibility,
        distance=_optional(one.distance for one in stated),
    )


def _optional(values: Iterable[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], np.float32)


def _array(rows: Iterable[tuple[float, ...]], kind: Any, columns: int) -> np.ndarray:
    return np.array(list(rows), kind).reshape(-1, columns)


def _refuse(path: Path, value: object, problem: str) -> NoReturn:
    raise BadInput(
        field=str(path),
        value=value,
        problem=problem,
        remedy="Prepare the data set again, or restore the file",
    )

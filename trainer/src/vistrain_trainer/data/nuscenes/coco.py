"""COCO detection files of a nuScenes release, written scene by scene."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from vistrain_trainer.data.artifact import DigestedFile, Making
from vistrain_trainer.data.classes import group_of
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.data.nuscenes.scene_boxes import BoxSource, SceneBoxes
from vistrain_trainer.data.nuscenes.tally import Tally
from vistrain_trainer.data.ordered_work import each
from vistrain_trainer.data.progress import Advance

DECIMALS = 7
"""Of pixels: less than a millionth of one is lost."""


class _Image(msgspec.Struct, gc=False):
    id: int
    file_name: str
    width: int
    height: int
    timestamp: int
    camera: str
    scene: str
    scene_token: str
    sample_token: str
    sample_data_token: str
    keyframe: bool
    tags: list[str]


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int
    instance_token: str
    visibility: int | msgspec.UnsetType
    distance: float


class _Category(msgspec.Struct):
    id: int
    name: str
    supercategory: str


def write_coco(
    source: BoxSource,
    splits: Mapping[str, Sequence[int]],
    making: Making,
    *,
    title: str,
    processes: int,
    advance: Advance,
) -> dict[str, Tally]:
    """Write annotations/SPLIT.json of each split, and tell what they hold.

    Ids of images and annotations count from 1 in each file, by scene, camera and time; ids of categories
    from 1 in the order of the classes.

    Args:
        splits: rows of `Release.scenes`.
        title: says what the files are of.
        advance: told of each scene.

    Raises:
        OSError: a file cannot be written; it is named.
    """
    instances = [token.decode() for token in source.release.instances.token.tolist()]
    tallies = {}
    for split, scenes in splits.items():
        tallies[split] = tally = Tally(source.classes)
        with making.open(f"annotations/{split}.json") as file:
            file.write(b'{"info":' + _encode({"description": title, "version": source.release.version}))
            categories = [
                _Category(number, name, group_of(name)) for number, name in enumerate(source.classes, start=1)
            ]
            file.write(b',"licenses":[],"categories":' + _encode(categories))
            file.write(b',"images":')
            _write_list(
                file, (list(_images(source, scene, first)) for scene, first in _numbered(source, scenes))
            )
            file.write(b',"annotations":')
            found = each(source.boxes, scenes, processes=processes)
            _write_list(file, _annotations(found, source.release, instances, tally, advance))
            file.write(b"}\n")
    return tallies


def tags(description: str) -> list[str]:
    """What a scene's description says of light and weather: day or night, and rain."""
    words = set(re.findall(r"[a-z]+", description.lower()))
    if not words:
        return []
    rain = ["rain"] if words & {"rain", "raining", "rainy"} else []
    return ["night" if words & {"night", "nighttime"} else "day", *rain]


def _numbered(source: BoxSource, scenes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Scenes with the id of the first image of each."""
    first = 1
    for scene in scenes:
        yield scene, first
        first += len(source.all_frames(scene))


def _images(source: BoxSource, scene: int, first: int) -> Iterator[_Image]:
    release, rows = source.release, source.all_frames(scene)
    about, frames, samples = release.scenes[scene], release.frames, release.samples
    marks = tags(about.description)
    columns = zip(
        frames.file_name[rows].tolist(),
        frames.size[rows].tolist(),
        frames.timestamp[rows].tolist(),
        frames.camera[rows].tolist(),
        samples.token[frames.sample[rows]].tolist(),
        frames.token[rows].tolist(),
        frames.keyframe[rows].tolist(),
        strict=True,
    )
    for number, (name, size, time, camera, sample, token, key) in enumerate(columns, start=first):
        yield _Image(
            id=number,
            file_name=name.decode(),
            width=size[0],
            height=size[1],
            timestamp=time,
            camera=release.cameras[camera],
            scene=about.name,
            scene_token=about.token,
            sample_token=sample.decode(),
            sample_data_token=token.decode(),
            keyframe=key,
            tags=marks,
        )


def _annotations(
    found: Iterator[SceneBoxes], release: Release, instances: Sequence[str], tally: Tally, advance: Advance
) -> Iterator[list[_Annotation]]:
    number = 1
    for scene in found:
        first_image = tally.images + 1
        tally.add(release.frames.keyframe[scene.frames], scene.frame, scene.label, scene.dropped)
        count = len(scene.label)
        low, high = scene.boxes[:, :2], scene.boxes[:, 2:]
        box = np.round(np.hstack([low, high - low]), DECIMALS)
        yield list(
            map(
                _Annotation,
                range(number, number + count),
                (scene.frame + first_image).tolist(),
                (scene.label + 1).tolist(),
                box.tolist(),
                np.round(box[:, 2] * box[:, 3], DECIMALS).tolist(),
                [0] * count,
                [instances[row] for row in release.annotations.instance[scene.annotation].tolist()],
                [bin or msgspec.UNSET for bin in scene.visibility.tolist()],
                np.round(scene.distance, 3).tolist(),
            )
        )
        number += count
        advance(1)


def _write_list(file: DigestedFile, chunks: Iterator[Sequence[msgspec.Struct]]) -> None:
    """A JSON list with an entry on each line."""
    between = b"[\n"
    for rows in chunks:
        if rows:
            # No newline is inside an entry: JSON escapes it.
            file.write(between + _encoder.encode_lines(rows)[:-1].replace(b"\n", b",\n"))
            between = b",\n"
    file.write(b"[]" if between == b"[\n" else b"\n]")


_encoder = msgspec.json.Encoder()
_encode = _encoder.encode

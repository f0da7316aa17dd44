"""Reading of the splits of a YOLO data set."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import numpy as np

from vistrain_trainer.checking.content import UNKNOWN, Boxes, CameraSequence, Frames, Split
from vistrain_trainer.data.manifest import DatasetManifest
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.data.sets.stated import StatedSplit
from vistrain_trainer.data.yolo.data_file import DATA_FILES, read_data_file
from vistrain_trainer.data.yolo.labels import Leniency
from vistrain_trainer.data.yolo.reading import read_splits
from vistrain_trainer.errors import BadInput


def read_yolo(folder: Path, manifest: DatasetManifest, progress: Progress = silent) -> dict[str, Split]:
    """Read every split that the manifest names.

    Raises:
        BadInput: there is no data.yaml, its classes are others than the manifest's, or a picture or a label
            file is faulty.
    """
    path = next((folder / name for name in DATA_FILES if (folder / name).is_file()), folder / DATA_FILES[0])
    data = read_data_file(path)
    if sorted(data.names) != sorted(manifest.classes):
        raise BadInput(
            field=str(path),
            value=list(data.names),
            problem=f"its names are not the classes of the manifest, {list(manifest.classes)}",
            remedy="Prepare the data set again, or restore the file",
        )
    leniency = Leniency(polygons="to-boxes", duplicates="keep")
    index = np.array([manifest.classes.index(name) for name in data.names])
    pictures = folder / manifest.pictures.root
    found = read_splits(data, list(manifest.splits), leniency, progress)
    return {
        name: _split(split.numbered(index), data.names, manifest.cameras, pictures)
        for name, split in found.items()
    }


def _split(stated: StatedSplit, names: tuple[str, ...], cameras: tuple[str, ...], pictures: Path) -> Split:
    """File names are all that tells the camera; what scene a picture is of is not known."""
    count, boxes = len(stated.images), stated.boxes
    seen = [_camera(image.file_name, cameras) for image in stated.images]
    channels = list(dict.fromkeys(seen))
    frames = Frames(
        name=tuple(Path(os.path.relpath(path, pictures)).as_posix() for path in stated.paths),
        token=("",) * count,
        size=np.array([(image.width, image.height) for image in stated.images], np.int32).reshape(-1, 2),
        sequence=np.array([channels.index(camera) for camera in seen], np.int32),
        timestamp=np.full(count, UNKNOWN, np.int64),
        keyframe=np.full(count, UNKNOWN, np.int8),
        orientation=stated.orientations,
    )
    unknown = np.full(len(boxes.classes), np.nan, np.float32)
    return Split(
        name=stated.name,
        classes=names,
        sequences=tuple(CameraSequence("", camera, camera) for camera in channels),
        frames=frames,
        boxes=Boxes(
            frame=boxes.image.astype(np.int32),
            box=boxes.boxes,
            label=boxes.classes.astype(np.int16),
            track=np.full(len(boxes.classes), UNKNOWN, np.int32),
            visibility=unknown,
            distance=unknown,
        ),
    )


def _camera(file_name: str, cameras: tuple[str, ...]) -> str:
    """The channel that nuScenes has between double underscores in a file's name."""
    parts = PurePosixPath(file_name).name.split("__")
    return next((part for part in parts if part in cameras), "")

"""The files of a detection data set, in either layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from vistrain_trainer.data.artifact import Making
from vistrain_trainer.data.coco_file import sizes_of
from vistrain_trainer.data.grouped import Grouped
from vistrain_trainer.data.progress import Advance
from vistrain_trainer.data.sets.documents import coco_document
from vistrain_trainer.data.sets.fitting import shares
from vistrain_trainer.data.sets.pictures import Mode, place
from vistrain_trainer.data.sets.stated import StatedSplit
from vistrain_trainer.data.yolo.data_file import SPLITS, encode_data_file
from vistrain_trainer.data.yolo.labels import PICTURES, encode_labels, label_of
from vistrain_trainer.errors import BadInput


def write_coco(
    splits: Mapping[str, StatedSplit], classes: Sequence[str], making: Making, mode: Mode, advance: Advance
) -> None:
    """annotations/SPLIT.json, and images/ unless they stay where they are; ids are unique over all splits.

    Raises:
        BadInput: two pictures would have one name.
        OSError: it cannot be written.
    """
    images = annotations = 1
    for name, split in splits.items():
        document = coco_document(
            split, classes, first_image=images, first_annotation=annotations, as_stored=True
        )
        images += len(document["images"])
        annotations += len(document["annotations"])
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n"
        making.write(f"annotations/{name}.json", text.encode())
        for image, path in zip(split.images, split.paths, strict=True):
            if mode != "none":
                place(path.resolve(), making, f"{PICTURES}/{image.file_name}", mode)
            advance(1)


def write_yolo(
    splits: Mapping[str, StatedSplit], classes: Sequence[str], making: Making, mode: Mode, advance: Advance
) -> None:
    """data.yaml, labels/SPLIT/ with a file for every picture, and images/SPLIT/.

    Raises:
        BadInput: a split has another name than YOLO knows, or two pictures would have one name.
        OSError: it cannot be written.
    """
    for name, split in splits.items():
        if name not in SPLITS:
            raise BadInput(
                field="--from",
                value=name,
                problem="is no split of YOLO's, which are train, val and test",
                remedy=f"Say which it is, such as val={name}.json",
            )
        (making.now / PICTURES / name).mkdir(parents=True, exist_ok=True)
        names = yolo_names(split)
        boxes = shares(split.boxes.boxes, sizes_of(split.images)[split.boxes.image])
        # What a rounding of the last bit brings out of 0 to 1 goes back in.
        rows = Grouped(
            split.boxes.image, np.column_stack([split.boxes.classes, np.clip(boxes, 0, 1)]), len(names)
        )
        for at, picture in enumerate(names):
            found = rows.rows(at)
            label = label_of(Path(picture)).as_posix()
            making.write(label, encode_labels(found[:, 0].astype(int), found[:, 1:]))
            if split.paths and mode != "none":
                place(split.paths[at].resolve(), making, picture, mode)
            advance(1)
    making.write("data.yaml", encode_data_file(classes, {name: f"{PICTURES}/{name}" for name in splits}))


def yolo_names(split: StatedSplit) -> list[str]:
    """images/SPLIT/… of each picture, relative to the data set.

    Folders `images` inside would move the labels elsewhere, and go.

    Raises:
        BadInput: two pictures would have one name, or one label file; or a name leads out of the folder.
    """
    names: list[str] = []
    taken: dict[Path, str] = {}
    for image in split.images:
        path = PurePosixPath(image.file_name)
        if path.is_absolute() or ".." in path.parts:
            raise BadInput(
                field=split.name,
                value=image.file_name,
                problem="the name leads out of the folder of the pictures",
                remedy="Write the annotation file with names relative to one folder",
            )
        parts = [part for part in path.parts if part != PICTURES]
        name = "/".join([PICTURES, *([] if parts[0] == split.name else [split.name]), *parts])
        other = taken.setdefault(label_of(Path(name)), image.file_name)
        if other != image.file_name:
            raise BadInput(
                field=split.name,
                value=image.file_name,
                problem=f"it would have the same label file as {other}",
                remedy="Rename one of them",
            )
        names.append(name)
    return names

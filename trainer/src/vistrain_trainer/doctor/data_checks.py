"""Checks of the data that a manifest names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.coco_file import read_document
from vistrain_trainer.doctor.finding import Check, Finding, refused
from vistrain_trainer.doctor.manifest_case import ManifestCase
from vistrain_trainer.errors import BadInput

_FOLDERS = 5000
"""Folders of a data set that are searched for its images."""


def _readable(case: ManifestCase) -> Iterator[Finding]:
    for split in case.splits.values():
        if isinstance(split, BadInput):
            yield refused(split)


def _info(case: ManifestCase) -> Iterator[Finding]:
    for name in case.readable():
        split = case.files.splits[name]
        path = split.annotations
        if "info" not in read_document(path, f"{split.field}.annotations"):
            yield Finding(
                severity="note",
                field=f"{split.field}.annotations",
                symptom="Evaluation with pycocotools ends with KeyError: 'info'. Vistrain's own does not.",
                cause=f"{path} has no `info`, which pycocotools copies without asking",
                remedy='Add "info": {} to the file if other programs are to read it',
            )


def _images(case: ManifestCase) -> Iterator[Finding]:
    for name, split in case.readable().items():
        missing = _missing(split)
        if not missing:
            continue
        first = missing[0]
        stated = case.files.splits[name]
        field = stated.images_field
        found = _folder_of(split.images[first].file_name, case.files.root)
        yield Finding(
            severity="error",
            field=field,
            symptom=f"{len(missing)} of {len(split)} images of {name} are not there, such as "
            f"{split.image_path(first)}",
            cause=f"File names in {stated.stated} are relative to `{stated.folder or stated.images}`, and "
            + (f"the image lies under `{found}`" if found else "no folder of the data set has the image"),
            remedy=f"Set {field}: {found}" if found else f"Copy the images to {stated.images}",
        )


def _missing(split: CocoDetection) -> list[int]:
    """Indices of the images without a file; asked one by one only when the folders' lists lack some."""
    try:
        split.verify_images()
    except BadInput:
        return [index for index in range(len(split)) if not split.image_path(index).is_file()]
    return []


def _folder_of(name: str, root: Path) -> str | None:
    """The folder under `root`, relative to it, in which a file name of an annotation file leads to a file."""
    for folder, _, _ in islice(os.walk(root), _FOLDERS):
        if Path(folder) != root and Path(folder, name).is_file():
            return Path(folder).relative_to(root).as_posix()
    return None


CHECKS = (
    Check(
        "data",
        "the annotation files, with `--volume`",
        "a file that is missing, not whole, or has other classes or counts than stated",
        _readable,
    ),
    Check(
        "coco-info",
        "the annotation files, with `--volume`",
        "a file without `info`, at which pycocotools ends with KeyError",
        _info,
    ),
    Check(
        "images-folder",
        "the image folders, with `--volume`",
        "images that are looked for under the wrong folder, and the right one",
        _images,
    ),
)

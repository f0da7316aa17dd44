"""Ground truth to make detections of: MOT sequences, or a COCO file."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from vistrain_trainer.data import coco_file
from vistrain_trainer.data.digests import sha256_of
from vistrain_trainer.data.frame_interval import mean_interval
from vistrain_trainer.data.manifest import MANIFEST, DatasetManifest, digest_of, find, read
from vistrain_trainer.data.mot.info import INFO
from vistrain_trainer.data.mot.sequence import SEQMAPS, TRUTH, read_sequence, read_split
from vistrain_trainer.data.mot.sequence import Sequence as MotSequence
from vistrain_trainer.errors import BadInput

_ABOVE = 3
"""Folders above a source in which its manifest may be."""
_REMEDY = "Name an annotation file, or a folder that `vistrain prepare` made with --format mot"


@dataclass(frozen=True)
class Part(ABC):
    """The boxes that go into one file."""

    split: str
    file: str
    """Where the detections go, relative to their folder."""
    images: int
    boxes: np.ndarray
    """(n, 4) float64 x, y, width, height in pixels."""
    label: np.ndarray
    """(n,) index of the class."""

    @abstractmethod
    def rendered(self, rows: np.ndarray, boxes: np.ndarray) -> bytes:
        """The file with these rows only, and their boxes as they are given; every score is 1."""


@dataclass(frozen=True)
class _Frames(Part):
    frame: np.ndarray

    def rendered(self, rows: np.ndarray, boxes: np.ndarray) -> bytes:
        columns = zip(self.frame[rows].tolist(), boxes.tolist(), self.label[rows].tolist(), strict=True)
        return "".join(
            f"{frame},-1,{','.join(map(_shortest, box))},1,{label},-1,-1\n" for frame, box, label in columns
        ).encode()


@dataclass(frozen=True)
class _Images(Part):
    image: np.ndarray
    category: np.ndarray

    def rendered(self, rows: np.ndarray, boxes: np.ndarray) -> bytes:
        columns = zip(self.image[rows].tolist(), self.category[rows].tolist(), boxes.tolist(), strict=True)
        results = [
            {"image_id": image, "category_id": category, "bbox": box, "score": 1.0}
            for image, category, box in columns
        ]
        return json.dumps(results, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True)
class MotTruth:
    """Sequences by split."""

    kind: ClassVar[Literal["mot"]] = "mot"
    splits: Mapping[str, tuple[MotSequence, ...]]
    classes: tuple[str, ...]
    manifest: DatasetManifest | None

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def digest(self) -> str:
        """Of the files that are read. Raises BadInput when one is not there."""
        return digest_of(
            {f"{split}/{one.name}": sha256_of(one.folder / TRUTH) for split, one in self._sequences()}
        )

    @property
    def frame_interval(self) -> float | None:
        """Mean seconds between frames."""
        if self.manifest is not None and self.manifest.frame_interval is not None:
            return self.manifest.frame_interval
        sequences = [one for _, one in self._sequences()]
        return mean_interval(
            [one.frame_interval for one in sequences], [one.info.length for one in sequences]
        )

    def parts(self) -> Iterator[Part]:
        """A part for each sequence, by frame. Raises BadInput when a file is faulty."""
        for split, one in self._sequences():
            truth = one.truth
            rows = np.flatnonzero(truth.counts)
            rows = rows[np.argsort(truth.frame[rows], kind="stable")]
            yield _Frames(
                split,
                f"{split}/{one.name}.txt",
                one.info.length,
                truth.box[rows],
                truth.label[rows],
                truth.frame[rows],
            )

    def _sequences(self) -> Iterator[tuple[str, MotSequence]]:
        for split, sequences in self.splits.items():
            for one in sequences:
                yield split, one


@dataclass(frozen=True)
class CocoTruth:
    """An annotation file."""

    kind: ClassVar[Literal["coco"]] = "coco"
    path: Path
    classes: tuple[str, ...]
    manifest: DatasetManifest | None
    frame_interval: ClassVar[None] = None

    def __len__(self) -> int:
        return 1

    def digest(self) -> str:
        """Of the file. Raises BadInput when it cannot be read."""
        return sha256_of(self.path)

    def parts(self) -> Iterator[Part]:
        """The boxes of all images, in the file's order, but for crowds. Raises BadInput when it is faulty."""
        document = coco_file.read_document(self.path, "--from")
        images = coco_file.read_images(document, self.path, "--from")
        ids = coco_file.read_categories(document, self.classes, self.path, "--from")
        label = {category: index for index, category in enumerate(ids)}
        coco_file.read_annotations(document, images, label, self.path, "--from")
        stated = [one for one in document["annotations"] if not one.get("iscrowd", 0)]
        category = np.array([one["category_id"] for one in stated], np.int64)
        yield _Images(
            self.path.stem,
            self.path.name,
            len(images),
            np.array([one["bbox"] for one in stated], float).reshape(-1, 4),
            np.array([label[one] for one in category.tolist()], np.int64),
            np.array([one["image_id"] for one in stated], np.int64),
            category,
        )


def open_truth(source: Path, split: str | None, classes: Sequence[str] | None) -> MotTruth | CocoTruth:
    """What is at a path.

    Args:
        source: COCO file; or the folder of a MOT data set, of one of its splits, or of a sequence.
        split: of a MOT data set, the one that is meant; all when None.
        classes: in order; needed of sequences that have no manifest above them.

    Raises:
        BadInput: it is none of these, or its classes are not known, or others than those given.
    """
    if not source.exists():
        raise _bad("--from", source, "it does not exist", _REMEDY)
    manifest = _manifest_of(source)
    if source.is_file():
        found = manifest.classes if manifest is not None else _categories(source)
        _require_classes(source, found, classes)
        if split is not None:
            raise _bad("--split", split, "a COCO file is of one split", "Leave the option out")
        return CocoTruth(source, found, manifest)
    if manifest is not None:
        known = manifest.classes
        _require_classes(source, known, classes)
    elif classes is not None:
        known = tuple(classes)
    else:
        problem = "it has no manifest that names the classes"
        raise _bad("--from", source, problem, "Say --classes with their names in the order of their index")
    if (source / INFO).is_file():
        return MotTruth({source.parent.name: (read_sequence(source, len(known)),)}, known, manifest)
    if any(source.glob(f"*/{INFO}")):
        return MotTruth({source.name: read_split(source.parent, source.name, len(known))}, known, manifest)
    names = [split] if split is not None else _splits(source)
    return MotTruth({name: read_split(source, name, len(known)) for name in names}, known, manifest)


def _manifest_of(source: Path) -> DatasetManifest | None:
    source = source.absolute()
    inside = source if source.is_file() else source / MANIFEST
    above = list(inside.parents)
    found = find(inside, above[min(_ABOVE, len(above) - 1)])
    return None if found is None else read(found)


def _splits(root: Path) -> list[str]:
    named = sorted(path.stem for path in (root / SEQMAPS).glob("*.txt"))
    found = named or sorted({path.parents[1].name for path in root.glob(f"*/*/{INFO}")})
    if not found:
        problem = (
            "it is no COCO file, and no folder of MOT sequences" if root.exists() else "it does not exist"
        )
        raise _bad(
            "--from", root, problem, "Name annotations/val.json, or a folder that `prepare` made as mot"
        )
    return found


def _categories(path: Path) -> tuple[str, ...]:
    """The classes of a file, in the order of its ids."""
    document = coco_file.read_document(path, "--from")
    named = {
        one["id"]: one["name"]
        for one in document["categories"]
        if isinstance(one.get("id"), int) and isinstance(one.get("name"), str)
    }
    names = tuple(named[category] for category in sorted(named))
    coco_file.read_categories(document, names, path, "--from")
    return names


def _require_classes(source: Path, found: Sequence[str], given: Sequence[str] | None) -> None:
    if given is not None and tuple(given) != tuple(found):
        problem = f"{source} has {', '.join(found)}, in this order"
        raise _bad("--classes", ",".join(given), problem, "Leave the option out")


def _shortest(value: float) -> str:
    """The shortest text that reads as the very number."""
    return str(int(value)) if value.is_integer() else repr(value)


def _bad(field: str, value: object, problem: str, remedy: str) -> BadInput:
    return BadInput(field=field, value=value, problem=problem, remedy=remedy)

"""A detection data set written in another layout."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from vistrain_trainer.data import manifest as manifests
from vistrain_trainer.data.artifact import Making, alone
from vistrain_trainer.data.manifest import (
    RESERVED,
    DatasetManifest,
    Pictures,
    Source,
    SplitRecord,
)
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.data.sets import fitting
from vistrain_trainer.data.sets.counts import counts_of
from vistrain_trainer.data.sets.pictures import Mode
from vistrain_trainer.data.sets.stated import DetectionSet, StatedSplit
from vistrain_trainer.data.sets.writing import write_coco, write_yolo
from vistrain_trainer.data.whole_folder import already_made
from vistrain_trainer.data.yolo.labels import PICTURES
from vistrain_trainer.data.yolo.reading import common_folder
from vistrain_trainer.errors import BadInput


@dataclass(frozen=True)
class ConvertOptions:
    """What is written."""

    to: Literal["coco", "yolo"]
    pictures: Mode = "link"
    classes: tuple[str, ...] = ()
    """Classes that are kept, in their new order; all as they are when empty."""
    duplicates: Literal["refuse", "drop"] = "refuse"
    polygons: Literal["refuse", "to-boxes"] = "refuse"
    """Of YOLO; a polygon of COCO has its box beside it."""

    def command(self) -> str:
        """The command that makes the same data set of the same source, but for folders."""
        words = ["vistrain", "prepare", "convert", "--to", self.to, "--pictures", self.pictures]
        if self.classes:
            words += ["--classes", ",".join(self.classes)]
        for name, value in (("--duplicates", self.duplicates), ("--polygons", self.polygons)):
            words += [name, value] if value != "refuse" else []
        return shlex.join(words)


def convert(
    source: DetectionSet, options: ConvertOptions, out: Path, progress: Progress = silent
) -> DatasetManifest:
    """Write a data set to `out`, which appears only when whole, and give its manifest.

    A folder that holds this very data set is left as it is; pictures that an interrupted conversion copied
    are not copied again.

    Raises:
        BadInput: the target layout cannot hold the data set, or the folder holds something else.
        OSError: it cannot be written; what was copied so far is kept for the next try.
    """
    out = out.absolute()
    if source.format == options.to == "coco":
        raise BadInput(field="--to", value="coco", problem="the data set is COCO already", remedy="Say yolo")
    stamp = {"command": options.command(), "version": version("vistrain-trainer"), "source": source.digest()}
    with alone(out):
        made = already_made(
            out,
            lambda found: _stamp_of(found) == stamp,
            lambda found: f"what `{found.command}` made of other data, or an edited copy of it",
        )
        if made is not None:
            return made
        classes = options.classes or source.classes
        splits, left_out = _fitted(source, classes, options, progress)
        making = Making(out)
        making.begin(dict(stamp))
        write = write_yolo if options.to == "yolo" else write_coco
        pictures = sum(len(split.images) for split in splits.values())
        with progress(f"writing {pictures} pictures' labels", pictures) as advance:
            write(splits, classes, making, options.pictures, advance)
        if source.manifest is not None and RESERVED in source.manifest.files:
            making.write(RESERVED, (source.home / RESERVED).read_bytes())
        manifest = _manifest(source, options, splits, making.files, left_out, stamp)
        making.finish(manifest)
    return manifest


def _fitted(
    source: DetectionSet, classes: Sequence[str], options: ConvertOptions, progress: Progress
) -> tuple[dict[str, StatedSplit], Counter[str]]:
    """The splits as they are written, and how many boxes were changed or left out, by reason."""
    left_out: Counter[str] = Counter()
    index = _numbering(source.classes, classes)
    splits = {}
    for name, split in source.splits.items():
        chosen = split.numbered(index)
        left_out["otherClass"] += len(split.boxes.classes) - len(chosen.boxes.classes)
        if source.format == "yolo":
            left_out["duplicate"] += split.findings.duplicates
        elif split.paths:
            with progress(f"looking at {len(split.images)} pictures of {name}", len(split.images)) as advance:
                chosen = fitting.upright(chosen, advance)
        elif options.pictures != "none":
            raise BadInput(
                field=name,
                value=split.images[0].file_name,
                problem="the picture is not where pictures are looked for",
                remedy="Name their folder with --images, or say --pictures none",
            )
        splits[name] = fitting.fit(chosen, options.to, options.duplicates, left_out)
    return splits, +left_out


def _numbering(old: Sequence[str], new: Sequence[str]) -> np.ndarray:
    """(old classes,) the new index of each class; -1 for those that are left out."""
    unknown = [name for name in new if name not in old]
    if unknown or len(set(new)) != len(new):
        raise BadInput(
            field="--classes",
            value=",".join(new),
            problem=f"{unknown[0]!r} is unknown" if unknown else "a name comes twice",
            remedy=f"choose from {', '.join(old)}",
        )
    return np.array([new.index(name) if name in new else -1 for name in old])


def _stamp_of(made: DatasetManifest) -> dict[str, str]:
    return {"command": made.command, "version": made.version, "source": made.source.digest}


def _manifest(
    source: DetectionSet,
    options: ConvertOptions,
    splits: dict[str, StatedSplit],
    files: dict[str, str],
    left_out: Counter[str],
    stamp: dict[str, str],
) -> DatasetManifest:
    before = source.manifest
    classes = options.classes or source.classes
    clipped = left_out.pop(fitting.CLIPPED, 0)
    made = DatasetManifest(
        format=options.to,
        command=stamp["command"],
        version=stamp["version"],
        source=Source(
            kind="yolo" if source.format == "yolo" else "coco",
            version=before.source.version if before else "",
            digest=stamp["source"],
        ),
        classes=classes,
        splits={name: _record(split, before, classes) for name, split in splits.items()},
        pictures=_pictures(source, options),
        digest=manifests.digest_of(files),
        dropped=dict(sorted(left_out.items())),
        notes=tuple(_notes(source, clipped)),
        files=files,
    )
    if before is None:
        return made
    kept = ("cameras", "split_lists", "fps", "frame_interval", "sweeps", "visibility", "projection", "seed")
    return msgspec.structs.replace(made, **{name: getattr(before, name) for name in kept})


def _record(split: StatedSplit, before: DatasetManifest | None, classes: Sequence[str]) -> SplitRecord:
    known = before.splits.get(split.name) if before else None
    return SplitRecord(
        counts=counts_of(split, classes, known.counts if known else None),
        scenes=known.scenes if known else (),
        reserved=known is not None and known.reserved,
    )


def _pictures(source: DetectionSet, options: ConvertOptions) -> Pictures:
    if options.pictures != "none":
        return Pictures(mode=options.pictures, root=PICTURES)
    found = [path for split in source.splits.values() for path in split.paths]
    return Pictures(mode="none", root=str(common_folder(found)) if found else PICTURES)


def _notes(source: DetectionSet, clipped: int) -> Iterator[str]:
    if source.manifest is not None:
        yield from source.manifest.notes
        yield f"converted from what `{source.manifest.command}` made"
    findings = [split.findings for split in source.splits.values()]
    bounds = "polygons are taken as their bounds"
    beside = "annotations have a polygon beside their box, which is not carried over"
    counted = {
        "boxes reach out of their picture further than YOLO can say, and are clipped": clipped,
        bounds if source.format == "yolo" else beside: sum(one.polygons for one in findings),
        "pictures without a label file count as background": sum(one.missing_labels for one in findings),
        "label files have no picture": len(source.orphans),
    }
    yield from (f"{count} {text}" for text, count in counted.items() if count)

"""Ground truth written as if a perfect detector had found it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from vistrain_trainer.data.detections_source import CocoTruth, MotTruth, Part, open_truth
from vistrain_trainer.data.manifest import (
    MANIFEST,
    Counts,
    DatasetManifest,
    Pictures,
    Source,
    SplitRecord,
    digest_of,
    encode,
)
from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.whole_folder import already_made
from vistrain_trainer.engine.files import put_folder, write_durably
from vistrain_trainer.errors import BadInput

Advance = Callable[[float], None]
_LEAST_SIDE = 0.1
"""Of its own, what a side keeps at least when it is jittered."""


@dataclass(frozen=True)
class ExportOptions:
    """What to export, and how far it may be from the truth."""

    source: Path
    """COCO file, MOT data set, split of it, or sequence."""
    split: str | None = None
    """Of a MOT data set: the one split to export; all when None."""
    classes: tuple[str, ...] | None = None
    """In order, where the data have no manifest that says so."""
    drop: float = 0.0
    """Share of boxes that are left out, at random."""
    jitter: float = 0.0
    """Standard deviation of centre and sides, as a share of the box's own sides."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, most in (("--drop", self.drop, 1.0), ("--jitter", self.jitter, 1.0)):
            if not 0 <= value < most:
                raise BadInput(
                    field=name,
                    value=value,
                    problem="is out of bounds",
                    remedy="give a share from 0 to below 1",
                )

    def command(self) -> str:
        """The command that makes the same detections, but for folders."""
        words = ["vistrain", "prepare", "detections", "--from", self.source.name]
        words += ["--split", self.split] if self.split else []
        words += ["--classes", ",".join(self.classes)] if self.classes else []
        words += ["--drop", f"{self.drop:g}"] if self.drop else []
        words += ["--jitter", f"{self.jitter:g}"] if self.jitter else []
        words += ["--seed", str(self.seed)] if self.drop or self.jitter else []
        return shlex.join(words)


def export_detections(
    options: ExportOptions, out: Path, advance: Advance = lambda _: None
) -> DatasetManifest:
    """Write detections into `out`, which appears only when whole, and give their manifest.

    Of MOT sequences: `{split}/{sequence}.txt`, lines `frame,-1,x,y,width,height,score,class,-1,-1`. Of a COCO
    file: one of its name, in COCO's results form. Scores are 1. Crowds, and what by the truth does not count,
    are left out. A folder that already holds exactly these is left as it is.

    Args:
        advance: told what share of the work is done now.

    Raises:
        BadInput: the source is not such, is faulty, or the folder holds something else.
        OSError: it cannot be written.
    """
    truth = open_truth(options.source, options.split, options.classes)
    base = _base(options, truth)
    out = out.absolute()
    made = already_made(out, lambda found: _asked(found) == _asked(base))
    if made is not None:
        advance(1.0)
        return made
    written: list[DatasetManifest] = []

    def fill(folder: Path) -> None:
        files: dict[str, str] = {}
        tallies: dict[str, _Tally] = {}
        for part in truth.parts():
            rows, boxes = _changed(part, options)
            (folder / part.file).parent.mkdir(exist_ok=True)
            content = part.rendered(rows, boxes)
            write_durably(folder / part.file, content)
            files[part.file] = hashlib.sha256(content).hexdigest()
            tally = tallies.setdefault(part.split, _Tally(np.zeros(len(truth.classes), np.int64)))
            tally.files += 1
            tally.images += part.images
            tally.boxes += np.bincount(part.label[rows], minlength=len(truth.classes))
            advance(1 / len(truth))
        splits = {name: _record(name, tally, truth) for name, tally in tallies.items()}
        manifest = msgspec.structs.replace(base, files=files, splits=splits, digest=digest_of(files))
        write_durably(folder / MANIFEST, encode(manifest))
        written.append(manifest)

    put_folder(out, fill)
    return written[0]


def _base(options: ExportOptions, truth: MotTruth | CocoTruth) -> DatasetManifest:
    """The manifest without what is known only when all is written."""
    prepared = truth.manifest
    noise = [f"{options.drop:.1%} of the boxes are left out at random"] if options.drop else []
    noise += [f"boxes are jittered by {options.jitter:.1%} of their sides"] if options.jitter else []
    return DatasetManifest(
        format="detections",
        command=options.command(),
        version=version("vistrain-trainer"),
        source=Source(
            kind=truth.kind,
            version="" if prepared is None else prepared.source.version,
            digest=truth.digest(),
        ),
        classes=truth.classes,
        cameras=() if prepared is None else prepared.cameras,
        split_lists="" if prepared is None else prepared.split_lists,
        fps=None if prepared is None else prepared.fps,
        frame_interval=truth.frame_interval,
        image_size=None if prepared is None else prepared.image_size,
        seed=options.seed if options.drop or options.jitter else None,
        pictures=Pictures(mode="none", root=""),
        notes=tuple(noise),
        splits={},
        files={},
        digest="",
    )


def _asked(manifest: DatasetManifest) -> tuple[str, str, Source]:
    return manifest.command, manifest.version, manifest.source


def _changed(part: Part, options: ExportOptions) -> tuple[np.ndarray, np.ndarray]:
    """Rows that stay, and their boxes; a function of the seed and the file."""
    rows, boxes = np.arange(len(part.boxes)), part.boxes
    if options.drop or options.jitter:
        random = generator(options.seed, Purpose.DETECTIONS, *part.file.encode())
        rows = np.flatnonzero(random.random(len(boxes)) >= options.drop)
        shift, stretch = random.normal(0, options.jitter, (2, len(boxes), 2))
        if options.jitter:
            sides = boxes[:, 2:] * np.maximum(_LEAST_SIDE, 1 + stretch)
            centres = boxes[:, :2] + boxes[:, 2:] * (0.5 + shift)
            boxes = np.hstack([centres - sides / 2, sides])
    return rows, boxes[rows]


@dataclass
class _Tally:
    boxes: np.ndarray
    images: int = 0
    files: int = 0


def _record(name: str, tally: _Tally, truth: MotTruth | CocoTruth) -> SplitRecord:
    prepared = None if truth.manifest is None else truth.manifest.splits.get(name)
    return SplitRecord(
        counts=Counts(
            images=tally.images,
            annotations=int(tally.boxes.sum()),
            per_class=dict(zip(truth.classes, tally.boxes.tolist(), strict=True)),
            sequences=tally.files if truth.kind == "mot" else None,
        ),
        scenes=() if prepared is None else prepared.scenes,
        reserved=prepared is not None and prepared.reserved,
    )

"""What a full evaluation found, as charts, tables and pictures of a report."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.charts import INK, Chart, Line, drawn
from vistrain_trainer.reporting.tables import Cell, Column, Table
from vistrain_trainer.reporting.wording import count, listing, number

if TYPE_CHECKING:
    from vistrain_trainer.evaluation.artifact import EvaluationArtifact, Picture
    from vistrain_trainer.evaluation.confusion import ConfusionMatrix
    from vistrain_trainer.evaluation.operating import Counted
    from vistrain_trainer.evaluation.precision_recall import Curve, PrecisionRecall
    from vistrain_trainer.evaluation.source import WeightsSource

SPLITS = ("validation", "test")
MAX_PICTURES, MAX_SIDE, QUALITY = 12, 1600, 82
"""Pictures of a split in a page; pixels of the longer side; quality of JPEG."""
_COUNTED = (
    Column("precision", "precision"),
    Column("recall", "recall"),
    Column("f1", "F1"),
    Column("right", "right"),
    Column("missed", "missed"),
    Column("false", "false"),
)
_SLICES = {"size": "Size", "distance": "Distance", "visibility": "Visibility", "tag": "Tag"}


@dataclass(frozen=True)
class Judgement:
    """One evaluation, read."""

    artifact: EvaluationArtifact
    folder: Path

    @property
    def split(self) -> str:
        """validation or test."""
        return self.artifact.split

    @property
    def said(self) -> str:
        """What was judged, by what."""
        artifact = self.artifact
        sizes = listing([f"{width}×{height}" for height, width in artifact.input_sizes])
        judged = listing([_source(one) for one in artifact.sources])
        floor = number(artifact.thresholds.confidence, 3)
        merged = f", merged by {artifact.ensemble}" if artifact.ensemble else ""
        return (
            f"{judged}{merged}, at {sizes} in {artifact.precision} on {artifact.device}: "
            f"{count(artifact.images, 'image')} with {count(artifact.annotations, 'box', 'boxes')}, "
            f"{count(artifact.detections, 'detection')} of at least {floor} "
            f"(suppressed above an IoU of {number(artifact.thresholds.nms_iou)}, at most "
            f"{artifact.thresholds.max_detections} an image)."
        )

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Precision and F1 over recall."""
        return curve_charts(self.artifact.curves, self.split)

    @property
    def classes(self) -> Table:
        """Average precision and recall of every class, with what it does at the confidence it is used at."""
        operating = self.artifact.operating[-1]
        columns = (
            Column("class", "class"),
            Column("ap", "AP"),
            Column("ar", "AR"),
            *_COUNTED,
        )
        rows: list[tuple[Cell, ...]] = []
        for name in self.artifact.classes:
            counted = operating.classes.get(name)
            counts = (None,) * len(_COUNTED) if counted is None else _counts(counted)
            figures = (self.artifact.metrics.get(f"{figure}/{name}") for figure in ("AP", "AR"))
            rows.append((name, *figures, *counts))
        title = f"Classes on the {self.split} split, at confidence {operating.confidence:.3g}"
        return Table(title, columns, tuple(rows))

    @property
    def operating(self) -> Table:
        """What the detector does at each confidence that was looked at."""
        columns = (
            Column("chosen", "confidence is"),
            Column("confidence", "confidence"),
            Column("iou", "IoU"),
            *_COUNTED,
        )
        rows = tuple(
            (one.chosen, one.confidence, one.iou, *_counts(one.pooled)) for one in self.artifact.operating
        )
        return Table(f"Operating points on the {self.split} split", columns, rows)

    @property
    def slices(self) -> Table:
        """COCO's figures by size, distance, visibility and tag."""
        columns = (
            Column("by", "by"),
            Column("part", "part"),
            Column("images", "images"),
            Column("boxes", "boxes"),
            Column("ap", "AP"),
            Column("ap50", "AP50"),
            Column("ar100", "AR100"),
        )
        slices = self.artifact.slices
        parts = [("all", "whole split", slices.whole)]
        parts += [
            (_SLICES.get(by, by), name, one)
            for by, found in slices.parts.items()
            for name, one in found.items()
        ]
        rows = tuple(
            (
                by,
                name,
                one.images,
                one.boxes,
                *(one.figures.get(figure) for figure in ("AP", "AP50", "AR100")),
            )
            for by, name, one in parts
        )
        return Table(f"Slices of the {self.split} split", columns, rows)

    @property
    def confusion(self) -> Table:
        """Counts: a row for what is there, a column for what is detected."""
        return confusion_table(self.artifact.confusion, self.split)

    def pictures(self) -> Iterator[tuple[Picture, str]]:
        """The first pictures, as data of a page."""
        for picture, content, _, _ in self.jpegs():
            yield picture, f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"

    def jpegs(self) -> Iterator[tuple[Picture, bytes, int, int]]:
        """The first pictures as JPEG, with height and width; one that cannot be read is left out."""
        for picture in self.artifact.pictures[:MAX_PICTURES]:
            found = small_jpeg(self.folder / picture.file)
            if found is not None:
                yield picture, *found


def _counts(counted: Counted) -> tuple[Cell, ...]:
    """The cells of the columns _COUNTED."""
    figures = (counted.precision, counted.recall, counted.f1)
    return (*figures, counted.right, counted.missed, counted.false)


def _source(one: WeightsSource) -> str:
    epoch = "" if one.epoch is None else f" (epoch {one.epoch})"
    return f"{one.path}{epoch}, sha256 {one.sha256[:12]}…"


def read_judgements(run: Path) -> tuple[tuple[Judgement, ...], tuple[str, ...]]:
    """The evaluations in a run folder, and notes on those that cannot be read."""
    found, notes = [], []
    for split in SPLITS:
        folder = run / "evaluation" / split
        if not folder.is_dir():
            continue
        from vistrain_trainer.evaluation.artifact import EvaluationArtifact

        try:
            found.append(Judgement(EvaluationArtifact.read(folder), folder))
        except BadInput as error:
            notes.append(f"the evaluation on the {split} split is left out: {error}")
    return tuple(found), tuple(notes)


def curve_charts(curves: PrecisionRecall, split: str) -> tuple[Chart, ...]:
    """Precision over recall, and F1 over recall, of every class and of their mean."""
    known: Mapping[str, Curve] = {name: curve for name, curve in curves.classes.items() if curve is not None}
    if curves.pooled is None:
        return ()
    at = "mean over COCO's IoUs" if curves.iou is None else f"IoU {curves.iou:g}"

    def lines(values: str) -> tuple[Line, ...]:
        mean = Line("mean of classes", curves.recall, getattr(curves.pooled, values), slot=INK)
        return (
            *(
                Line(name, curves.recall, getattr(one, values), slot)
                for slot, (name, one) in enumerate(known.items())
            ),
            *([mean] if len(known) > 1 else []),
        )

    return drawn(
        Chart(
            key=f"{key}-{split}",
            title=f"{title}, {split} split ({at})",
            x_label="recall",
            y_label=label,
            lines=lines(values),
            x_range=(0.0, 1.0),
            y_floor=0.0,
            y_ceiling=1.0,
        )
        for key, title, label, values in (
            ("precision-recall", "Precision over recall", "precision", "precision"),
            ("f1-recall", "F1 over recall", "F1", "f1"),
        )
    )


def confusion_table(matrix: ConfusionMatrix, split: str) -> Table:
    """A confusion matrix as a table."""
    columns = (
        Column("truth", "truth \\ detected"),
        *(Column(f"detected_{name}", name) for name in matrix.labels),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, *counts) for name, counts in zip(matrix.labels, matrix.counts, strict=True)
    )
    return Table(f"Confusion on the {split} split, at confidence {matrix.confidence:.3g}", columns, rows)


def small_jpeg(path: Path, longest: int = MAX_SIDE) -> tuple[bytes, int, int] | None:
    """A picture of at most so many pixels a side, with height and width; none when it cannot be read."""
    import cv2
    import numpy as np

    try:
        content = path.read_bytes()
    except OSError:
        return None
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if picture is None:
        return None
    side = max(picture.shape[:2])
    if side > longest:
        share = longest / side
        picture = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return (encoded.tobytes(), picture.shape[0], picture.shape[1]) if done else None

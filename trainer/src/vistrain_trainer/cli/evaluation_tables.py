"""The tables of an evaluation on a terminal; each states the thresholds behind its figures."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from vistrain_trainer.evaluation.artifact import EvaluationArtifact
from vistrain_trainer.evaluation.operating import Operating
from vistrain_trainer.evaluation.source import WeightsSource

_FIGURES = (
    ("AP", "0.50:0.95", "all", "100"),
    ("AP50", "0.50", "all", "100"),
    ("AP75", "0.75", "all", "100"),
    ("APsmall", "0.50:0.95", "small", "100"),
    ("APmedium", "0.50:0.95", "medium", "100"),
    ("APlarge", "0.50:0.95", "large", "100"),
    ("AR1", "0.50:0.95", "all", "1"),
    ("AR10", "0.50:0.95", "all", "10"),
    ("AR100", "0.50:0.95", "all", "100"),
    ("ARsmall", "0.50:0.95", "small", "100"),
    ("ARmedium", "0.50:0.95", "medium", "100"),
    ("ARlarge", "0.50:0.95", "large", "100"),
)
_NONE = "–"


def print_evaluation(found: EvaluationArtifact, console: Console) -> None:
    """Print COCO's twelve figures, those of each class, counts at two confidences, and slices."""
    behind = thresholds_text(found)
    sources = " + ".join(map(source_text, found.sources))
    merged = f" merged by {found.ensemble}" if found.ensemble else ""
    sizes = ", ".join(dict.fromkeys(f"{height}×{width}" for height, width in found.input_sizes))
    console.print(f"{sources}{merged}, input {sizes}, {found.precision} on {found.device}", highlight=False)
    console.print(
        f"{found.split}: {found.images} images, {found.annotations} boxes, {found.detections} detections",
        highlight=False,
    )
    console.print(_figures(found, behind))
    console.print(_classes(found, behind))
    for one in found.operating:
        console.print(_operating(one, behind))
    console.print(_slices(found, behind))
    for note in found.notes:
        console.print(note, highlight=False)


def thresholds_text(found: EvaluationArtifact) -> str:
    """`score ≥ 0.01, NMS at IoU 0.65, at most 100 an image`."""
    at = found.thresholds
    return f"score ≥ {at.confidence:g}, NMS at IoU {at.nms_iou:g}, at most {at.max_detections} an image"


def source_text(source: WeightsSource) -> str:
    """`quickstart at step 768 (epoch 12)`, or the name of a file."""
    if source.step is None:
        return f"{source.run}: {source.path}" if source.run else source.path
    return f"{source.run or source.path} at step {source.step} (epoch {source.epoch})"


def _figures(found: EvaluationArtifact, behind: str) -> Table:
    table = _table(f"COCO's figures: {behind}", "figure", "IoU", "area", "detections")
    table.add_column("value", justify="right")
    for name, iou, area, detections in _FIGURES:
        table.add_row(name, iou, area, detections, _number(found.metrics[name]))
    table.add_row("valLoss", "", "", "", _number(found.metrics["valLoss"]))
    return table


def _classes(found: EvaluationArtifact, behind: str) -> Table:
    table = _table(f"By class: {behind}", "class")
    for column in ("boxes", "AP", "AP50", "AR"):
        table.add_column(column, justify="right")
    for name in found.classes:
        curve, counted = found.curves.classes[name], found.operating[0].classes[name]
        table.add_row(
            name,
            str(0 if counted is None else counted.right + counted.missed),
            _number(found.metrics[f"AP/{name}"]),
            _number(None if curve is None else curve.average_precision),
            _number(found.metrics[f"AR/{name}"]),
        )
    return table


def _operating(one: Operating, behind: str) -> Table:
    why = "stated" if one.chosen == "stated" else "where the classes' mean F1 is greatest"
    table = _table(f"Score ≥ {one.confidence:.4g} ({why}), a match at IoU ≥ {one.iou:g}: {behind}", "class")
    for column in ("right", "false", "missed", "P", "R", "F1"):
        table.add_column(column, justify="right")
    for name, counted in (*one.classes.items(), ("all", one.pooled)):
        if counted is None:
            table.add_row(name, *[_NONE] * 6)
            continue
        figures = map(_number, (counted.precision, counted.recall, counted.f1))
        table.add_row(name, *map(str, (counted.right, counted.false, counted.missed)), *figures)
    return table


def _slices(found: EvaluationArtifact, behind: str) -> Table:
    table = _table(f"Slices: {behind}", "by", "part")
    for column in ("images", "boxes", "AP", "AP50", "AR100"):
        table.add_column(column, justify="right")
    for kind, parts in found.slices.parts.items():
        for name, part in parts.items():
            figures = (_number(part.figures[figure]) for figure in ("AP", "AP50", "AR100"))
            table.add_row(kind, name, str(part.images), str(part.boxes), *figures)
    return table


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left", title_style="bold", box=SIMPLE)


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"

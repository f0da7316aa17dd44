"""The manifest of a run that goes on where a finished one ended: a new run, not a resume."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import ManifestError, load, parse
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.errors import BadInput

SUFFIX = "-extended"
NAME_LENGTH = 50


def extended(
    folder: Path,
    *,
    epochs: int,
    name: str | None = None,
    peak: float | None = None,
    min_ratio: float | None = None,
) -> DetectorTraining:
    """The manifest that trains a finished run for more epochs.

    It starts from the last raw weights, average and optimiser; there is no warm-up, the seed is the next one,
    so that no order of samples comes twice, and what the last phase froze stays frozen. Its rate stays at the
    last of the finished run unless a peak is given: then a cosine falls from there.

    Args:
        folder: run folder.
        epochs: more epochs to train.
        name: of the new run.
        peak: rate that its curve begins with.
        min_ratio: share of the peak that it ends with.

    Raises:
        BadInput: the folder is not that of a finished run, or what is asked for makes no valid run.
    """
    manifest = _finished(folder)
    values = manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec: dict[str, Any] = values["spec"]
    old = manifest.metadata.name or folder.name
    values["metadata"] = {"name": name or f"{old[: NAME_LENGTH - len(SUFFIX)]}{SUFFIX}"}
    spec["initialization"] = {"run": {"name": old, "checkpoint": "last", "optimizer": "keep"}}
    schedule = spec["schedule"]
    schedule.pop("phases", None)
    for last_phase in (manifest.spec.schedule.phases or [])[-1:]:
        if last_phase.freeze:
            schedule["phases"] = [{"name": last_phase.name, "freeze": list(last_phase.freeze)}]
    schedule |= {
        "epochs": epochs,
        "seed": schedule["seed"] + 1,
        "warmupEpochs": 0,
        "noAugEpochs": min(schedule["noAugEpochs"], epochs),
        "learningRate": _rate(folder, peak, min_ratio),
    }
    spec["evaluation"]["everyEpochs"] = min(spec["evaluation"]["everyEpochs"], epochs)
    spec["checkpoint"].pop("path", None)
    spec["suspend"] = False
    try:
        return parse(values)
    except ManifestError as error:
        raise BadInput(
            field="--epochs, --peak, --min-ratio, --name",
            value="the extended manifest",
            problem=str(error),
            remedy="Give values within the bounds of the fields",
        ) from error


def _finished(folder: Path) -> DetectorTraining:
    path = folder / "manifest.yaml"
    try:
        manifest = load(path)
    except ManifestError as error:
        raise BadInput(
            field="RUN",
            value=folder,
            problem=f"it is not a run folder ({error})",
            remedy="Name a run folder such as runs/a",
        ) from error
    if RunFolder(folder, manifest).result() is None:
        raise BadInput(
            field="RUN",
            value=folder,
            problem="the run has not finished",
            remedy="Resume it: the command that began it, with the same --output, trains it to its end",
        )
    return manifest


def _rate(folder: Path, peak: float | None, min_ratio: float | None) -> dict[str, Any]:
    if peak is not None:
        return {"peak": peak, "minRatio": 0.05 if min_ratio is None else min_ratio, "curve": "cosine"}
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("learning_rate")]
    last = float(rows[-1]["learning_rate"]) if rows else 0.0
    if last <= 0:
        raise BadInput(
            field="--peak",
            value="nothing",
            problem="the finished run ended with a rate of 0",
            remedy="Give the rate to go on with",
        )
    return {"peak": last, "minRatio": 1.0 if min_ratio is None else min_ratio, "curve": "linear"}

"""Detectors read back from where a run, or somebody else, has left them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import ManifestError, load
from vistrain_trainer.detectors import matching, weights_file
from vistrain_trainer.engine.checkpoint import STATE, StoredCheckpoint, TornCheckpoint, open_checkpoint
from vistrain_trainer.engine.state import exported_weights
from vistrain_trainer.engine.store import INDEX, CheckpointStore
from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.inference import Predict
from vistrain_trainer.evaluation.source import WeightsSource

MANIFEST = "manifest.yaml"


@dataclass(frozen=True)
class StoredDetector:
    """Weights, and what they are of."""

    manifest: DetectorTraining
    """The run's, or the one that was given in its place."""
    source: WeightsSource
    weights: Mapping[str, Tensor]
    """The average's where there is one, as in training's own evaluations."""
    given: Path
    """What was named."""

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the class index."""
        return tuple(self.manifest.spec.dataset.classes)


class Network(NamedTuple):
    """A detector that is ready to be run."""

    model: nn.Module
    predict: Predict
    input_size: tuple[int, int]
    """(height, width) in pixels."""


def find_detector(path: Path, which: str, manifest: DetectorTraining | None) -> StoredDetector:
    """Read the weights of a run folder, a checkpoint folder or a file.

    Args:
        path: one of these.
        which: of a run folder `best`, `last`, or the step of a checkpoint.
        manifest: in place of the run's own; a file that lies in no run folder needs one.

    Raises:
        BadInput: there is no such thing, it is not whole, or its classes are not those of the manifest.
    """
    if path.is_file():
        return _from_file(path, manifest)
    if (path / STATE).is_file():
        return _from_checkpoint(path, path, manifest)
    if (path / "checkpoints").is_dir():
        return _from_checkpoint(path, _named(path, which), manifest)
    raise BadInput(
        field="detector",
        value=str(path),
        problem="it is no run folder, no checkpoint folder and no file of weights"
        if path.exists()
        else "there is no such file or folder",
        remedy="Name for example runs/a, runs/a/checkpoints/step-000000120 or weights/best.pth",
    )


def build(stored: StoredDetector, device: torch.device) -> Network:
    """The network with its weights, on a device, in eval mode.

    Raises:
        BadInput: not every weight fits, or the detector is not supported.
    """
    yolox = stored.manifest.spec.model.yolox
    if yolox is None:
        raise BadInput(
            field="spec.model",
            value=stored.manifest.spec.model.display(),
            problem="this version runs YOLOX only",
            remedy="name weights of a YOLOX",
        )
    from vistrain_trainer.detectors.yolox import part_weights, predictor
    from vistrain_trainer.detectors.yolox_model import YoloxModel
    from vistrain_trainer.detectors.yolox_weights import CLASS_HEAD

    model = YoloxModel(yolox.variant, len(stored.classes))
    match = matching.match(model, stored.weights, CLASS_HEAD, other_classes=False)
    if match.share < 1 or match.excused:
        misfits = [*match.misfits, *(f"{name} is of other classes" for name in match.excused)]
        raise BadInput(
            field="detector",
            value=str(stored.given),
            problem=f"{len(misfits)} of its tensors do not fit yolox-{yolox.variant} with "
            f"{len(stored.classes)} classes ({'; '.join(misfits[:3])})",
            remedy="Name with -f the manifest that they were trained with",
        )
    matching.load(model, match)
    model.to(memory_format=torch.channels_last)
    size = (yolox.input_size.height, yolox.input_size.width)
    predict = predictor(model, part_weights(stored.manifest.spec.schedule.loss_weights))
    return Network(model.to(device).eval(), predict, size)


def _from_file(path: Path, manifest: DetectorTraining | None) -> StoredDetector:
    named = weights_file.read(path, "detector")
    run = path.absolute().parent.parent
    name = None
    if path.absolute().parent.name == "weights" and (run / MANIFEST).is_file():
        own = _manifest(run)
        name, manifest = own.metadata.name or run.name, manifest or own
    if manifest is None:
        raise _no_manifest(path, "model, data and thresholds")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _require_classes(path, named.classes, manifest)
    return StoredDetector(manifest, WeightsSource(path.name, digest, name), named.tensors, path)


def _from_checkpoint(given: Path, folder: Path, manifest: DetectorTraining | None) -> StoredDetector:
    run = folder.absolute().parent.parent
    try:
        checkpoint = open_checkpoint(folder)
        checkpoint.verify()
        state = checkpoint.load()
    except (TornCheckpoint, OSError) as error:
        raise BadInput(
            field="detector",
            value=str(folder),
            problem=f"it is not a whole checkpoint ({error})",
            remedy="Name another: see `vistrain checkpoint list`",
        ) from error
    own = _manifest(run) if (run / MANIFEST).is_file() else None
    chosen = manifest or own
    if chosen is None:
        raise _no_manifest(folder, "data and thresholds")
    _require_classes(folder, tuple(checkpoint.meta["task"]["classes"]), chosen)
    return StoredDetector(chosen, _source(checkpoint, run, own), exported_weights(state), given)


def _source(checkpoint: StoredCheckpoint, run: Path, own: DetectorTraining | None) -> WeightsSource:
    name = None if own is None else own.metadata.name or run.name
    path = f"{checkpoint.folder.absolute().parent.name}/{checkpoint.folder.name}"
    return WeightsSource(path, checkpoint.sha256, name, checkpoint.step, int(checkpoint.meta["epoch"]))


def _named(run: Path, which: str) -> Path:
    """The folder of a checkpoint of a run."""
    store = CheckpointStore(run / "checkpoints")
    steps = store.steps()
    if which == "last" and steps:
        found = store.newest_whole(lambda step, why: None)
        return store.path(steps[-1]) if found is None else found.folder
    if which.isdigit() and int(which) in steps:
        return store.path(int(which))
    if which == "best":
        best = _best_step(run)
        if best in steps:
            return store.path(best)
        problem = "no evaluation has given a best one yet" if best is None else f"step {best} is not kept"
    else:
        problem = "there is no such checkpoint"
    known = ", ".join(map(str, steps)) or "none"
    raise BadInput(
        field="--checkpoint",
        value=which,
        problem=f"{problem} in {run}",
        remedy=f"Say best, last, or one of the steps there are: {known}",
    )


def _best_step(run: Path) -> int | None:
    try:
        best = json.loads((run / "checkpoints" / INDEX).read_bytes())["best"]
        return None if best is None else int(best["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _manifest(run: Path) -> DetectorTraining:
    path = run / MANIFEST
    try:
        return load(path)
    except (OSError, ManifestError) as error:
        raise BadInput(
            field="manifest.yaml",
            value=str(path),
            problem=f"it is not the manifest of a detector's run ({error})",
            remedy="Restore the file as the run wrote it, or name one with -f",
        ) from error


def _no_manifest(path: Path, unknown: str) -> BadInput:
    return BadInput(
        field="-f",
        value="nothing",
        problem=f"{path} lies in no run folder, so its {unknown} are not known",
        remedy="Name a manifest that states them: -f MANIFEST",
    )


def _require_classes(path: Path, found: tuple[str, ...] | None, manifest: DetectorTraining) -> None:
    wanted = tuple(manifest.spec.dataset.classes)
    if found is not None and found != wanted:
        raise BadInput(
            field="spec.dataset.classes",
            value=list(wanted),
            problem=f"{path} was trained for {list(found)}",
            remedy="Name a manifest with these classes in this order",
        )

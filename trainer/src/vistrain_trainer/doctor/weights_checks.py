"""Checks of what is in the weights that a run starts from: they need torch, but no memory for a model."""

from __future__ import annotations

from collections.abc import Iterator

from vistrain_trainer.doctor.finding import Check, Finding
from vistrain_trainer.doctor.manifest_case import ManifestCase
from vistrain_trainer.doctor.volume_checks import stated_files
from vistrain_trainer.engine.checkpoint import TornCheckpoint, open_checkpoint


def _fit(case: ManifestCase) -> Iterator[Finding]:
    spec = case.manifest.spec
    if spec.initialization.weights is not None:
        for at, path, _ in stated_files(case, spec.initialization.weights):
            if path.is_file():
                from vistrain_trainer.detectors import fitting  # seconds of imports, where there is a need

                fitting.check_weights(spec, path, at)
                break
    checkpoint = case.initial_checkpoint
    if checkpoint is None:
        return
    try:
        stored = open_checkpoint(case.initial_folder(checkpoint))
        stored.verify()
    except TornCheckpoint:
        return  # the check `initial-weights` tells
    from vistrain_trainer.detectors import fitting

    fitting.check_checkpoint(spec, stored, "spec.initialization.checkpoint")
    yield from ()


CHECKS = (
    Check(
        "weights-fit",
        "the tensors of the file or checkpoint that the run starts from, with `--volume`",
        "a file that holds no weights; weights of which too few fit the model",
        _fit,
    ),
)

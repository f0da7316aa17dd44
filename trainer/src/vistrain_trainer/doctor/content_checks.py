"""Checks of what a run has left in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from vistrain_trainer.doctor.evidence import RunEvidence
from vistrain_trainer.doctor.finding import Check, Finding
from vistrain_trainer.doctor.manifest_case import ManifestCase
from vistrain_trainer.doctor.words import again, counted, lasting

_UNSEEN = timedelta(hours=2)
"""Training time without an evaluation after which somebody should look."""


@dataclass(frozen=True)
class RunCase:
    """A run folder with the data it was begun with, where their folder is known."""

    run: RunEvidence
    data: ManifestCase


def _torn(run: RunEvidence) -> Iterator[Finding]:
    whole = run.checkpoint
    for step, why in run.torn.items():
        yield Finding(
            severity="error" if whole is None else "warning",
            field=f"checkpoints/step-{step:09d}",
            symptom=f"The checkpoint of step {step} cannot be used: {why}",
            cause="Something else than Vistrain changed or cut it: a checkpoint gets its name only when "
            "it is whole on the volume",
            remedy=f"Nothing: a resume passes over it and goes on from step {whole.step}"
            if whole is not None
            else "Restore one from a backup; a resume is refused, since none is whole",
        )


def _weights(run: RunEvidence) -> Iterator[Finding]:
    manifest = run.manifest
    expected = ["last"] if run.result is not None else []
    if manifest is not None and manifest.spec.checkpoint.keep.best > 0 and run.bests is not None:
        expected.append("best")
    for name in expected:
        if not (run.folder / "weights" / f"{name}.pth").is_file():
            source = run.bests["path"] if name == "best" and run.bests else "the newest checkpoint"
            yield Finding(
                severity="warning",
                field=f"weights/{name}.pth",
                symptom=f"The {name} weights are not there, although the run has written them",
                cause="They were removed or moved after the run wrote them",
                remedy=f"They are also in {source}: start from it by spec.initialization.checkpoint, or "
                "restore the file",
            )


def _evaluation(run: RunEvidence) -> Iterator[Finding]:
    if run.manifest is None or not run.epochs:
        return
    evaluation = run.manifest.spec.evaluation
    every, metric = evaluation.every_epochs, evaluation.primary_metric.name
    spent = [float(row["seconds"]) for row in run.epochs]
    usual = timedelta(seconds=sum(spent) / len(spent))
    if every > 1 and every * usual >= _UNSEEN:
        evaluated = sum(bool(row.get(metric) or row.get("valLoss")) for row in run.epochs)
        yield Finding(
            severity="warning",
            field="spec.evaluation.everyEpochs",
            symptom=f"The run trained for {lasting(timedelta(seconds=sum(spent)))} with "
            f"{counted(evaluated, 'evaluation')}",
            cause=f"everyEpochs is {every}, and an epoch takes {lasting(usual)}: {lasting(every * usual)} go "
            "by between two evaluations",
            remedy="Set spec.evaluation.everyEpochs to 1 in the next run",
        )


def _annotations(case: RunCase) -> Iterator[Finding]:
    recorded = ((case.run.identity or {}).get("task") or {}).get("data")
    if not isinstance(recorded, dict):
        return
    splits = case.data.readable()
    for name, split in splits.items():
        if recorded.get(name, split.digest) == split.digest:
            continue
        other = next((key for key, digest in recorded.items() if digest == split.digest), None)
        yield Finding(
            severity="error",
            field=f"{case.data.files.splits[name].field}.annotations",
            symptom=f"Going on is refused: the annotations of {name} are not those that the run began with",
            cause=f"{case.data.files.splits[name].stated} now has the annotations that were {other} "
            "then: the files have changed places"
            if other
            else f"{case.data.files.splits[name].stated} was changed since",
            remedy=f"Restore the file, then go on: {again(case.run)}",
        )


RUN_CHECKS = (
    Check(
        "torn-checkpoint", "checkpoints/", "a checkpoint that is not whole; which one a resume takes", _torn
    ),
    Check("weights", "weights/, checkpoints/index.json", "best or last weights that are gone", _weights),
    Check(
        "without-evaluation",
        "metrics.csv, manifest.yaml",
        "hours of training between two evaluations",
        _evaluation,
    ),
)
DATA_CHECKS = (
    Check(
        "annotations",
        "identity.json and the annotation files, with `--volume`",
        "annotations that were swapped or changed since the run began",
        _annotations,
    ),
)

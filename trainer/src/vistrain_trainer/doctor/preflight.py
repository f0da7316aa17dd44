"""What is looked at before a run starts: all that would end it at its start, or later for want of room."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vistrain_api.detector import DetectorTraining
from vistrain_trainer.doctor import (
    data_checks,
    preparation_checks,
    settings_checks,
    volume_checks,
    weights_checks,
)
from vistrain_trainer.doctor.finding import Check, Finding, refused
from vistrain_trainer.doctor.manifest_case import ManifestCase
from vistrain_trainer.engine.files import volume_failure
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput, StorageFault

# Other programs' needs (coco-info) are no reason to wait for a start: each file is parsed once more for them.
_LEFT_OUT = {"coco-info"}
# What a slice or a pod has is of no matter where the run is a local process.
_OF_THE_POD = {"memory", "shared-memory"}
_CHECKS: tuple[Check[ManifestCase], ...] = (
    *data_checks.CHECKS,
    *preparation_checks.CHECKS,
    *volume_checks.CHECKS,
    *weights_checks.CHECKS,
    *settings_checks.CHECKS,
)


@dataclass(frozen=True)
class Report:
    """What was found."""

    errors: list[Finding]
    """Each of them ends the run."""
    warnings: list[Finding]
    """The run starts in spite of them."""

    def message(self, limit: int = 1200) -> str:
        """Every error in at most `limit` characters: whole sentences, then the fields of the rest."""
        sentences = [found.sentence() for found in self.errors]
        if len(sentences) == 1:
            return sentences[0][:limit]
        told = f"{len(sentences)} findings"
        for number, sentence in enumerate(sentences):
            rest = _rest(self.errors[number + 1 :])
            if len(told) + len(sentence) + len(rest) + 10 > limit:
                return (told + _rest(self.errors[number:]))[:limit]
            told += f"; ({number + 1}) {sentence}"
        return told


def begun(output: Path) -> bool:
    """Whether the run in a folder has saved or finished: then nothing is looked at again."""
    return (output / "result.json").is_file() or bool(CheckpointStore(output / "checkpoints").steps())


def examine(manifest: DetectorTraining, output: Path, volumes: Volumes, *, in_pod: bool) -> Report:
    """Look at everything; the run folder is tried and left as it was.

    Args:
        manifest: with a checkpoint in the place of `initialization.run`.
        output: the run folder.
        volumes: where the claims are.
        in_pod: whether the limits of a pod, and of its slice, hold.

    Raises:
        StorageFault: a volume failed, so that nothing is known.
    """
    findings = _run_folder(manifest, output)
    finished = not findings and (output / "result.json").is_file()
    case = ManifestCase(manifest, folder=output, volumes=volumes)
    left_out = _LEFT_OUT if in_pod else _LEFT_OUT | _OF_THE_POD
    for check in () if finished else _CHECKS:
        if check.identifier not in left_out:
            findings += _look(check, case)
    return Report(
        [found for found in findings if found.severity == "error"],
        [found for found in findings if found.severity == "warning"],
    )


def _look(check: Check[ManifestCase], case: ManifestCase) -> list[Finding]:
    try:
        if check.identifier == "data":
            _raise_faults(case)
        return [replace(found, check=check.identifier) for found in check.examine(case)]
    except BadInput as error:
        _raise_fault(error)
        return [replace(refused(error), check=check.identifier)]
    except OSError as error:
        _raise_fault(error)
        return [_unreadable(error, check.identifier)]


def _raise_faults(case: ManifestCase) -> None:
    for split in case.splits.values():
        if isinstance(split, BadInput):
            _raise_fault(split)


def _raise_fault(error: BadInput | OSError) -> None:
    """Raise StorageFault where a volume failed: trying again may help, correcting the manifest does not."""
    behind = volume_failure(error)
    if behind is not None:
        where = str(behind.filename or (error.value if isinstance(error, BadInput) else "a volume"))
        raise StorageFault(
            f"reading {where}: {behind.strerror}. Nothing is known of the run's data yet: look at the volume"
        ) from error


def _unreadable(error: OSError, check: str) -> Finding:
    return Finding(
        severity="error",
        field="spec",
        symptom=f"The run is refused at its start: {error.filename} cannot be read",
        cause=error.strerror or str(error),
        remedy="Make it readable for the trainer's user (65532 in a pod)",
        check=check,
    )


def _run_folder(manifest: DetectorTraining, output: Path) -> list[Finding]:
    """Whether the run folder can be written and is this run's. What is made for that is removed."""
    made = [path for path in (output, *output.parents) if not path.exists()]
    try:
        RunFolder(output, manifest).open()
    except BadInput as error:
        return [replace(refused(error), check="run-folder")]
    finally:
        for path in made:
            _remove_empty(path)
    return []


def _remove_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:  # it was never made, or another has written there meanwhile
        return


def _rest(findings: list[Finding]) -> str:
    if not findings:
        return ""
    fields = ", ".join(dict.fromkeys(found.field for found in findings))
    return f"; {len(findings)} more, of {fields}: the log has them"

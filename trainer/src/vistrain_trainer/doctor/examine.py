"""The examination of a manifest or of a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vistrain_api.manifest import ManifestError, parse, read_yaml
from vistrain_trainer.doctor import (
    content_checks,
    data_checks,
    preparation_checks,
    refusal,
    run_checks,
    settings_checks,
    volume_checks,
    weights_checks,
)
from vistrain_trainer.doctor.content_checks import RunCase
from vistrain_trainer.doctor.evidence import RunEvidence
from vistrain_trainer.doctor.finding import Check, Finding, NotLookedAt, look
from vistrain_trainer.doctor.manifest_case import ManifestCase
from vistrain_trainer.doctor.refusal import Refusal
from vistrain_trainer.doctor.story import facts, tell
from vistrain_trainer.errors import BadInput

MANIFEST_CHECKS = (
    *settings_checks.CHECKS,
    *data_checks.CHECKS,
    *preparation_checks.CHECKS,
    *volume_checks.CHECKS,
    *weights_checks.CHECKS,
)
RUN_CHECKS = (*run_checks.CHECKS, *content_checks.RUN_CHECKS)
ALL_CHECKS: tuple[Check[Any], ...] = (
    *refusal.CHECKS,
    *MANIFEST_CHECKS,
    *RUN_CHECKS,
    *content_checks.DATA_CHECKS,
)
"""Every check, in the order of the documentation."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found."""

    subject: str
    """The manifest or run folder."""
    kind: str
    """`manifest` or `run`."""
    findings: list[Finding]
    unseen: list[NotLookedAt] = field(default_factory=list)
    """Checks that lacked something to look at."""
    story: list[str] = field(default_factory=list)
    """What happened to a run, in sentences."""
    facts: dict[str, Any] | None = None
    """The same in numbers; none for a manifest."""

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "subject": self.subject,
            "kind": self.kind,
            "run": self.facts,
            "story": self.story,
            "findings": [asdict(found) for found in self.findings],
            "notLookedAt": [asdict(one) for one in self.unseen],
        }


def examine(
    path: Path,
    folders: Mapping[str, Path],
    now: datetime | None = None,
    *,
    runs: Mapping[str, Path] | None = None,
) -> Diagnosis:
    """Look at a manifest file or a run folder; nothing is written.

    Args:
        path: of either.
        folders: folder by claim.
        runs: folder by name of run, for a manifest that starts from one.
        now: the present time in UTC, when it is not the clock's.

    Raises:
        BadInput: it is neither, or cannot be read.
    """
    try:
        if path.is_dir():
            return _examine_run(RunEvidence(path, now or datetime.now(UTC)), folders)
        return _examine_manifest(path, folders, runs or {})
    except OSError as error:
        raise BadInput(
            field="SUBJECT",
            value=error.filename or path,
            problem=f"it cannot be read: {error.strerror or error}",
            remedy="Make it readable for this user, or see that its volume is mounted",
        ) from error


def _examine_manifest(path: Path, folders: Mapping[str, Path], runs: Mapping[str, Path]) -> Diagnosis:
    values = None
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
        manifest = parse(values)
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise _not_ours(path, str(error)) from None
    except ManifestError as error:
        if any(problem.field in {"", "kind", "apiVersion"} for problem in error.problems):
            raise _not_ours(path, str(error)) from None
        findings, _ = look(refusal.CHECKS, Refusal(values, error.problems))
        why = "the manifest is not valid yet"
        unseen = [NotLookedAt(check.identifier, why) for check in MANIFEST_CHECKS]
        return Diagnosis(str(path), "manifest", findings, unseen)
    findings, unseen = look(MANIFEST_CHECKS, ManifestCase(manifest, folders, runs=runs))
    return Diagnosis(str(path), "manifest", findings, unseen)


def _examine_run(run: RunEvidence, folders: Mapping[str, Path]) -> Diagnosis:
    run.require_a_run()
    findings, unseen = look(RUN_CHECKS, run)
    if run.manifest is not None:
        case = ManifestCase(run.manifest, folders, run.folder)
        more: list[tuple[list[Finding], list[NotLookedAt]]]
        if run.result is not None:  # how it began still matters, what it needs to go on does not
            more = [look((settings_checks.RANDOM_WEIGHTS,), case)]
        else:
            more = [
                look(MANIFEST_CHECKS, case),
                look(content_checks.DATA_CHECKS, RunCase(run, case)),
            ]
        for found, missed in more:
            findings += found
            unseen += missed
    return Diagnosis(str(run.folder), "run", findings, unseen, tell(run), facts(run))


def _not_ours(path: Path, why: str) -> BadInput:
    return BadInput(
        field="SUBJECT",
        value=path,
        problem=f"it is neither a manifest nor a run folder: {why}",
        remedy="Name a manifest such as examples/quickstart.yaml, or a run folder such as runs/a",
    )

"""`vistrain preflight`, and the same before a local run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from vistrain_api.detector import DetectorTraining
from vistrain_api.protocol import ExitCode
from vistrain_trainer.cli.manifests import read_folders, read_manifest, read_volumes
from vistrain_trainer.cli.options import AsJson, RunMappings, VolumeMappings
from vistrain_trainer.engine.failures import End, explain
from vistrain_trainer.engine.options import PodEnvironment
from vistrain_trainer.engine.source_run import resolve
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.telemetry.progress import ProgressBoard

if TYPE_CHECKING:
    from vistrain_trainer.doctor.finding import Finding

log = structlog.get_logger()
_NOTES = 5  # what the termination message holds


def preflight(
    *,
    file: Annotated[Path, typer.Option("-f", "--file", help="Manifest.")],
    output: Annotated[Path, typer.Option(help="Run folder; it is tried, and nothing stays in it.")],
    volumes: VolumeMappings = None,
    runs: RunMappings = None,
    as_json: AsJson = False,
) -> None:
    """Look at data, weights and disk as a start would need them, without a device.

    `vistrain run` does the same by itself; in a cluster it is done before a slice is asked for. Exit codes: 0
    the run can start (warnings are told), 64 it would be refused, with every reason, 74 a volume failed.

    Example: vistrain preflight -f examples/quickstart.yaml --volume driving-world=data/driving-world --output
    runs/a
    """
    from vistrain_trainer.telemetry.console import configure_logging

    pod = PodEnvironment.read()
    configure_logging(json_lines=as_json or pod.in_pod)
    board = ProgressBoard(attempt=0, pod_uid=pod.pod_uid, termination_log=pod.termination_log)
    errors: Sequence[Finding] = ()
    warnings: Sequence[Finding] = ()
    try:
        folders, named = read_volumes(volumes or []), read_folders("--run", runs or [])
        manifest, more = resolve(read_manifest(file), named, output)
        known = Volumes(folders | more, in_pod=pod.in_pod, shared=output.resolve().parent)
        errors, warnings, end = look(manifest, output, known, pod)
    except Exception as error:
        end = explain(error)
        if end.expected:
            log.error(end.message)
        else:
            log.exception(end.message)
    for found in warnings[:_NOTES]:
        board.note(found.sentence())
    board.set(exit_code=int(end.exit_code), failure=end.failure, message=end.message[:1200])
    board.write_last_words()
    if as_json:
        findings = [asdict(one) for one in (*errors, *warnings)]
        typer.echo(json.dumps({"exitCode": int(end.exit_code), "message": end.message, "findings": findings}))
    elif end.exit_code == ExitCode.FINISHED:
        typer.echo(f"{file}: {end.message}")
    raise typer.Exit(int(end.exit_code))


def look(
    manifest: DetectorTraining, output: Path, volumes: Volumes, pod: PodEnvironment
) -> tuple[Sequence[Finding], Sequence[Finding], End]:
    """Errors, warnings, and how the process would end for them; each is logged. Raises StorageFault."""
    from vistrain_trainer.doctor.preflight import examine  # it brings OpenCV, which `--help` does without
    from vistrain_trainer.errors import BadInput

    report = examine(manifest, output, volumes, in_pod=pod.in_pod)
    for found in report.warnings:
        log.warning(found.sentence(), check=found.check)
    for found in report.errors:
        log.error(found.sentence(), check=found.check)
    if report.errors:
        end = End(ExitCode.BAD_INPUT, BadInput.failure, report.message(), expected=True)
    else:
        end = End(ExitCode.FINISHED, None, "data, weights and disk are as the run needs them", expected=True)
    return report.errors, report.warnings, end

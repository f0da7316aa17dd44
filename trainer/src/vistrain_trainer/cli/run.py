"""`vistrain run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vistrain_api import protocol
from vistrain_api.detector import DetectorTraining
from vistrain_api.failures import FailureClass
from vistrain_trainer.cli.manifests import default_output, read_folders, read_manifest, read_volumes
from vistrain_trainer.cli.options import RunMappings, VolumeMappings
from vistrain_trainer.engine.options import PodEnvironment, RunOptions
from vistrain_trainer.engine.source_run import resolve
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput, StorageFault


def run(
    *,
    file: Annotated[Path, typer.Option("-f", "--file", help="Manifest.")],
    output: Annotated[
        Path | None, typer.Option(help="Run folder; an existing one is continued. [default: runs/<name>]")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a field of the manifest.")
    ] = None,
    volumes: VolumeMappings = None,
    runs: RunMappings = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps; auto follows the manifest.")] = "auto",
    log_every: Annotated[int, typer.Option(min=1, help="Steps between two rows of log.jsonl.")] = 10,
    port: Annotated[int, typer.Option(help="Port of /metrics and /progress; 0 for none.")] = protocol.PORT,
    report: Annotated[bool, typer.Option(help="Write the report when the run is over.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Log JSON lines; print the result as JSON.")
    ] = False,
) -> None:
    """Train, or go on training, or repeat the result of a finished run.

    The same command with the same output goes on where it was stopped. Before its first start it looks at
    data, weights and disk, as `vistrain preflight` does. Exit codes: 0 finished, 3 a gate was not met, 64 bad
    manifest, data or weights, 74 storage fault, 75 stopped on request with a checkpoint saved.

    Example: vistrain run -f examples/quickstart.yaml --volume driving-world=data/driving-world --output
    runs/a
    """
    from vistrain_trainer.telemetry.console import configure_logging

    pod = PodEnvironment.read()
    configure_logging(json_lines=as_json or pod.in_pod)
    try:
        manifest = read_manifest(file, settings or [])
        folders = read_volumes(volumes or [])
        output = output or default_output(manifest, folders, pod)
        manifest, more = resolve(manifest, read_folders("--run", runs or []), output)
    except BadInput as error:
        _refuse(error, pod)
        raise typer.Exit(int(error.exit_code)) from None
    options = RunOptions(
        output=output,
        volumes=Volumes(folders | more, in_pod=pod.in_pod, shared=output.resolve().parent),
        device=device,
        log_every=log_every,
        port=port,
        report=report,
        pod=pod,
    )
    if not pod.in_pod:  # there it was done before, in pods without a slice
        _prepare_first(manifest, options, as_json)
        _look_first(manifest, options)
    from vistrain_trainer.engine.run import run as run_attempt

    code = run_attempt(manifest, options)
    if as_json:
        result = options.output / "result.json"
        if result.is_file():
            typer.echo(result.read_text(encoding="utf-8").strip())
    sys.stdout.flush()
    raise typer.Exit(code)


def _prepare_first(manifest: DetectorTraining, options: RunOptions, as_json: bool) -> None:
    """Make the data set that the manifest asks for of raw data; end the process where it cannot be made."""
    if manifest.spec.dataset.prepare is None or (options.output / "result.json").is_file():
        return
    from vistrain_trainer.data.cli.manifest import prepare_first
    from vistrain_trainer.engine import signals
    from vistrain_trainer.engine.failures import explain

    try:
        prepare_first(manifest, options.volumes, as_lines=as_json)
    except signals.Interrupted:
        raise typer.Exit(int(protocol.ExitCode.STOPPED)) from None
    except (BadInput, StorageFault, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(int(explain(error).exit_code)) from None


def _look_first(manifest: DetectorTraining, options: RunOptions) -> None:
    """End the process where the run could not start; a run that has begun is not looked at again."""
    from vistrain_trainer.cli.preflight import look
    from vistrain_trainer.doctor.preflight import begun
    from vistrain_trainer.engine.failures import explain

    if begun(options.output):
        return
    try:
        _, _, end = look(manifest, options.output, options.volumes, options.pod)
    except StorageFault as fault:
        end = explain(fault)
        typer.echo(f"error: {fault}", err=True)
    if end.exit_code:
        raise typer.Exit(int(end.exit_code))


def _refuse(error: BadInput, pod: PodEnvironment) -> None:
    """Say what is wrong, also where the operator reads it."""
    from vistrain_trainer.telemetry.progress import ProgressBoard

    typer.echo(f"error: {error}", err=True)
    board = ProgressBoard(attempt=pod.attempt or 1, pod_uid=pod.pod_uid, termination_log=pod.termination_log)
    board.set(exit_code=int(error.exit_code), failure=FailureClass.BAD_INPUT, message=str(error)[:1200])
    board.write_last_words()

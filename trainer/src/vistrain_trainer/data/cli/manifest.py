"""`vistrain prepare manifest`: the data set that a run's manifest asks for, of raw data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import structlog
import typer

from vistrain_api.detector import DetectorTraining
from vistrain_api.protocol import ExitCode
from vistrain_trainer.cli.manifests import default_output, read_manifest, read_volumes
from vistrain_trainer.cli.options import AsJson, VolumeMappings
from vistrain_trainer.data.cli.progress import progress as bar
from vistrain_trainer.data.progress import Advance, Progress
from vistrain_trainer.engine import signals
from vistrain_trainer.engine.failures import End, explain
from vistrain_trainer.engine.options import PodEnvironment
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput
from vistrain_trainer.telemetry.progress import ProgressBoard

if TYPE_CHECKING:
    from vistrain_trainer.engine.preparing import Made

log = structlog.get_logger()


def manifest(
    *,
    file: Annotated[Path, typer.Option("-f", "--file", help="Manifest with a dataset.prepare.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Run folder that the data set is for; it lies beside. [default: runs/<name>]"),
    ] = None,
    volumes: VolumeMappings = None,
    as_json: AsJson = False,
) -> None:
    """Make the data set that a run's manifest asks for in dataset.prepare, once for all runs that ask for it.

    `vistrain run` does the same by itself; in a cluster it is done before a slice is asked for. It may be
    killed at any time, and run many times at once. Exit codes: 0 the data set is whole, 64 bad manifest or
    raw data, 74 a volume failed or is full, 75 stopped on request.

    Example: vistrain prepare manifest -f examples/yolox-l-from-raw-nuscenes.yaml --volume nuscenes=DIR
    """
    from vistrain_trainer.telemetry.console import configure_logging

    pod = PodEnvironment.read()
    configure_logging(json_lines=as_json or pod.in_pod)
    board = ProgressBoard(attempt=0, pod_uid=pod.pod_uid, termination_log=pod.termination_log)
    made = None
    try:
        run = read_manifest(file)
        folders = read_volumes(volumes or [])
        output = output or default_output(run, folders, pod)
        known = Volumes(folders, in_pod=pod.in_pod, shared=output.resolve().parent)
        made = prepare_first(run, known, as_lines=as_json or pod.in_pod)
        end = End(ExitCode.FINISHED, None, made.sentence(), expected=True)
    except signals.Interrupted:
        text = f"stopped by {signals.request.signal_name}; nothing is left behind, and it begins anew"
        end = End(ExitCode.STOPPED, None, text, expected=True)
    except Exception as error:
        end = explain(error)
    if end.exit_code:
        (log.error if end.expected else log.exception)(end.message)
    board.set(exit_code=int(end.exit_code), failure=end.failure, message=end.message[:1200])
    board.write_last_words()
    if as_json:
        told = {"exitCode": int(end.exit_code), "message": end.message}
        if made is not None:
            told |= {"folder": str(made.folder), "manifest": msgspec.to_builtins(made.manifest)}
        typer.echo(json.dumps(told))
    elif made is not None:
        typer.echo(f"{made.folder}: {made.sentence()}")
    raise typer.Exit(int(end.exit_code))


def prepare_first(run: DetectorTraining, volumes: Volumes, *, as_lines: bool) -> Made:
    """Make the data set, unless it is whole, and say so. A stop request ends it.

    Args:
        run: with a dataset.prepare.
        volumes: where its claims are.
        as_lines: whether programs read the log, and a bar is of no use.

    Raises:
        BadInput: the manifest asks for none, or manifest or raw data are wrong.
        StorageFault: a volume failed.
        signals.Interrupted: a stop was asked for.
    """
    if run.spec.dataset.prepare is None:
        raise BadInput(
            field="spec.dataset.prepare",
            value="nothing",
            problem="the manifest asks for no preparation",
            remedy="State it, or prepare by hand: `vistrain prepare --help`",
        )
    from vistrain_trainer.engine.preparing import make

    with signals.heeded():
        made = make(run.spec.dataset, volumes, _heeding(_logged if as_lines else bar))
    log.info(
        "the data set is there already" if made.before else "the data set is made", folder=str(made.folder)
    )
    return made


@contextmanager
def _logged(what: str, _total: int) -> Iterator[Advance]:
    """For programs: a line of the log when a piece of work begins."""
    log.info(what)
    yield lambda _done: None


def _heeding(progress: Progress) -> Progress:
    """The same, but a stop request ends the work."""

    @contextmanager
    def begin(what: str, total: int) -> Iterator[Advance]:
        with progress(what, total) as advance:

            def heed(done: int) -> None:
                signals.request.raise_if_requested()
                advance(done)

            yield heed

    return begin

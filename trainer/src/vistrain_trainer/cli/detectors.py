"""Detectors named on the command line, brought to a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vistrain_trainer.cli.manifests import read_manifest
from vistrain_trainer.errors import BadInput

if TYPE_CHECKING:
    from vistrain_trainer.detectors.group import DetectorGroup, Overrides
    from vistrain_trainer.detectors.stored import StoredDetector
    from vistrain_trainer.engine.volumes import Volumes


class Merging(StrEnum):
    """How the boxes of several detectors are merged."""

    wbf = "wbf"
    nms = "nms"


class Split(StrEnum):
    """A split of the data set."""

    train = "train"
    validation = "validation"
    test = "test"


Subjects = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN|CHECKPOINT|WEIGHTS...",
        help="Run folder, checkpoint folder, or file of weights; several are an ensemble.",
    ),
]
Which = Annotated[str, typer.Option("--checkpoint", help="Of a run folder: best, last, or a step.")]
Ensemble = Annotated[
    Merging, typer.Option(help="How several are merged: weighted boxes fusion, or NMS over their union.")
]
Confidence = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Least score of a detection. [default: the manifest's]"),
]
NmsIou = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Overlap above which the weaker goes. [default: the manifest's]"),
]
MaxDetections = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Detections an image. [default: the manifest's]")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps; auto takes a GPU where there is one.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Images at once. [default: the manifest's]")]
Manifest = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="Manifest, in place of the run's; weights without a run need one."),
]


def open_group(
    subjects: Sequence[Path],
    which: str,
    file: Path | None,
    device: str,
    overrides: Overrides,
    method: Merging,
) -> tuple[DetectorGroup, list[StoredDetector]]:
    """The detectors, on their device. Raises BadInput."""
    manifest = None if file is None else read_manifest(file)
    from vistrain_trainer.detectors.group import DetectorGroup
    from vistrain_trainer.detectors.stored import find_detector
    from vistrain_trainer.engine.devices import find_machine
    from vistrain_trainer.engine.randomness import set_determinism

    members = [find_detector(subject, which, manifest) for subject in subjects]
    spec = members[0].manifest.spec
    set_determinism(spec.schedule.determinism)
    machine = find_machine(spec.resources, _gpu_first(device), in_pod=False)
    for note in machine.notes:
        typer.echo(note.replace("training on", "running on"), err=True)
    return DetectorGroup(members, machine.device, overrides, method.value), members


def volumes_of(member: StoredDetector, folders: dict[str, Path]) -> Volumes:
    """Where the claims of a detector's manifest are, and what its run shares with others."""
    from vistrain_trainer.engine.prepared import shared_by
    from vistrain_trainer.engine.volumes import Volumes

    spec = member.manifest.spec
    shared = folders.get(spec.checkpoint.volume.claim_name) or shared_by(member.given, spec.dataset)
    return Volumes(folders, in_pod=False, shared=shared)


def label(members: Sequence[StoredDetector]) -> str:
    """A name for what was judged, fit for a folder."""
    names = []
    for member in members:
        source = member.source
        place = member.given.stem if source.step is None else f"step-{source.step}"
        names.append(f"{source.run}-{place}" if source.run else place)
    return "+".join(names)[:120]


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; the function it gives is told how many more are done."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


@contextmanager
def refusals() -> Iterator[None]:
    """Errors that a user can mend end with their text and exit code."""
    from vistrain_trainer.errors import VistrainError

    try:
        yield
    except VistrainError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(int(error.exit_code)) from None
    except OSError as error:
        typer.echo(f"error: {error.filename or 'output'}: {error.strerror}. Nothing was written", err=True)
        raise typer.Exit(74) from None


def require_no_run_folder(output: Path) -> None:
    """See that an output is not a run folder itself. Raises BadInput."""
    if (output / "identity.json").exists():
        raise BadInput(
            field="--output",
            value=str(output),
            problem="it is a run folder",
            remedy="Name a folder for the results, such as evaluations/a",
        )


def _gpu_first(device: str) -> str:
    import torch

    return "cuda" if device == "auto" and torch.cuda.is_available() else device

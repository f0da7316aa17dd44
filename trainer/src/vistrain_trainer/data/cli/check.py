"""`vistrain prepare check`: whether a prepared data set is what it should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vistrain_api.protocol import ExitCode
from vistrain_trainer.cli.options import AsJson
from vistrain_trainer.cli.refusals import refusing
from vistrain_trainer.data.cli.progress import progress

if TYPE_CHECKING:
    from vistrain_trainer.checking.result import Checked


def check(
    data: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="Prepared folder, or one that holds several.")
    ],
    *,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the nuScenes release: for its pictures and its tables.",
            show_default="the manifest's",
        ),
    ] = None,
    scene: Annotated[
        str, typer.Option(metavar="NAME[,NAME]", help="Scenes to show.", show_default="all")
    ] = "",
    camera: Annotated[
        str, typer.Option(metavar="NAME[,NAME]", help="Cameras to show.", show_default="all")
    ] = "",
    samples: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Pictures to show, of MOT strips of six frames.",
            show_default="12, of MOT 6",
        ),
    ] = None,
    bounds: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML such as `gaps: {max: 5}`.", show_default=False),
    ] = None,
    bound: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MIN:MAX", help="Bound of a figure; either end may be left out."),
    ] = None,
    visible_share: Annotated[
        str | None,
        typer.Option(metavar="MIN:MAX", help="Short for --bound visible-share=MIN:MAX.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the page and the pictures.")] = Path("check"),
    as_json: AsJson = False,
) -> None:
    """Hold a prepared data set against bounds, and show its boxes on the pictures.

    Exit codes: 0 every figure is within its bound, 3 one is outside, 64 the data or an option is wrong, 74
    the folder cannot be written.

    Example: vistrain prepare check data/prepared/coco --out check

    Example: vistrain prepare check data/prepared --scene scene-0001 --camera CAM_FRONT --samples 4 --json
    """
    with refusing(as_json):
        from vistrain_trainer.checking.bounds import read_bounds
        from vistrain_trainer.checking.catalogue import NAMES
        from vistrain_trainer.checking.check import CheckOptions
        from vistrain_trainer.checking.document import document
        from vistrain_trainer.checking.files import write_checks

        stated = [*(bound or ()), *([f"visible-share={visible_share}"] if visible_share else [])]
        options = CheckOptions(
            root=root,
            scenes=_names(scene),
            cameras=_names(camera),
            samples=samples,
            bounds=read_bounds(bounds, stated, NAMES),
        )
        found = write_checks(data, options, out, progress)
        if as_json:
            typer.echo(json.dumps({"out": str(out), "checks": [document(one) for one in found]}))
        else:
            for one in found:
                _say(one)
            typer.echo(f"  {out}")
    if any(one.outside for one in found):
        raise typer.Exit(int(ExitCode.GATE_NOT_MET))


def _say(checked: Checked) -> None:
    from vistrain_trainer.checking.layouts import figure_table
    from vistrain_trainer.checking.page import alerts, headline
    from vistrain_trainer.cli.printing import print_table
    from vistrain_trainer.reporting.wording import count

    print_table(figure_table(checked, brief=True))
    choice = checked.choice
    if choice.of_scenes:
        chosen = "" if choice.sequences == choice.of_sequences else f"{choice.sequences} of "
        typer.echo(
            f"{count(len(checked.shown), 'sample')} of {chosen}{count(choice.of_sequences, 'sequence')}: "
            f"{count(choice.scenes, 'scene')} with {count(choice.cameras, 'camera')}"
        )
    for alert in alerts(checked):
        typer.echo(alert)
    typer.echo(f"{checked.content.folder.name}: {headline(checked)}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())

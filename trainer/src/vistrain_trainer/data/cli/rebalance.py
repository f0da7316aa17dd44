"""`vistrain prepare rebalance`: samples of a class moved from one split to another."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vistrain_trainer.cli.options import AsJson
from vistrain_trainer.cli.refusals import refusing
from vistrain_trainer.data.cli.options import Data, Images
from vistrain_trainer.data.cli.progress import progress
from vistrain_trainer.errors import BadInput

if TYPE_CHECKING:
    from vistrain_trainer.data.rebalance.journal import Change
    from vistrain_trainer.data.rebalance.options import RebalanceOptions


_LISTED = 20
"""Images that are named on a terminal."""


class Unit(StrEnum):
    """What is counted."""

    images = "images"
    instances = "instances"


def rebalance(
    data: Data,
    *,
    class_name: Annotated[
        str | None, typer.Option("--class", help="Class that is short in --to.", show_default=False)
    ] = None,
    count: Annotated[int | None, typer.Option(help="How many to move, exactly.", show_default=False)] = None,
    unit: Annotated[Unit, typer.Option(help="Count images with the class, or boxes of it.")] = Unit.images,
    source: Annotated[str, typer.Option("--from", help="Split to take from.")] = "train",
    target: Annotated[str, typer.Option("--to", help="Split to add to.")] = "val",
    seed: Annotated[int, typer.Option(help="Equal seeds choose equal images.")] = 0,
    keep_together: Annotated[
        str,
        typer.Option(
            metavar="BITS|off",
            help="Near-duplicates stay in one split: pictures whose 64-bit perceptual hashes differ in at "
            "most so many bits, directly or through others. off: do not compare.",
        ),
    ] = "8",
    images: Images = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would move; write nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back the last change, byte for byte.")] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Only finish a change that was interrupted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Move images of a class from one split to another, with their boxes; undo it.

    YOLO: picture and label files move, or lines of list files. COCO: records move between annotation files.
    What moved is kept in rebalance.json beside the data set. Exit codes: 0 done, 64 impossible or refused
    (nothing is touched), 74 the volume failed (the next call finishes what was begun).

    Example: vistrain prepare rebalance drainage/data.yaml --class vegetation --count 10 --dry-run

    Example: vistrain prepare rebalance drainage/data.yaml --undo
    """
    with refusing(as_json):
        from vistrain_trainer.data.rebalance import run

        if undo and finish:
            raise BadInput(field="--undo", value="--finish", problem="is one too many", remedy="Say one")
        if undo:
            _show_plainly(run.undo(data), "taken back", as_json)
            return
        if finish:
            done = run.finish(data)
            if done is None:
                typer.echo("{}" if as_json else "nothing was interrupted")
            else:
                _show_plainly(done, "taken back" if done.state == "reverting" else "finished", as_json)
            return
        options = _options(class_name, count, unit, source, target, seed, keep_together)
        if dry_run:
            change = run.plan(data, options, images or (), progress).change
        else:
            change = run.rebalance(data, options, images or (), progress)
        _show(change, dry_run, as_json)


def _options(
    class_name: str | None,
    count: int | None,
    unit: Unit,
    source: str,
    target: str,
    seed: int,
    keep_together: str,
) -> RebalanceOptions:
    from vistrain_trainer.data.rebalance.options import RebalanceOptions

    if class_name is None or count is None:
        raise BadInput(
            field="--class" if class_name is None else "--count",
            value="nothing",
            problem="is needed",
            remedy="Say such as --class vegetation --count 10",
        )
    if keep_together != "off" and not keep_together.isdecimal():
        raise BadInput(
            field="--keep-together",
            value=keep_together,
            problem="is no number of bits",
            remedy="Say 8, or off",
        )
    return RebalanceOptions(
        class_name=class_name,
        count=count,
        unit=unit.value,
        source=source,
        target=target,
        seed=seed,
        keep_together=None if keep_together == "off" else int(keep_together),
    )


def _show_plainly(change: Change, what: str, as_json: bool) -> None:
    if as_json:
        _json(change, dry_run=False)
        return
    typer.echo(f"{what}: {len(change.moved)} images from {change.source} to {change.target}")
    typer.echo(f"  {change.command}")


def _show(change: Change, dry_run: bool, as_json: bool) -> None:
    if as_json:
        _json(change, dry_run)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("class", title="boxes in images, before → after", title_justify="left")
    for name in change.before:
        table.add_column(name)
    for kind in change.before[change.source].per_class:
        cells = []
        for name, before in change.before.items():
            was, now = before.per_class[kind], change.after[name].per_class[kind]
            same = was == now
            text = f"{was.instances} in {was.images}"
            cells.append(text if same else f"{text} → {now.instances} in {now.images}")
        table.add_row(kind, *cells)
    totals = (f"{one.images} → {change.after[name].images} images" for name, one in change.before.items())
    table.add_row("all", *totals)
    Console().print(table)
    together = [image for image in change.moved if image.group is not None]
    groups = len({image.group for image in together})
    say = "would move" if dry_run else "moved"
    typer.echo(f"{say} {len(change.moved)} images from {change.source} to {change.target}")
    if together:
        typer.echo(f"{len(together)} of them are kept together in {groups} groups")
    if change.straddling:
        typer.echo(f"{change.straddling} groups of near-duplicates were in both splits and stay so")
    if change.renumbered:
        typer.echo(f"{change.renumbered} records have a new id: theirs was taken in {change.target}")
    for image in change.moved[:_LISTED]:
        typer.echo(f"  {image.name}")
    if len(change.moved) > _LISTED:
        typer.echo(f"  and {len(change.moved) - _LISTED} more: --json has all of them")


def _json(change: Change, dry_run: bool) -> None:
    import msgspec

    typer.echo(json.dumps({"dryRun": dry_run, **msgspec.to_builtins(change)}, indent=2))

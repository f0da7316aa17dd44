"""`vistrain prepare stats`: what a detection data set holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vistrain_api.protocol import ExitCode
from vistrain_trainer.cli.options import AsJson
from vistrain_trainer.cli.refusals import refusing
from vistrain_trainer.data.cli.options import Data, Images
from vistrain_trainer.data.cli.progress import progress

if TYPE_CHECKING:
    from vistrain_trainer.data.sets.statistics import Statistics
    from vistrain_trainer.reporting.tables import Table


def stats(
    data: Data,
    *,
    images: Images = None,
    expect: Annotated[
        str | None,
        typer.Option(metavar="SPLIT=N,…", help="Images that each split must have.", show_default=False),
    ] = None,
    expect_annotations: Annotated[
        str | None,
        typer.Option(metavar="SPLIT=N,…", help="Boxes that each split must have.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with plots to this file.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count images and boxes by class, split and size; polygons and duplicates are counted, not refused.

    Exit codes: 0 counted, and as expected; 64 the data set is faulty, or a count is not as expected (which is
    said after the tables); 74 the page cannot be written.

    Example: vistrain prepare stats drainage/data.yaml --expect train=305,val=45,test=25 --html stats.html

    Example: vistrain prepare stats train=a.json val=b.json --images photos --json
    """
    with refusing(as_json):
        import msgspec

        from vistrain_trainer.data.sets import statistics as counting
        from vistrain_trainer.data.sets.opening import open_set
        from vistrain_trainer.data.yolo.labels import Leniency

        wanted = counting.read_expected(expect, "--expect") if expect else {}
        rows = (
            counting.read_expected(expect_annotations, "--expect-annotations") if expect_annotations else {}
        )
        leniency = Leniency(polygons="to-boxes", duplicates="keep")
        found = open_set(data, images or (), leniency=leniency, progress=progress)
        counted = counting.statistics(found)
        counted = msgspec.structs.replace(counted, expectations=counting.check(counted, wanted, rows))
        if html is not None:
            from vistrain_trainer.reporting.dataset_page import write_page

            write_page(counted, ", ".join(data), html)
        if as_json:
            typer.echo(msgspec.json.format(msgspec.json.encode(counted), indent=2).decode())
        else:
            _show(counted)
    unmet = [one for one in counted.expectations if not one.met]
    for one in unmet:
        typer.echo(f"error: {one.split} has {one.found} {one.what}, not {one.expected}", err=True)
    if unmet:
        raise typer.Exit(int(ExitCode.BAD_INPUT))


def _show(counted: Statistics) -> None:
    from rich.console import Console

    from vistrain_trainer.reporting.dataset_layouts import class_table, remarks, size_table, split_table

    console = Console()
    for table in (split_table(counted), class_table(counted), size_table(counted)):
        console.print(_rich(table))
    for remark in remarks(counted):
        typer.echo(remark)


def _rich(table: Table) -> object:
    from rich.table import Table as Shown

    shown = Shown(title=table.title, title_justify="left")
    for place, column in enumerate(table.columns):
        shown.add_column(column.heading, justify="right" if table.is_numeric(place) else "left")
    for row in table.shown():
        shown.add_row(*row)
    return shown

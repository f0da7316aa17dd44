"""The commands of `vistrain prepare`, gathered."""

from __future__ import annotations

import typer

from vistrain_trainer.data.cli.check import check
from vistrain_trainer.data.cli.convert import convert
from vistrain_trainer.data.cli.detections import detections
from vistrain_trainer.data.cli.manifest import manifest
from vistrain_trainer.data.cli.nuscenes import nuscenes
from vistrain_trainer.data.cli.rebalance import rebalance
from vistrain_trainer.data.cli.stats import stats
from vistrain_trainer.data.cli.synthetic import synthetic

app = typer.Typer(help="Make, look at and change datasets for training.", no_args_is_help=True)


@app.callback()
def prepare() -> None:
    """Make, look at and change datasets for training."""


app.command()(synthetic)
app.command()(nuscenes)
app.command()(manifest)
app.command()(check)
app.command()(detections)
app.command()(convert)
app.command()(stats)
app.command()(rebalance)

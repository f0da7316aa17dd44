"""The commands of `vistrain`; none of them imports torch before it has to."""

from __future__ import annotations

import typer

from vistrain_trainer.cli.checkpoint import app as checkpoint_app
from vistrain_trainer.cli.compare import compare
from vistrain_trainer.cli.doctor import doctor
from vistrain_trainer.cli.evaluate import evaluate
from vistrain_trainer.cli.extend import extend
from vistrain_trainer.cli.predict import predict
from vistrain_trainer.cli.preflight import preflight
from vistrain_trainer.cli.report import report
from vistrain_trainer.cli.run import run
from vistrain_trainer.cli.validate import validate
from vistrain_trainer.data.cli import app as prepare_app

app = typer.Typer(
    name="vistrain",
    help="Train object detectors, on a cluster or here.\n\nExample: vistrain run -f examples/quickstart.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(extend)
app.command()(validate)
app.command()(preflight)
app.command()(evaluate)
app.command()(predict)
app.command()(doctor)
app.command()(report)
app.command()(compare)
app.add_typer(checkpoint_app, name="checkpoint")
app.add_typer(prepare_app, name="prepare")

"""`vistrain prepare`: datasets from the command line."""

from vistrain_trainer.data.cli.app import app

__all__ = ["app"]

"""The command `vistrain`."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point. A run takes stop requests before anything slow is imported."""
    if "run" in sys.argv[1:2]:
        from vistrain_trainer.engine import signals

        signals.install()
    from vistrain_trainer.cli.app import app

    app()

"""The command `vistrain`."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point. What runs in a pod takes stop requests before anything slow is imported."""
    if sys.argv[1:2] in (["run"], ["preflight"]) or sys.argv[1:3] == ["prepare", "manifest"]:
        from vistrain_trainer.engine import signals

        signals.install()
    from vistrain_trainer.cli.app import app

    app()

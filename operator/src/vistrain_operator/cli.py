"""The command `vistrain-operator`."""

from __future__ import annotations

import asyncio
import sys

from vistrain_operator import logs, settings


def main() -> None:
    """Read the settings, run, and exit with 0 after SIGTERM, 1 after a failure, 2 for wrong settings."""
    chosen = settings.read()
    logs.configure(chosen.log_format, chosen.log_level)
    from vistrain_operator.main import run

    try:
        code = asyncio.run(run(chosen))
    except FileNotFoundError as error:
        sys.exit(f"vistrain-operator: {error}")
    except OSError as error:
        sys.exit(f"vistrain-operator: --address {chosen.address} --port {chosen.port}: {error}")
    except KeyboardInterrupt:
        code = 0
    sys.exit(code)

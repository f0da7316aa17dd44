"""Errors of commands, as their exit codes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import typer

from vistrain_api.protocol import ExitCode
from vistrain_trainer.errors import BadInput


@contextlib.contextmanager
def refusing(as_json: bool) -> Iterator[None]:
    """Say what is wrong with the input, or with what is written to, and leave with the exit code of it."""
    try:
        yield
    except BadInput as error:
        _say(str(error), as_json)
        raise typer.Exit(int(error.exit_code)) from None
    except OSError as error:
        _say(f"{error.filename or 'the output'}: cannot be written ({error.strerror})", as_json)
        raise typer.Exit(int(ExitCode.STORAGE_FAULT)) from None


def _say(text: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"error": text}))
    else:
        typer.echo(f"error: {text}", err=True)

"""`vistrain validate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vistrain_api.digest import spec_digest
from vistrain_trainer.cli.manifests import read_manifest
from vistrain_trainer.cli.options import AsJson
from vistrain_trainer.errors import BadInput


def validate(
    *,
    file: Annotated[Path, typer.Option("-f", "--file", help="Manifest.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a field of the manifest.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a manifest by the rules of the API server. Exit code 64 when it is refused.

    Example: vistrain validate -f examples/quickstart.yaml
    """
    try:
        manifest = read_manifest(file, settings or [])
    except BadInput as error:
        if as_json:
            typer.echo(json.dumps({"valid": False, "problems": error.problem.splitlines()}))
        else:
            typer.echo(f"error: {error}", err=True)
        raise typer.Exit(int(error.exit_code)) from None
    digest = spec_digest(manifest.spec)
    if as_json:
        name = manifest.metadata.name
        typer.echo(json.dumps({"valid": True, "kind": manifest.kind, "name": name, "specDigest": digest}))
    else:
        typer.echo(f"{file}: valid {manifest.kind} {manifest.metadata.name} ({digest[:19]})")

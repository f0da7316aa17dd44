"""Options that several commands have, each in one wording."""

from __future__ import annotations

from typing import Annotated

import typer

VolumeMappings = Annotated[
    list[str] | None, typer.Option("--volume", metavar="CLAIM=DIR", help="Folder of a claim.")
]
RunMappings = Annotated[
    list[str] | None,
    typer.Option("--run", metavar="NAME=DIR", help="Folder of the run that initialization.run names."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

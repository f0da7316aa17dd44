"""`make demo`: brings up what is needed, tells the story, writes demo-summary.json."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from vistrain_devcluster.demo import ending, ground, local
from vistrain_devcluster.demo.story import DemoFailed, Story
from vistrain_devcluster.demo.summary import EvidenceError, summarise
from vistrain_devcluster.demo.tell import Teller

EXAMPLE = Path("examples/quickstart.yaml")
# The world of examples/quickstart.yaml: its header states the same command.
WORLD = ["--scenes", "40", "--samples", "8"]


def main(
    output: Annotated[Path, typer.Option(help="Folder for the summary and the evidence.")] = Path(
        "demo-output"
    ),
    context: Annotated[str | None, typer.Option(help="An existing kubectl context, such as kind-x.")] = None,
    registry: Annotated[str | None, typer.Option(help="Registry that the context's nodes pull from.")] = None,
    insecure_registry: Annotated[bool, typer.Option(help="The registry speaks plain HTTP.")] = False,
) -> None:
    """Train a detector on a real Kubernetes, through an eviction, and show that nothing was lost.

    Example: python -m vistrain_devcluster.demo --output demo-output
    """
    teller = Teller()
    output.mkdir(parents=True, exist_ok=True)
    if context is None and os.geteuid() != 0:
        teller.say(
            "Not root: a dev cluster needs network namespaces and cgroups. The same manifest runs as a local "
            "process instead; with root, or with CONTEXT=<your kubectl context>, it runs on Kubernetes."
        )
        raise typer.Exit(local.run(EXAMPLE, WORLD, output, teller))
    try:
        if context:
            place = ground.existing(context, registry, teller, insecure=insecure_registry)
        else:
            place = ground.dev_cluster(teller)
        story = Story(
            place.kubectl,
            teller,
            image=place.trainer_image,
            example=EXAMPLE,
            cpu=context is not None,
            output=output,
        )
        with teller.stage("Making a small data set in its volume"):
            story.prepare(WORLD)
        with story.evidence:
            with teller.stage(f"kubectl apply -f {EXAMPLE}, and the same once more to be left untouched"):
                story.start()
            with teller.stage("Training until mid-epoch, then evicting the pod through the Eviction API"):
                story.evict_in_mid_epoch()
            with teller.stage("Resuming from the checkpoint, to the end"):
                story.finish()
            story.evidence.collect()
        with teller.stage("Comparing the weights with those of the untouched run, to the bit"):
            story.compare()
        summary = summarise(output / "evidence")
    except (DemoFailed, EvidenceError, ground.GroundError) as error:
        teller.say(f"[red]The demo failed:[/red] {error}")
        raise typer.Exit(1) from error
    (output / "demo-summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    ending.tell(summary, place.commands(story.name), output, teller)
    raise typer.Exit(0 if ending.as_promised(summary) else 1)


if __name__ == "__main__":
    typer.run(main)

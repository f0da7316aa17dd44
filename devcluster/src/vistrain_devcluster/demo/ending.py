"""The end of the demo's story: each attempt, what was lost, and the commands to look further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from vistrain_devcluster.demo.tell import Teller


def as_promised(summary: dict[str, Any]) -> bool:
    """Whether the run did what the product promises."""
    return bool(
        summary["phase"] == "Succeeded"
        and summary["stepsLost"] == 0
        and summary["offCheckpointBoundary"]
        and len(set(summary["podUIDs"])) >= 2
        and summary["failures"] == 0
        and summary["bitEqual"]
    )


def tell(summary: dict[str, Any], commands: list[str], output: Path, teller: Teller) -> None:
    """Print the summary for a person."""
    table = Table(title=f"{summary['run']}: {summary['phase']}", title_justify="left")
    for column in ("attempt", "pod", "node", "from step", "to step", "ended"):
        table.add_column(column)
    for attempt in summary["attempts"]:
        restored = attempt["restoredStep"]
        table.add_row(
            str(attempt["attempt"]),
            attempt["pod"],
            attempt["node"],
            "the start" if restored is None else str(restored),
            str(attempt["lastStep"]),
            f"{attempt['class'] or 'finished'} (exit {attempt['exitCode']})",
        )
    teller.console.print()
    teller.console.print(table)
    best = summary["best"]
    said = [
        f"evicted after step {summary['stepAtEviction']}, resumed from step {summary['stepAtResume']}: "
        f"{summary['stepsLost']} steps lost",
        f"{summary['secondsFromEvictionToFirstStep']} s from the eviction to the first new step",
        f"best {best['metric']} {best['value']:.3f} at epoch {best['epoch']}" if best else "no evaluation",
        "final weights equal to the untouched run's, to the bit"
        if summary["bitEqual"]
        else "FINAL WEIGHTS DIFFER from the untouched run's",
        f"disruptions {summary['disruptions']}, failures {summary['failures']}",
        f"written to {output / 'demo-summary.json'}, evidence beside it",
    ]
    for line in said:
        teller.console.print(f"  {line}")
    teller.console.print("\nLook further:")
    for command in commands:
        teller.console.print(f"  {command}")

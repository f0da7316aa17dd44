"""What it takes to do a run again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vistrain_trainer.reporting.data_facts import data_facts
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.tables import Column, Table


@dataclass(frozen=True)
class Provenance:
    """Command, machine, data and thresholds of a run."""

    command: str
    """The command of the latest attempt that trained, to be given to a shell."""
    recorded: bool
    """Whether the run folder has it; else it is put together from the manifest and the folder."""
    facts: Mapping[str, str]
    """Machine, versions, seed, precision, by what a person calls them."""
    thresholds: Mapping[str, Any]
    """What counted as a detection, by field of the manifest."""
    digests: Mapping[str, str]
    """Of the splits' annotations, the spec and the last checkpoint."""
    dataset: Mapping[str, str]
    """How the data were prepared; empty where nothing on their volume told."""
    classes: tuple[str, ...]
    manifest: str
    """The text of manifest.yaml."""


def provenance(history: History) -> Provenance:
    """From manifest, identity, attempts and status."""
    spec = history.manifest.spec
    trained = [attempt for attempt in history.attempts if attempt.trained]
    command = next((one.command for one in reversed(trained) if one.command), ())
    environment = dict(trained[-1].environment) if trained else {}
    stated = spec.model_dump(mode="json", by_alias=True)
    evaluation = stated["evaluation"]
    digests = {}
    data = history.data.get("data")
    for split, digest in data.items() if isinstance(data, Mapping) else [("data", data)] if data else []:
        digests[f"annotations of {split}" if split != "data" else "data"] = str(digest)
    if history.spec_digest:
        digests["spec"] = history.spec_digest
    status = history.status
    if status is not None and status.last_checkpoint is not None:
        last = status.last_checkpoint
        digests[f"checkpoint of step {last.step} (sha256)"] = last.sha256
    names = {
        "device": "device",
        "torch": "torch",
        "cpu_capability": "instruction set",
        "threads": "threads",
        "image": "image",
    }
    facts = {
        words: str(environment[key]) for key, words in names.items() if environment.get(key) not in (None, "")
    }
    facts |= {
        key: str(value) for key, value in environment.items() if key not in names and value not in (None, "")
    }
    facts |= {f"{key} (resolved)": str(value) for key, value in history.resolved.items()}
    facts |= {"seed": str(spec.schedule.seed), "determinism": spec.schedule.determinism}
    return Provenance(
        command=shlex.join(command)
        if command
        else f"vistrain run -f manifest.yaml --output {shlex.quote(str(history.folder))}",
        recorded=bool(command),
        facts=facts,
        thresholds={key: evaluation[key] for key in ("confidence", "nmsIou", "maxDetections")},
        digests=digests,
        dataset=data_facts(history.preparations),
        classes=tuple(map(str, history.data.get("classes", spec.dataset.classes))),
        manifest=(history.folder / "manifest.yaml").read_text(encoding="utf-8"),
    )


def facts_table(title: str, values: Mapping[str, Any]) -> Table:
    """Names with their values."""
    rows = tuple(
        (name, value if isinstance(value, (int, float)) else str(value)) for name, value in values.items()
    )
    return Table(title, (Column("name", "what"), Column("value", "value")), rows)

"""A check as one JSON document, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from vistrain_trainer.checking.file_figures import counts_of
from vistrain_trainer.checking.prose import paragraphs
from vistrain_trainer.checking.result import Checked

FORMAT = 1


def document(checked: Checked) -> dict[str, Any]:
    """Every number of the check, unrounded; what is not known is absent."""
    content, choice = checked.content, checked.choice
    return {
        "format": FORMAT,
        "dataset": str(content.folder),
        "layout": content.manifest.format,
        "digest": content.manifest.digest,
        "verdict": "outside" if checked.outside else "within",
        "outside": [figure.kind.name for figure in checked.outside],
        "figures": {
            figure.kind.name: {
                "title": figure.kind.title,
                "unit": figure.kind.unit,
                "values": dict(figure.values),
                "bound": None if figure.bound is None else msgspec.to_builtins(figure.bound),
                "verdict": figure.verdict,
                "outside": list(figure.outside),
                "places": {scope: list(places) for scope, places in figure.places.items()},
                "how": figure.kind.how,
            }
            for figure in checked.figures
        },
        "counts": {
            name: msgspec.to_builtins(counts_of(split, content.classes))
            for name, split in content.splits.items()
        },
        "histograms": {
            one.key: {"label": one.label, "edges": list(one.edges), "counts": dict(one.counts)}
            for one in checked.histograms
        },
        "sequences": {
            "chosenFrom": choice.sequences,
            "scenes": choice.scenes,
            "cameras": choice.cameras,
            "ofAll": choice.of_sequences,
        },
        "samples": [asdict(one) for one in checked.shown],
        "sentences": [
            {"text": str(sentence), "facts": {name: asdict(fact) for name, fact in sentence.facts.items()}}
            for paragraph in paragraphs(checked)
            for sentence in paragraph
        ],
    }

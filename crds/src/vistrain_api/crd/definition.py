"""The CustomResourceDefinition of `DetectorTraining`."""

from __future__ import annotations

from typing import Any

from vistrain_api import GROUP, VERSION
from vistrain_api.crd.schema import structural, without_defaults
from vistrain_api.detector import DetectorTrainingSpec
from vistrain_api.metadata import RunName
from vistrain_api.mutability import transition_rules
from vistrain_api.status import RunStatus

PLURAL = "detectortrainings"
NAME = f"{PLURAL}.{GROUP}"

# Name, path, type, whether it is shown by `-o wide` only, description.
_COLUMNS: tuple[tuple[str, str, str, bool, str], ...] = (
    ("Model", ".status.display.model", "string", False, "What is trained."),
    ("Phase", ".status.phase", "string", False, "Where the run is in its life."),
    ("Epoch", ".status.display.epoch", "string", False, "Epochs completed, of those planned."),
    ("Step", ".status.progress.step", "integer", False, "Optimiser steps completed."),
    ("Progress", ".status.display.progress", "string", False, "Share of the steps completed."),
    ("ETA", ".status.display.eta", "string", False, "Time to the end at the present pace."),
    ("Best", ".status.display.best", "string", False, "Best value of the primary metric."),
    ("Slice", ".status.display.slice", "string", False, "Device asked for."),
    ("Attempt", ".status.attempt", "integer", False, "Number of the current or last attempt."),
    ("Disrupted", ".status.disruptions", "integer", False, "Attempts ended by disruptions."),
    ("Age", ".metadata.creationTimestamp", "date", False, "Time since the run was made."),
    ("Images/s", ".status.display.imagesPerSecond", "string", True, "Training images per second."),
    ("Node", ".status.display.node", "string", True, "Node of the current attempt."),
    ("Checkpoint", ".status.lastCheckpoint.step", "integer", True, "Step of the newest checkpoint."),
    ("Saved", ".status.lastCheckpoint.savedAt", "date", True, "Age of the newest checkpoint."),
    ("Failures", ".status.failures", "integer", True, "Attempts ended by faults."),
)


def root_schema() -> dict[str, Any]:
    """The structural schema of the whole object, with the rules on what may change."""
    name = structural(RunName)
    return {
        "type": "object",
        "description": "A run that trains an object detector.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            # Of metadata the API server lets a schema bound the name only.
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": structural(DetectorTrainingSpec),
            "status": without_defaults(structural(RunStatus)),
        },
        "x-kubernetes-validations": transition_rules(),
    }


def definition() -> dict[str, Any]:
    """The CustomResourceDefinition as the API server takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "DetectorTraining",
                "listKind": "DetectorTrainingList",
                "plural": PLURAL,
                "singular": "detectortraining",
                "shortNames": ["dtrain"],
                "categories": ["all", "vistrain"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".status.phase"}],
                    "additionalPrinterColumns": [
                        {"name": name, "jsonPath": path, "type": kind, "description": text}
                        | ({"priority": 1} if wide else {})
                        for name, path, kind, wide, text in _COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": root_schema()},
                }
            ],
        },
    }

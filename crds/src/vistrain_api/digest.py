"""Digests of what decides: a run's result, and what a preparation makes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from vistrain_api.dataset import DetectionDataset
from vistrain_api.detector import ALWAYS_MUTABLE, MUTABLE_WHILE_SUSPENDED, DetectorTrainingSpec

PREPARATION_VERSION = 1
"""To be raised when a preparation makes another data set of the same than before: that is then not used."""
SHORT_DIGEST = 10
"""Characters of a preparation's digest that stand in names."""

# Where a run's pods go and what they carry does not decide what is learnt.
_NOT_DECIDING = {*ALWAYS_MUTABLE, *MUTABLE_WHILE_SUSPENDED, "pod", "checkpoint"}


def deciding(spec: DetectorTrainingSpec) -> dict[str, Any]:
    """The part of the spec that decides the result, with defaults filled in, as JSON values."""
    values = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    # A cached image has the bytes of a decoded one. Run folders of versions without a cache say none.
    loader = values["dataset"]["loader"]
    loader["cache"] = "none"
    del loader["cacheBudget"]
    return {key: value for key, value in values.items() if key not in _NOT_DECIDING}


def spec_digest(spec: DetectorTrainingSpec) -> str:
    """`sha256:` and the digest of the canonical JSON of `deciding(spec)`."""
    return "sha256:" + _digest(deciding(spec))


def preparation_digest(dataset: DetectionDataset) -> str | None:
    """64 hexadecimal characters that tell what is made of which data; none where nothing is prepared.

    What is on the volume is not looked at: a folder whose content changes needs another name. What a split is
    expected to hold changes nothing of what is made.
    """
    if dataset.prepare is None:
        return None
    stated = dataset.prepare.nuscenes.model_dump(mode="json", by_alias=True)
    stated |= {key: sorted(stated[key]) for key in ("cameras", "visibility")}
    volume = dataset.volume.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _digest(
        {
            "version": PREPARATION_VERSION,
            "nuscenes": stated,
            "classes": dataset.classes,
            "volume": volume,
        }
    )


def _digest(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

"""The digest of what decides a run's result, by which a run folder is continued or refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from vistrain_api.detector import ALWAYS_MUTABLE, MUTABLE_WHILE_SUSPENDED, DetectorTrainingSpec

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
    text = json.dumps(deciding(spec), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

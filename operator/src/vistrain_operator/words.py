"""Reading what a trainer says, also one that is newer than this operator."""

from __future__ import annotations

import json

from vistrain_api.protocol import Progress

_KNOWN = {field.alias or name for name, field in Progress.model_fields.items()}


def read(text: str | bytes) -> Progress:
    """The report in `text`; fields this version does not know are passed over. Raises ValueError."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return Progress.model_validate_json(json.dumps({k: v for k, v in value.items() if k in _KNOWN}))

"""Reading a manifest exactly as kubectl does: the same YAML scalars, defaults and rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vistrain_api.detector import DetectorTraining

KINDS: dict[str, type[DetectorTraining]] = {"DetectorTraining": DetectorTraining}


class ManifestError(ValueError):
    """A manifest that cannot be accepted; the text names each field, its value and the problem."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of kubectl's reader: 5e-4 is a number, 1:30 a string, dates are strings."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith((":float", ":int", ":timestamp"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|(0|[1-9][0-9_]*))$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def _as_json(value: Any) -> Any:
    """A whole float is an integer once kubectl has written it as JSON (`8.0`, `1e3`)."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    return value


def read_yaml(text: str) -> Any:
    """The value of one YAML document. Raises ManifestError with line and column."""
    try:
        return _as_json(yaml.load(text, Loader=_Loader))  # a SafeLoader
    except yaml.YAMLError as error:
        raise ManifestError(f"not YAML: {error}") from error


def parse(value: Any) -> DetectorTraining:
    """A validated run with every default filled in. Raises ManifestError naming every wrong field."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in KINDS:
        raise ManifestError(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
    try:
        return KINDS[kind].model_validate(value)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r:.120})" for e in error.errors()
        ]
        raise ManifestError("\n".join(lines)) from error


def load(path: Path) -> DetectorTraining:
    """Read and validate the manifest in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    return parse(read_yaml(text))

"""Reading a manifest for a command, with `--set` and `--volume`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vistrain_api import protocol
from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import ManifestError, parse, read_yaml
from vistrain_trainer.engine.options import PodEnvironment
from vistrain_trainer.errors import BadInput

_MAPPINGS = {"--volume": ("CLAIM", "driving-world=data"), "--run": ("NAME", "earlier=runs/earlier")}


def read_manifest(file: Path, settings: Sequence[str] = ()) -> DetectorTraining:
    """The manifest in a file, with `path=value` settings applied before it is validated.

    Raises:
        BadInput: file, setting or manifest is wrong.
    """
    try:
        value = read_yaml(file.read_text(encoding="utf-8"))
        for setting in settings:
            _apply(value, setting)
        return parse(value)
    except OSError as error:
        raise BadInput(
            field="-f", value=file, problem=error.strerror or "cannot be read", remedy="Name a manifest"
        ) from error
    except ManifestError as error:
        raise BadInput(
            field=str(file),
            value="manifest",
            problem=str(error),
            remedy="Correct it; `vistrain validate` checks it",
        ) from error


def read_volumes(mappings: Sequence[str]) -> dict[str, Path]:
    """Folders by claim from `CLAIM=DIR` mappings. Raises BadInput."""
    return read_folders("--volume", mappings)


def read_folders(option: str, mappings: Sequence[str]) -> dict[str, Path]:
    """Folders by claim, or by run, from the mappings of an option. Raises BadInput."""
    meant, example = _MAPPINGS[option]
    folders = {}
    for mapping in mappings:
        name, equals, folder = mapping.partition("=")
        if not (name and equals and folder):
            raise BadInput(
                field=option,
                value=mapping,
                problem=f"is not {meant}=DIR",
                remedy=f"Say {option} {example}",
            )
        folders[name] = Path(folder)
    return folders


def default_output(manifest: DetectorTraining, folders: dict[str, Path], pod: PodEnvironment) -> Path:
    """The run folder where a command names none."""
    name = manifest.spec.checkpoint.path or manifest.metadata.name
    if pod.in_pod:
        return Path(protocol.CHECKPOINT_ROOT, name)
    return folders.get(manifest.spec.checkpoint.volume.claim_name, Path("runs")) / name


def _apply(value: Any, setting: str) -> None:
    path, equals, text = setting.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise BadInput(
            field="--set",
            value=setting,
            problem="is not PATH=VALUE",
            remedy="Say --set spec.schedule.epochs=2",
        )
    for key in keys[:-1]:
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict):
            value = value.setdefault(key, {})
        else:
            raise _no_such(setting, key)
    last = keys[-1]
    if isinstance(value, list) and last.isdigit() and int(last) < len(value):
        value[int(last)] = read_yaml(text)
    elif isinstance(value, dict):
        value[last] = read_yaml(text)
    else:
        raise _no_such(setting, last)


def _no_such(setting: str, key: str) -> BadInput:
    return BadInput(
        field="--set",
        value=setting,
        problem=f"{key} is inside a plain value",
        remedy="Name a field of the manifest",
    )

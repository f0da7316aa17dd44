"""The folder of a version's tables."""

from __future__ import annotations

from pathlib import Path

from vistrain_trainer.errors import BadInput


def version_folder(root: Path, version: str | None) -> Path:
    """The version's folder under `root`; without a version, the only one that there is.

    Raises:
        BadInput: there is none, there are several to choose from, or not the one asked for.
    """
    found = sorted(path.name for path in root.glob("v1.0-*") if path.is_dir()) if root.is_dir() else []
    if version is not None and version in found:
        return root / version
    if version is None and len(found) == 1:
        return root / found[0]
    if not found:
        raise BadInput(
            field="--root",
            value=str(root),
            problem="it holds no folder v1.0-* with nuScenes tables"
            if root.is_dir()
            else "there is no such folder",
            remedy="Give the folder that holds v1.0-trainval (or -mini, -test), samples and sweeps",
        )
    raise BadInput(
        field="--version",
        value=version or "not given",
        problem=f"{root} holds {', '.join(found)}",
        remedy="Choose one of them",
    )

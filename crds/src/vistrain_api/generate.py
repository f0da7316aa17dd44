"""Writes what is generated from the models: `python -m vistrain_api.generate [--check]`."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from vistrain_api.crd.definition import NAME, definition
from vistrain_api.crd.reference import reference
from vistrain_api.crd.render import chart_template, plain_yaml


def generated() -> dict[Path, str]:
    """Text by path, relative to the repository's root."""
    crd = definition()
    return {
        Path("crds") / f"{NAME}.yaml": plain_yaml(crd),
        Path("charts/vistrain/templates/crds") / f"{NAME}.yaml": chart_template(crd),
        Path("docs/reference/detectortraining.md"): reference(crd),
    }


def drift(root: Path) -> str:
    """Unified diff from the files under `root` to what the models say; empty when they agree."""
    parts: list[str] = []
    for path, text in generated().items():
        file = root / path
        present = file.read_text(encoding="utf-8") if file.exists() else ""
        parts += difflib.unified_diff(
            present.splitlines(keepends=True),
            text.splitlines(keepends=True),
            f"{path}",
            f"{path} (generated)",
        )
    return "".join(parts)


def write(root: Path) -> None:
    """Write every generated file under `root`."""
    for path, text in generated().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def repository_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds crds/. Raises SystemExit when there is none."""
    for folder in (start, *start.parents):
        if (folder / "crds" / "pyproject.toml").exists():
            return folder
    raise SystemExit(f"{start} is not inside the repository: run this in its root, or give --root")


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0; with --check 1 when a file differs from the models."""
    parser = argparse.ArgumentParser(
        prog="python -m vistrain_api.generate",
        description="Write the CRD, the chart's copy of it and the API reference from the models.",
        epilog="example: python -m vistrain_api.generate --check",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 with the diff on drift")
    parser.add_argument("--root", type=Path, help="root of the repository (default: found from here)")
    options = parser.parse_args(arguments)
    root = options.root or repository_root(Path.cwd())
    if not options.check:
        write(root)
        return 0
    difference = drift(root)
    if difference:
        sys.stdout.write(difference)
        print("generated files differ from the models: run `make generate`", file=sys.stderr)
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())

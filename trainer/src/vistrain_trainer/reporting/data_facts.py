"""How a run's data were prepared, for a person to do it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vistrain_trainer.data.manifest import DatasetManifest, SplitRecord
from vistrain_trainer.data.preparation import Preparation
from vistrain_trainer.reporting.wording import count


def data_facts(preparations: Sequence[Preparation]) -> dict[str, str]:
    """What a person would ask of them, by name; where there are several, with the manifest's place."""
    facts: dict[str, str] = {}
    for one in preparations:
        prefix = f"{one.path}: " if len(preparations) > 1 else ""
        facts |= {f"{prefix}{name}": text for name, text in _facts(one) if text}
    return facts


def _facts(one: Preparation) -> Iterator[tuple[str, str]]:
    manifest = one.manifest
    yield "manifest", one.path
    yield "command", manifest.command
    yield "made with", f"vistrain-trainer {manifest.version}"
    yield "digest", manifest.digest
    source = manifest.source
    yield "source", " ".join(filter(None, (source.kind, source.version, source.digest)))
    yield "split lists", manifest.split_lists
    yield "cameras", ", ".join(manifest.cameras)
    yield "frames", _frames(manifest)
    yield "visibility", ", ".join(map(str, manifest.visibility))
    yield "projection", manifest.projection or ""
    size = manifest.image_size
    yield "pictures", "" if size is None else f"{size.width}×{size.height} pixels"
    yield "seed of the data", "" if manifest.seed is None else str(manifest.seed)
    for name, split in manifest.splits.items():
        yield f"split {name}", _split(split)
    yield "left out", ", ".join(f"{reason}: {boxes}" for reason, boxes in manifest.dropped.items())
    for name, file in one.splits.items():
        yield f"{name} of the run", f"{file.path} ({file.state})"


def _frames(manifest: DatasetManifest) -> str:
    said = []
    if manifest.fps is not None:
        said.append(f"{manifest.fps:g} per second" + (", sweeps among them" if manifest.sweeps else ""))
    if manifest.frame_interval is not None:
        said.append(f"{1000 * manifest.frame_interval:.1f} ms apart on average")
    return ", ".join(said)


def _split(split: SplitRecord) -> str:
    counts = split.counts
    said = [count(counts.images, "image"), count(counts.annotations, "box", "boxes")]
    said += [count(len(split.scenes), "scene")] if split.scenes else []
    return ", ".join(said) + (": held back" if split.reserved else "")

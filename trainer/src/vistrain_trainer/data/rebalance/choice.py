"""Which images change their split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.near_duplicates import connected, hash_pictures, similar_pairs
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.rebalance.options import RebalanceOptions
from vistrain_trainer.data.rebalance.selection import Unreachable, choose
from vistrain_trainer.data.sets.stated import DetectionSet, StatedSplit
from vistrain_trainer.errors import BadInput


@dataclass(frozen=True)
class Choice:
    """Images of the source split that are to be moved."""

    moved: np.ndarray
    """(k,) int64 positions in the split, ascending."""
    group: np.ndarray
    """(k,) int64 number of the group that each is of."""
    shared: np.ndarray
    """(k,) bool whether the group has more images."""
    instances: np.ndarray
    """(k,) int64 boxes of the class in each."""
    straddling: int
    """Groups with images in both splits that stay so."""


def choose_images(found: DetectionSet, options: RebalanceOptions, progress: Progress = silent) -> Choice:
    """Choose images with the class at random; groups of near-duplicates, or of a scene, go whole or stay.

    Raises:
        BadInput: there is no such class or split, a split is reserved, or the count cannot be met exactly.
    """
    source, target = (_split(found, name, option) for name, option in _ends(options))
    if options.class_name not in found.classes:
        raise BadInput(
            field="--class",
            value=options.class_name,
            problem="is unknown",
            remedy=f"choose from {', '.join(found.classes)}",
        )
    _require_apart(found, options)
    instances = source.per_image(found.classes.index(options.class_name))
    weights = instances if options.unit == "instances" else (instances > 0).astype(np.int64)
    if options.count > weights.sum():
        raise BadInput(
            field="--count",
            value=options.count,
            problem=f"{options.source} has {weights.sum()} {_units(options)} of {options.class_name}",
            remedy=f"Say at most {weights.sum()}" if weights.any() else "Name another class or split",
        )
    groups = _groups(source, target, options.keep_together, progress)
    own, other = groups[: len(source.images)], groups[len(source.images) :]
    by_group = np.bincount(own, weights, minlength=groups.max() + 1).astype(np.int64)
    candidates = np.flatnonzero(by_group)
    try:
        picked = choose(
            by_group[candidates].tolist(), options.count, generator(options.seed, Purpose.REBALANCE)
        )
    except Unreachable as nearest:
        raise _unreachable(options, nearest, by_group[candidates], by_scene=bool(source.scenes)) from None
    moved = np.flatnonzero(np.isin(own, candidates[picked]))
    if len(moved) == len(source.images):
        raise BadInput(
            field="--count",
            value=options.count,
            problem=f"nothing would be left in {options.source}",
            remedy="Say less",
        )
    stay = np.delete(own, moved)
    return Choice(
        moved=moved,
        group=own[moved],
        shared=np.bincount(groups)[own[moved]] > 1,
        instances=instances[moved],
        straddling=len(np.intersect1d(stay, other)),
    )


def _ends(options: RebalanceOptions) -> tuple[tuple[str, str], tuple[str, str]]:
    return (options.source, "--from"), (options.target, "--to")


def _split(found: DetectionSet, name: str, option: str) -> StatedSplit:
    if name not in found.splits:
        raise BadInput(
            field=option,
            value=name,
            problem="there is no such split",
            remedy=f"choose from {', '.join(found.splits)}",
        )
    record = found.manifest.splits.get(name) if found.manifest is not None else None
    if record is not None and record.reserved:
        raise BadInput(
            field=option,
            value=name,
            problem="the split is reserved for the final judgement: nothing is taken from it or added to it",
            remedy="Name another split",
        )
    if found.manifest is not None and record is not None and record.scenes and not found.splits[name].scenes:
        raise BadInput(
            field=option,
            value=name,
            problem="the manifest splits by scene, and the files do not say which scene an image is of",
            remedy="Prepare the data again with other lists of scenes",
        )
    return found.splits[name]


def _require_apart(found: DetectionSet, options: RebalanceOptions) -> None:
    """See that no picture of the source is in another split, which moving its file would break."""
    own = _pictures(found.splits[options.source])
    for name, split in found.splits.items():
        shared = sorted(own & _pictures(split)) if name != options.source else []
        if shared:
            raise BadInput(
                field="--from",
                value=options.source,
                problem=f"{len(shared)} of its pictures are in {name} too, such as {shared[0]}",
                remedy="Put each picture into one split first",
            )


def _pictures(split: StatedSplit) -> set[str]:
    return set(map(str, split.paths)) or {image.file_name for image in split.images}


def _groups(
    source: StatedSplit, target: StatedSplit, keep_together: int | None, progress: Progress
) -> np.ndarray:
    """(images of both,) group of each: alike within the distance, or of one scene, over others too."""
    count = len(source.images) + len(target.images)
    pairs = [np.zeros((0, 2), np.int64)]
    if keep_together is not None:
        for split in (source, target):
            if not split.paths:
                raise BadInput(
                    field=split.name,
                    value=split.images[0].file_name,
                    problem="the picture is not where pictures are looked for, so that none can be compared",
                    remedy="Name their folder with --images, or say --keep-together off",
                )
        pairs.append(similar_pairs(hash_pictures([*source.paths, *target.paths], progress), keep_together))
    if source.scenes and target.scenes:
        pairs.append(_of_one_scene([*source.scenes, *target.scenes]))
    return connected(count, np.concatenate(pairs))


def _of_one_scene(scenes: Sequence[str]) -> np.ndarray:
    """(m, 2): each image with the first of its scene."""
    first: dict[str, int] = {}
    return np.array([(first.setdefault(scene, at), at) for at, scene in enumerate(scenes)], np.int64)


def _units(options: RebalanceOptions) -> str:
    return "boxes" if options.unit == "instances" else "images"


def _unreachable(
    options: RebalanceOptions, nearest: Unreachable, weights: np.ndarray, *, by_scene: bool
) -> BadInput:
    possible = [str(count) for count in (nearest.below, nearest.above) if count]
    what = "scenes" if by_scene else "images"
    nearer = (
        "" if by_scene or options.keep_together is None else ", or a smaller distance with --keep-together"
    )
    return BadInput(
        field="--count",
        value=options.count,
        problem=f"{what} that stay together hold {weights.min()} to {weights.max()} {_units(options)} of "
        f"{options.class_name}, and no choice of them holds exactly {options.count}",
        remedy=f"Say --count {' or --count '.join(possible)}{nearer}",
    )

"""Whether a run may use its splits: the order of the classes, the reserve, scenes of one split only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.reserve import HeldBack, Reserve
from vistrain_trainer.data.volume_manifests import VolumeManifests
from vistrain_trainer.errors import BadInput

_CLASSES = "spec.dataset.classes"


def order_fault(classes: Sequence[str], split: CocoDetection, volume: VolumeManifests) -> BadInput | None:
    """What is wrong with the run's order of classes for a split; nothing without a manifest.

    A file that was made by hand beside a manifest may have fewer classes: those that both name count.
    """
    found = volume.beside(split.annotations)
    if found is None:
        return None
    prepared = [name for name in found.manifest.classes if name in classes]
    if prepared == [name for name in classes if name in found.manifest.classes]:
        return None
    return BadInput(
        field=_CLASSES,
        value=list(classes),
        problem=f"{found.path} was prepared with the order {list(found.manifest.classes)}",
        remedy="List the classes in that order, or prepare the data set again with --classes "
        f"{','.join(classes)}: weights number their classes by it",
    )


def ids_order(split: CocoDetection) -> tuple[str, ...]:
    """The classes of a file in the order of its category ids."""
    return tuple(name for _, name in sorted(zip(split.category_ids, split.classes, strict=True)))


def reserve_faults(splits: Mapping[str, CocoDetection], volume: VolumeManifests) -> Iterator[BadInput]:
    """The splits, but for `test`, with pictures of scenes that are held back."""
    for name in ("train", "validation"):
        split = splits.get(name)
        if split is None:
            continue
        reserve = Reserve(volume.judging(split.annotations, training=name == "train"))
        prepared = volume.state(split.annotations) == "as prepared"
        held = dict(_held_back(split, reserve, by_name=not prepared)) if reserve else {}
        if held:
            yield _reserved(name, split, held, prepared=prepared)


def shared_scenes(splits: Mapping[str, CocoDetection], volume: VolumeManifests) -> Iterator[BadInput]:
    """Scenes that are trained on, and judged by in another split."""
    if "train" not in splits:
        return
    trained = set(splits["train"].scenes.scene) - {""}
    for name in ("validation", "test"):
        split = splits.get(name)
        shared = sorted(trained & set(split.scenes.scene)) if split is not None else []
        if split is not None and shared:
            found = volume.beside(split.annotations)
            known = {} if found is None else found.scenes
            first = ", ".join(
                f"{known[token].name} ({token})" if token in known else token for token in shared[:3]
            )
            yield BadInput(
                field=f"spec.dataset.{name}.annotations",
                value=str(split.annotations),
                problem=f"{len(shared)} of its scenes are trained on too, such as {first}: pictures of one "
                "drive are nearly alike, so metrics would look better than they are",
                remedy="Split by scene, as `vistrain prepare` does, or name another annotation file",
            )


def faults(
    classes: Sequence[str], splits: Mapping[str, CocoDetection], volume: VolumeManifests
) -> Iterator[BadInput]:
    """All of it, the gravest first."""
    for split in splits.values():
        fault = order_fault(classes, split, volume)
        if fault is not None:
            yield fault
    yield from reserve_faults(splits, volume)
    yield from shared_scenes(splits, volume)


def _held_back(split: CocoDetection, reserve: Reserve, *, by_name: bool) -> Iterator[tuple[int, HeldBack]]:
    """Images of scenes that are held back, by index."""
    by_token = {token: reserve.by_token(token) for token in set(split.scenes.scene) if token}
    for index, (scene, sample) in enumerate(zip(split.scenes.scene, split.scenes.sample, strict=True)):
        held = by_token.get(scene)
        if held is None and by_name:
            base = PurePosixPath(split.images[index].file_name).name
            held = reserve.by_name(scene, (base, sample) if sample else (base,))
        if held is not None:
            yield index, held


def _reserved(name: str, split: CocoDetection, held: Mapping[int, HeldBack], *, prepared: bool) -> BadInput:
    first, scene = next(iter(held.items()))
    scenes = len({one.token for one in held.values()})
    apart = "under a spec.dataset.volume.subPath of its own" if prepared else "on a volume of its own"
    does = "learn from" if name == "train" else "choose its best checkpoint by"
    return BadInput(
        field=f"spec.dataset.{name}.annotations",
        value=str(split.annotations),
        problem=f"{len(held)} of its {len(split)} images are held back for the final judgement by "
        f"{scene.manifest}: {scenes} scene{'s' if scenes > 1 else ''}, such as {scene.name} ({scene.token}) "
        f"with {split.images[first].file_name}. A run must not {does} them",
        remedy="Name an annotation file of other scenes; the reserve is for spec.dataset.test. A data set "
        f"that may use what another reserves lies {apart}",
    )

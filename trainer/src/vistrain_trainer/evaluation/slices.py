"""COCO's figures over parts of a split: by size, distance, visibility or what an image is tagged with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.coco_metrics import Curves, GroundTruth, metrics

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2)}
"""COCO's areas in square pixels; a box on a bound is in both."""
DISTANCES = (0.0, 15.0, 30.0, 50.0)
"""Where bins of distance begin, in metres; the last has no end."""
VISIBILITIES = {"0-40 %": 0.0, "40-60 %": 0.4, "60-80 %": 0.6, "80-100 %": 0.8}
"""nuScenes' bins, which its tokens 1 to 4 name, by the share at which they begin."""

_BY_SIZE = ("APsmall", "APmedium", "APlarge", "ARsmall", "ARmedium", "ARlarge")
_IGNORED = -1.0
"""An area outside all of COCO's ranges: such a box may be matched, but is neither right nor missed."""

_Annotation = Mapping[str, Any]


@dataclass(frozen=True)
class Slice:
    """One part of a split."""

    images: int
    """Images of it; of a part of the boxes, the images with such a box."""
    boxes: int
    """Boxes of ground truth in it, without crowds."""
    figures: dict[str, float | None]
    """As of :func:`metrics`, without those by size; None where a class has no box in this part."""


@dataclass(frozen=True)
class Slices:
    """The parts of a split that have a box; ``dataclasses.asdict`` makes JSON of it."""

    whole: Slice
    parts: dict[str, dict[str, Slice]]
    """By `size`, `distance`, `visibility` and `tag`, then by name. What the data does not tell is absent."""


def slices(
    document: Mapping[str, Any],
    category_ids: Sequence[int],
    classes: Sequence[str],
    rows: np.ndarray,
    *,
    distances: Sequence[float] = DISTANCES,
    check: Callable[[], None] = lambda: None,
) -> Slices:
    """Evaluate the parts of a split one by one.

    In a part of the boxes the others are ignored, as COCO ignores areas: who finds them is neither right nor
    wrong. A false detection has no distance or visibility and counts against every bin of these; in a part
    by size, as in COCO, only against its own. So AP depends on how full a bin is, AR does not.

    Args:
        document: of COCO's form. Annotations may have `distance` in metres, and `visibility` as nuScenes'
            token 1 to 4 or, in all of the file, as the visible share from 0 to 1 (1 for a share is written
            1.0 where no other tells); images may have `tags`, a list of words. A box without a value is in
            no bin.
        category_ids: COCO id of each class; annotations of other categories do not count.
        classes: name of each class, in the same order.
        rows: (n, 7) float64 image id, x, y, w, h, score, class index.
        distances: where bins begin, in metres, ascending; nearer boxes are in none.
        check: called before each part; what it raises ends the evaluation.

    Raises:
        BadInput: a distance, a visibility or tags that cannot be read, or distances that do not ascend.
    """
    split = _Split(document, category_ids, classes, rows, check)
    # What cannot be read is told before anything is evaluated.
    names = _distance_names(distances)
    distance = split.binned("distance", lambda value: _distance_bin(value, distances, names))
    visibility = split.binned("visibility", _visibility_reader(split.annotations))
    tagged = _tagged(split.images)

    curves = split.curves(split.images, split.annotations)
    parts = {
        "size": split.of_sizes(curves),
        "distance": split.of_boxes(distance, names),
        "visibility": split.of_boxes(visibility, list(VISIBILITIES)),
        "tag": split.of_images(tagged),
    }
    return Slices(
        whole=split.judged(curves, split.annotations, len(split.images)),
        parts={name: part for name, part in parts.items() if part},
    )


class _Split:
    """Ground truth and detections of which parts are evaluated."""

    def __init__(
        self,
        document: Mapping[str, Any],
        category_ids: Sequence[int],
        classes: Sequence[str],
        rows: np.ndarray,
        check: Callable[[], None],
    ) -> None:
        known = set(category_ids)
        self.images: list[Mapping[str, Any]] = document["images"]
        self.annotations = [one for one in document["annotations"] if one["category_id"] in known]
        self._category_ids = category_ids
        self._classes = classes
        self._rows = rows
        self._check = check

    def binned(self, field: str, name: Callable[[Any], str | None]) -> list[str | None]:
        """The bin of each annotation, None where it has no value."""
        found = []
        for annotation in self.annotations:
            value = annotation.get(field)
            try:
                found.append(None if value is None else name(value))
            except ValueError as error:
                raise BadInput(
                    field=f"annotation {annotation.get('id')}: {field}",
                    value=repr(value),
                    problem=str(error),
                    remedy=f"correct it, or leave {field} out where it is not known",
                ) from None
        return found

    def curves(self, images: Sequence[Mapping[str, Any]], annotations: Sequence[_Annotation]) -> Curves:
        self._check()
        ids = np.array([image["id"] for image in images])
        truth = GroundTruth({"images": images, "annotations": annotations}, self._category_ids)
        return truth.curves(self._rows[np.isin(self._rows[:, 0], ids)])

    def judged(self, curves: Curves, boxes: Sequence[_Annotation], images: int | None = None) -> Slice:
        of_part = [box for box in boxes if not _crowd(box)]
        figures = metrics(curves, self._category_ids, self._classes)
        return Slice(
            images=len({box["image_id"] for box in of_part}) if images is None else images,
            boxes=len(of_part),
            figures={name: value for name, value in figures.items() if name not in _BY_SIZE},
        )

    def of_sizes(self, curves: Curves) -> dict[str, Slice]:
        found = {}
        for at, (name, (least, most)) in enumerate(SIZES.items(), start=1):
            boxes = [one for one in self.annotations if least <= _area(one) <= most]
            if _any_box(boxes):
                found[name] = self.judged(_only_area(curves, at), boxes)
        return found

    def of_boxes(self, bins: Sequence[str | None], names: Iterable[str]) -> dict[str, Slice]:
        found = {}
        for name in names:
            boxes = [one for one, at in zip(self.annotations, bins, strict=True) if at == name]
            if not _any_box(boxes):
                continue
            seen = [
                one if at == name else {**one, "area": _IGNORED}
                for one, at in zip(self.annotations, bins, strict=True)
            ]
            found[name] = self.judged(self.curves(self.images, seen), boxes)
        return found

    def of_images(self, groups: Mapping[str, set[int]]) -> dict[str, Slice]:
        found = {}
        for name, ids in groups.items():
            boxes = [one for one in self.annotations if one["image_id"] in ids]
            if _any_box(boxes):
                images = [image for image in self.images if image["id"] in ids]
                found[name] = self.judged(self.curves(images, boxes), boxes, len(images))
        return found


def _only_area(curves: Curves, at: int) -> Curves:
    """Curves in which one of COCO's areas stands for all of them."""
    alone = [at] * curves.precision.shape[3]
    return Curves(curves.precision[:, :, :, alone], curves.recall[:, :, alone], curves.scores[:, :, :, alone])


def _crowd(annotation: _Annotation) -> bool:
    return bool(annotation.get("iscrowd", 0))


def _any_box(annotations: Iterable[_Annotation]) -> bool:
    return any(not _crowd(annotation) for annotation in annotations)


def _area(annotation: _Annotation) -> float:
    area: float = annotation.get("area", annotation["bbox"][2] * annotation["bbox"][3])
    return area


def _distance_names(distances: Sequence[float]) -> list[str]:
    if not distances or any(not now < then for now, then in pairwise((*distances, math.inf))):
        raise BadInput(
            field="distances",
            value=list(distances),
            problem="they do not ascend",
            remedy=f"give the metres at which bins begin, for example {list(DISTANCES)}",
        )
    return [f"{begin:g}-{end:g} m" for begin, end in pairwise(distances)] + [f"{distances[-1]:g} m and more"]


def _distance_bin(value: Any, distances: Sequence[float], names: Sequence[str]) -> str | None:
    if not _is_number(value) or not 0 <= value < math.inf:
        raise ValueError("it is no distance in metres")
    at = int(np.searchsorted(distances, value, side="right")) - 1
    return names[at] if at >= 0 else None


def _visibility_reader(annotations: Sequence[_Annotation]) -> Callable[[Any], str]:
    """Tokens or shares, whichever the file has: 1 alone could be either, and is a share only if written 1.0
    or beside other shares."""
    values = [annotation.get("visibility") for annotation in annotations]
    # Only the bounds of the range can be whole numbers in a file of shares.
    shares = any(isinstance(value, float) or (_is_number(value) and value == 0) for value in values)
    return _share_bin if shares else _token_bin


def _share_bin(value: Any) -> str:
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError("it is no share from 0 to 1, as others of this file are")
    return [name for name, begin in VISIBILITIES.items() if value >= begin][-1]


def _token_bin(value: Any) -> str:
    if isinstance(value, bool) or str(value) not in ("1", "2", "3", "4"):
        raise ValueError("it is neither a share from 0 to 1 nor a token from 1 to 4")
    return list(VISIBILITIES)[int(value) - 1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tagged(images: Iterable[Mapping[str, Any]]) -> dict[str, set[int]]:
    """The images of each tag, by name."""
    found: dict[str, set[int]] = {}
    for image in images:
        tags = image.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise BadInput(
                field=f"image {image['id']}: tags",
                value=repr(tags),
                problem="it is no list of words",
                remedy='write for example ["night", "rain"]',
            )
        for tag in tags:
            found.setdefault(tag, set()).add(image["id"])
    return dict(sorted(found.items()))

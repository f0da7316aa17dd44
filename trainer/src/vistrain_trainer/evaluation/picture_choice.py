"""Which images of a split are shown: some with most errors, some at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from vistrain_trainer.evaluation.matches import ImageMatches

WITH_ERRORS, AT_RANDOM = 6, 6
SEED = 0
"""Of the random choice, the same for every run: those of two runs on one split can be compared."""


class Chosen(NamedTuple):
    """An image to show."""

    image_id: int
    why: Literal["errors", "random"]


def choose(
    matches: Mapping[int, ImageMatches], *, with_errors: int = WITH_ERRORS, at_random: int = AT_RANDOM
) -> list[Chosen]:
    """The images with most errors, the worst first; then, by id, a seeded choice among the others.

    Of equally many errors the lower id comes first. An image without an error is never among the worst. The
    random ones are those of a fixed order of all images that are not among the worst already.
    """
    ids = sorted(matches)
    worst = sorted(
        (image for image in ids if matches[image].errors), key=lambda at: (-matches[at].errors, at)
    )
    worst = worst[:with_errors]
    shuffled = [ids[at] for at in np.random.default_rng(SEED).permutation(len(ids))]
    others = sorted([image for image in shuffled if image not in worst][:at_random])
    return [Chosen(image, "errors") for image in worst] + [Chosen(image, "random") for image in others]

"""A small YOLO data set on disk, of drainage works."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import yaml

NAMES = ("rock_toe", "slope_drain", "toe_drain", "vegetation")
SPLITS = {"train": 12, "val": 4, "test": 3}


def picture(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """(H, W, 3) uint8 picture; two seeds give pictures that nobody takes for the same."""
    random = np.random.default_rng(seed)
    return cv2.resize(random.integers(0, 256, (7, 9, 3), np.uint8), (width, height))


def write_yolo(
    folder: Path,
    splits: Mapping[str, int] = SPLITS,
    *,
    seed: int = 3,
    decimals: int = 6,
    suffix: str = ".png",
    background: int = 1,
    **extra: object,
) -> Path:
    """Write images/SPLIT, labels/SPLIT and data.yaml, and give the latter.

    Every picture has one to four boxes; the first `background` of each split have no label file.
    """
    random = np.random.default_rng(seed)
    number = 1000 * seed
    for split, count in splits.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for at in range(count):
            number += 1
            name = f"{split}-{at:03d}"
            cv2.imwrite(str(folder / "images" / split / f"{name}{suffix}"), picture(number))
            if at >= background:
                rows = [row(random, decimals) for _ in range(int(random.integers(1, 5)))]
                (folder / "labels" / split / f"{name}.txt").write_text("".join(rows))
    content = {split: f"images/{split}" for split in splits} | {"nc": len(NAMES), "names": list(NAMES)}
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump({**content, **extra}, sort_keys=False))
    return path


def row(random: np.random.Generator, decimals: int = 6) -> str:
    """A box inside the picture, as a line of a label file."""
    width, height = random.uniform(0.1, 0.4, 2)
    across, down = (
        random.uniform(0.5 * width, 1 - 0.5 * width),
        random.uniform(0.5 * height, 1 - 0.5 * height),
    )
    values = " ".join(f"{value:.{decimals}f}" for value in (across, down, width, height))
    return f"{random.integers(len(NAMES))} {values}\n"


def alike(original: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture in other light, and the picture slightly cropped."""
    height, width = original.shape[:2]
    darker = (original * 0.9).astype(np.uint8)
    inner = original[2 : height - 2, 2 : width - 2]
    return darker, cv2.resize(inner, (width, height))

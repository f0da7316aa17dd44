"""The cache that a manifest asks for: what it will take, and what is told about it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vistrain_api.dataset import DetectionDataset
from vistrain_api.quantities import to_bytes
from vistrain_api.resources import Resources
from vistrain_trainer.data import shards
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.disk_cache import STOPPED, DiskCache, Stop
from vistrain_trainer.data.disk_store import DiskStore
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.memory_cache import MemoryStore
from vistrain_trainer.errors import BadInput

TRAINER_BYTES = 2 * 2**30
"""Memory that the trainer itself is taken to need beside a cache in memory."""

Note = Callable[[str], None]
Splits = list[tuple[str, FittedImages[CocoDetection]]]


class ImageCache:
    """What is kept of the images of a run's splits, if anything."""

    def __init__(
        self, dataset: DetectionDataset, resources: Resources, folder: Path | None, note: Note
    ) -> None:
        """Nothing is reserved yet.

        Args:
            dataset: the manifest's.
            resources: the manifest's; a cache in memory must fit into them.
            folder: where the caches on a disk lie; None where there is no disk for them.
            note: tells a person.
        """
        self._loader = dataset.loader
        self._budget = to_bytes(dataset.loader.cache_budget)
        self._resources = resources
        self._folder = folder
        self._note = note
        self._disk: DiskCache | None = None
        self._told = Stop.NONE

    def open(self, root: Path, splits: Splits) -> None:
        """Give the splits their stores, before workers are forked, and say what the cache takes.

        Args:
            root: the data set's folder.
            splits: with their image folders, relative to `root`; the first is served first.

        Raises:
            BadInput: a cache in memory does not fit.
        """
        if self._loader.cache == "memory":
            self._open_memory([images for _, images in splits])
        elif self._loader.cache == "disk" and self._folder is not None:
            self._open_disk(self._folder, root, splits)

    def tell(self) -> None:
        """Tell once that images are left out from now on, and why."""
        if self._disk is not None and self._disk.stopped != self._told:
            self._told = self._disk.stopped
            self._note(f"cache: {STOPPED[self._told]}; the images that it lacks are read directly")

    def _open_memory(self, splits: list[FittedImages[CocoDetection]]) -> None:
        wanted = sum(images.bytes for images in splits)
        taken = min(wanted, self._budget)
        stated = to_bytes(self._resources.memory)
        there = min(stated, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        needed = taken + to_bytes(self._resources.shared_memory) + TRAINER_BYTES
        if needed > there:
            raise BadInput(
                field="spec.resources.memory",
                value=self._resources.memory,
                problem=f"a cache of {_size(taken)} in memory, sharedMemory and {_size(TRAINER_BYTES)} for "
                f"the trainer take {_size(needed)}"
                + (f", and this machine has {_size(there)}" if there < stated else ""),
                remedy=f"Raise it to {needed // 2**30 + 1}Gi where there is as much, lower "
                "spec.dataset.loader.cacheBudget, or say spec.dataset.loader.cache: disk",
            )
        left, kept = self._budget, 0
        for images in splits:
            store = MemoryStore(images, left)
            images.keep_in(store)
            left -= store.bytes
            kept += store.capacity
        self._say(splits, wanted, f"memory: {_size(self._budget - left)}", kept)

    def _open_disk(self, caches: Path, root: Path, splits: Splits) -> None:
        images = [images for _, images in splits]
        wanted = sum(each.bytes for each in images)
        folder = caches / _identity(root, images[0])
        try:
            self._disk = DiskCache(folder, self._budget)
            stores = [DiskStore(self._disk, each, prefix) for prefix, each in splits]
        except OSError as error:
            self._note(f"no cache: {folder} cannot be made ({error.strerror}); every image is read directly")
            return
        for each, store in zip(images, stores, strict=True):
            each.keep_in(store)
        fitting = int(
            np.searchsorted(np.cumsum([n for each in images for n in each.lengths()]), self._budget, "right")
        )
        there = sum(store.kept for store in stores)
        where = (
            f"the checkpoint volume: {_size(min(wanted, self._budget))} in {folder}, {there} images are there"
        )
        self._say(images, wanted, where, fitting)

    def _say(self, splits: list[FittedImages[CocoDetection]], wanted: int, where: str, kept: int) -> None:
        count = sum(map(len, splits))
        part = (
            ""
            if kept >= count
            else (
                f"; of {count} images ({_size(wanted)}) {kept} fit into spec.dataset.loader.cacheBudget "
                f"{self._loader.cache_budget}, and the others are read directly"
            )
        )
        self._note(f"cache on {where}{part}")


def _identity(root: Path, images: FittedImages[CocoDetection]) -> str:
    """The folder of a data set at an input size. What decodes and resizes is part of it: bytes must be equal.

    The images' own state is looked at one by one (see `DiskStore`): a look at all takes long on some volumes.
    """
    libraries = [version("simplejpeg"), version("opencv-python-headless"), platform.machine()]
    what = [shards.VERSION, str(root.resolve()), images.height, images.width, *libraries]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:24]


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"

"""The images of one split in a folder of shards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.disk_cache import DiskCache
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.shards import SUFFIX, Entry, ShardPixels, Source, read_index

LOOK_SECONDS = 1.0
"""Least time between two looks for shards of other processes."""


class _Place(NamedTuple):
    """Where an image is, and the file that it was made from."""

    shard: int
    offset: int
    bytes: int
    modified: int


class DiskStore:
    """Reads and adds images of a split; an `ImageStore`.

    Every process looks once at each image file: an image whose file has another size or time than when it was
    kept is made anew.
    """

    def __init__(self, cache: DiskCache, images: FittedImages[CocoDetection], prefix: str) -> None:
        """Read the indices of the shards that there are.

        Args:
            cache: the folder of shards.
            images: the split.
            prefix: the split's image folder, relative to the data set's, by which splits share images.
        """
        self._cache = cache
        self._dataset = images.dataset
        self._prefix = prefix
        self._sizes = [images.size(index) for index in range(len(images))]
        self._index_of = {self._name(index): index for index in range(len(images))}
        # Arrays and no objects for each image: forked workers share their memory.
        self._places = np.full((len(images), len(_Place._fields)), -1, np.int64)
        self._others: dict[int, list[_Place]] = {}  # of files that were kept in more than one state
        self._files = np.full((len(images), 2), -1, np.int64)
        self._written = np.zeros(len(images), bool)
        self._shards: list[Path] = []
        self._known: set[str] = set()
        self._pixels: dict[int, ShardPixels] = {}
        self._looked = 0.0
        self._look()

    @property
    def kept(self) -> int:
        """Images that are in the cache, as far as this process knows."""
        return int((self._places[:, 0] >= 0).sum())

    def get(self, index: int) -> np.ndarray | None:
        """The image; None where it is not kept."""
        if not self._examine(index):
            return None
        place = self._place(index)
        if place is None and time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
            place = self._place(index)
        if place is None:
            return None
        try:
            pixels = self._pixels.get(place.shard)
            if pixels is None:
                pixels = self._pixels[place.shard] = ShardPixels(self._shards[place.shard])
        except OSError:  # somebody has removed the shard
            self._places[index] = -1
            return None
        return pixels.image(*self._sizes[index], place.offset)

    def put(self, index: int, image: np.ndarray) -> None:
        """Keep an image."""
        size, modified = self._files[index].tolist()
        if size >= 0 and not self._written[index]:
            self._written[index] = self._cache.append(Source(self._name(index), size, modified), image)

    def flush(self) -> None:
        """Publish what this process has put, and see what others have."""
        self._cache.flush()
        self._look()

    def _name(self, index: int) -> str:
        return f"{self._prefix}/{self._dataset.images[index].file_name}"

    def _examine(self, index: int) -> bool:
        """Note the file's state before it is read, so that pixels are never newer than what is noted."""
        if self._files[index, 0] < 0:
            try:
                source = Source.of(self._dataset.image_path(index), self._name(index))
            except OSError:
                return False
            self._files[index] = source.bytes, source.modified
        return True

    def _place(self, index: int) -> _Place | None:
        """Where the image of the file's present state is."""
        size, modified = self._files[index].tolist()
        places: list[_Place] = [_Place(*self._places[index].tolist()), *self._others.get(index, ())]
        return next((one for one in places if one.bytes == size and one.modified == modified), None)

    def _look(self) -> None:
        """Learn of shards that are new."""
        self._looked = time.monotonic()
        try:
            found = sorted(path for path in self._cache.folder.iterdir() if path.suffix == SUFFIX)
        except OSError:
            return
        for path in found:
            if path.name not in self._known:
                self._known.add(path.name)
                self._shards.append(path)
                for entry in read_index(path):
                    self._learn(len(self._shards) - 1, entry)

    def _learn(self, shard: int, entry: Entry) -> None:
        index = self._index_of.get(entry.source.name)
        if index is None or self._sizes[index] != (entry.height, entry.width):
            return
        place = _Place(shard, entry.offset, entry.source.bytes, entry.source.modified)
        if self._places[index, 0] < 0:
            self._places[index] = place
        elif self._places[index, 2:].tolist() != [place.bytes, place.modified]:
            self._others.setdefault(index, []).append(place)

"""Caches of fitted images: equal bytes, found again, bounded, and never in the way."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from support.coco_dataset import CLASSES, write_dataset
from support.yolox_task import make_manifest
from vistrain_trainer.data import disk_cache
from vistrain_trainer.data.augmentation import AugmentationSettings
from vistrain_trainer.data.cache import ImageCache
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.loader import TrainingBatch, evaluation_batches, training_batches
from vistrain_trainer.data.samples import TrainingSamples
from vistrain_trainer.data.shards import ShardWriter, Source, read_index
from vistrain_trainer.data.stream import Heights, SampleStream
from vistrain_trainer.errors import BadInput

HEIGHT, WIDTH = 96, 160
PICTURES = 12


class Site:
    """A data set, and caches of it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "data"
        self.caches = folder / ".vistrain-cache"
        self.notes: list[str] = []
        write_dataset(self.root, PICTURES)

    def open(self, cache: str, budget: str = "1Gi", **resources: Any) -> tuple[FittedImages, ImageCache]:
        """The images as a new process finds them."""
        dataset = make_manifest().spec.dataset.model_dump(by_alias=True, exclude_none=True)
        loader = {"workers": 0, "cache": cache, "cacheBudget": budget}
        base = {"accelerator": {"cpu": {}}, "cpu": 1, "memory": "4Gi", "sharedMemory": "1Gi"}
        spec = make_manifest(dataset=dataset | {"loader": loader}, resources=base | resources).spec
        images = FittedImages(
            CocoDetection(self.root / "annotations" / "train.json", self.root / "images", CLASSES),
            HEIGHT,
            WIDTH,
        )
        kept = ImageCache(spec.dataset, spec.resources, self.caches, self.notes.append)
        kept.open(self.root, [("images", images)])
        return images, kept

    def shards(self) -> list[Path]:
        return list(self.caches.glob("*/*.shard"))

    def partials(self) -> list[Path]:
        return list(self.caches.glob("*/partial-*"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def direct(site: Site) -> list[np.ndarray]:
    """The images without a cache."""
    images, _ = site.open("none")
    return [images.image(index) for index in range(PICTURES)]


def fill(images: FittedImages) -> None:
    for index in range(PICTURES):
        images.image(index)
    images.flush()


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: CocoDetection, index: int) -> np.ndarray:
        raise AssertionError(f"image {index} was decoded")

    monkeypatch.setattr(CocoDetection, "read_image", read)


def in_fork(do: Callable[[], object]) -> int:
    process = multiprocessing.get_context("fork").Process(target=do)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_what_one_process_has_decoded_others_have(
    site: Site, direct: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    images, _ = site.open(cache)
    assert in_fork(lambda: [images.image(index) for index in range(PICTURES)]) == 0
    images.flush()
    forbid_reading(monkeypatch)
    for index, expected in enumerate(direct):
        np.testing.assert_array_equal(images.image(index), expected)
        assert not images.image(index).flags.writeable


def test_a_disk_cache_is_found_by_the_next_attempt(
    site: Site, direct: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(site.open("disk")[0])
    again, _ = site.open("disk")
    assert f"{PICTURES} images are there" in site.notes[-1]
    forbid_reading(monkeypatch)
    for index, expected in enumerate(direct):
        np.testing.assert_array_equal(again.image(index), expected)


@given_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    recipe=st.builds(
        AugmentationSettings,
        mosaic=st.sampled_from([0.0, 0.5, 1.0]),
        mixup_probability=st.sampled_from([0.0, 1.0]),
        mixup_scale=st.tuples(st.floats(0.3, 1.0), st.floats(1.0, 2.0)),
        hsv_gains=st.sampled_from([None, (0.015, 0.7, 0.4)]),
        degrees=st.floats(0, 90),
        translate=st.floats(0, 1),
        shear=st.floats(0, 40),
        scale=st.tuples(st.floats(0.1, 1.0), st.floats(1.0, 3.0)),
    ),
    seed=st.integers(0, 2**32),
    heights=st.sampled_from([None, Heights(32, 192, 1)]),
)
def test_any_cache_gives_the_bytes_of_direct_decoding(
    cached: dict[str, FittedImages], recipe: AugmentationSettings, seed: int, heights: Heights | None
) -> None:
    stream = SampleStream(PICTURES, 2, seed, 1, 0, HEIGHT, WIDTH, heights)
    made = {
        name: list(training_batches(TrainingSamples(images, recipe, seed), stream, 0, 3))
        for name, images in cached.items()
    }
    for name in ("memory", "disk"):
        for batch, expected in zip(made[name], made["none"], strict=True):
            assert torch.equal(batch.images, expected.images), name
            assert torch.equal(batch.labels, expected.labels), name


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FittedImages]:
    site = Site(tmp_path_factory.mktemp("cached"))
    return {cache: site.open(cache)[0] for cache in ("none", "memory", "disk")}


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_workers_fill_a_cache_and_evaluation_is_served_by_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    def batches(images: FittedImages, workers: int) -> list[TrainingBatch]:
        samples = TrainingSamples(images, replace(AugmentationSettings(), mosaic=0.5), 0)
        stream = SampleStream(PICTURES, 3, 0, 2, 1, HEIGHT, WIDTH)
        with training_batches(samples, stream, 0, stream.total_steps, workers=workers) as made:
            return list(made)

    plain, _ = site.open("none")
    expected, expected_evaluation = batches(plain, 0), list(evaluation_batches(plain, 5))
    images, _ = site.open(cache)
    for batch, other in zip(batches(images, 2), expected, strict=True):
        assert torch.equal(batch.images, other.images)
    forbid_reading(monkeypatch)
    with evaluation_batches(images, 5, workers=1) as made:
        for found, wanted in zip(list(made), expected_evaluation, strict=True):
            assert torch.equal(found.images, wanted.images)
            assert found.ratios == wanted.ratios
    for batch, other in zip(batches(images, 2), expected, strict=True):
        assert torch.equal(batch.images, other.images)
    assert not site.partials()


def test_a_changed_picture_is_decoded_anew(site: Site) -> None:
    fill(site.open("disk")[0])
    picture = site.root / "images" / "003.png"
    kept = picture.with_suffix(".kept")
    shutil.copy2(picture, kept)
    other = np.full((*site.open("disk")[0].dataset.read_image(3).shape,), 9, np.uint8)
    cv2.imwrite(str(picture), other)
    images, _ = site.open("disk")
    assert (images.image(3) == 9).all()
    images.flush()
    assert (site.open("disk")[0].image(3) == 9).all()
    kept.rename(picture)  # the old picture with its old time: both are kept now
    np.testing.assert_array_equal(site.open("disk")[0].image(3), site.open("none")[0].image(3))


def test_another_size_is_another_cache(site: Site) -> None:
    fill(site.open("disk")[0])
    dataset = site.open("none")[0].dataset
    spec = make_manifest(
        dataset=make_manifest().spec.dataset.model_dump(by_alias=True, exclude_none=True)
        | {"loader": {"workers": 0, "cache": "disk"}}
    ).spec
    images = FittedImages(dataset, 64, 96)
    ImageCache(spec.dataset, spec.resources, site.caches, site.notes.append).open(
        site.root, [("images", images)]
    )
    assert "0 images are there" in site.notes[-1]
    assert len(list(site.caches.iterdir())) == 2


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_what_the_budget_does_not_hold_is_read_directly_and_told(
    site: Site, direct: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    budget = sum(image.nbytes for image in direct[:5]) + 2000
    images, kept = site.open(cache, budget=str(budget))
    assert "5 fit into spec.dataset.loader.cacheBudget" in site.notes[-1]
    fill(images)
    for index, expected in enumerate(direct):
        np.testing.assert_array_equal(images.image(index), expected)
    if cache == "disk":
        assert sum(path.stat().st_size for path in site.shards()) <= budget + 4096  # an index besides
        monkeypatch.setattr(disk_cache, "RETRY_SECONDS", -1.0)
        fill(images)
        kept.tell()
        kept.tell()
        told = [note for note in site.notes if "cacheBudget is used up" in note]
        assert len(told) == 1


def test_a_cache_in_memory_that_does_not_fit_names_the_memory(site: Site) -> None:
    with pytest.raises(BadInput) as caught:
        site.open("memory", memory="2Gi")
    assert caught.value.field == "spec.resources.memory"
    assert "in memory, sharedMemory and 2.0 GiB for the trainer take 3.0 GiB" in str(caught.value)
    assert "Raise it to 4Gi" in str(caught.value)


@pytest.mark.parametrize("at", ["write", "fsync"])
def test_a_full_disk_ends_the_building_and_not_the_run(
    site: Site, direct: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    images, kept = site.open("disk")
    if at == "write":
        monkeypatch.setattr(ShardWriter, "_write", full)
    else:
        monkeypatch.setattr(os, "fsync", full)
    fill(images)
    for index, expected in enumerate(direct):
        np.testing.assert_array_equal(images.image(index), expected)
    kept.tell()
    assert site.notes[-1] == "cache: the disk is full; the images that it lacks are read directly"
    assert not site.shards()
    assert not site.partials()


def test_the_last_room_of_a_volume_is_left_to_checkpoints(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "SHARD_BYTES", 2**60)
    images, kept = site.open("disk", budget="1000000Ti")
    fill(images)
    kept.tell()
    assert "left to checkpoints" in site.notes[-1]
    assert not site.shards()


def test_a_folder_that_cannot_be_made_is_told(site: Site, direct: list[np.ndarray]) -> None:
    site.caches.write_text("a file in the way")
    images, _ = site.open("disk")
    assert "cannot be made" in site.notes[-1]
    np.testing.assert_array_equal(images.image(0), direct[0])


def test_a_killed_builder_leaves_nothing_that_is_taken_for_whole(
    site: Site, direct: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        images, _ = site.open("disk")
        images.image(0)
        os._exit(9)

    assert in_fork(die) == 9
    assert len(site.partials()) == 1
    images, _ = site.open("disk")
    assert not site.partials()
    assert "0 images are there" in site.notes[-1]
    fill(images)
    forbid_reading(monkeypatch)
    np.testing.assert_array_equal(images.image(0), direct[0])


def test_of_two_runs_one_builds_and_both_read(
    site: Site, direct: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "RETRY_SECONDS", -1.0)
    first, _ = site.open("disk")
    first.image(0)

    def other() -> None:
        second, _ = site.open("disk")
        fill(second)
        assert len(site.shards()) == 0
        assert len(site.partials()) == 1

    assert in_fork(other) == 0
    first.flush()
    assert len(site.shards()) == 1


@pytest.mark.parametrize("cut", [1, 8, 16, 100, 10_000])
def test_a_torn_shard_is_no_shard(site: Site, direct: list[np.ndarray], cut: int) -> None:
    fill(site.open("disk")[0])
    (shard,) = site.shards()
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-cut])
    assert read_index(shard) == []
    shard.write_bytes(whole[cut:])
    assert len(read_index(shard)) < PICTURES or cut < 16
    shard.unlink()
    images, _ = site.open("disk")
    np.testing.assert_array_equal(images.image(5), direct[5])


def test_shards_are_published_when_they_are_full_or_old(
    site: Site, direct: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "SHARD_BYTES", sum(image.nbytes for image in direct[:4]))
    monkeypatch.setattr(disk_cache, "RETRY_SECONDS", -1.0)
    images, _ = site.open("disk")
    for index in range(PICTURES):
        images.image(index)
        if images._store._cache._publishing is not None:  # type: ignore[union-attr]
            images._store._cache._publishing.join()  # type: ignore[union-attr]
    assert len(site.shards()) >= 2
    monkeypatch.setattr(disk_cache, "SHARD_SECONDS", -1.0)
    images.flush()
    assert sorted(entry.source.name for path in site.shards() for entry in read_index(path)) == [
        f"images/{number:03d}.png" for number in range(PICTURES)
    ]


def test_a_source_is_told_by_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"123")
    before = Source.of(path, "a")
    assert before == Source("a", 3, path.stat().st_mtime_ns)
    os.utime(path, ns=(0, 5))
    assert Source.of(path, "a") == Source("a", 3, 5)

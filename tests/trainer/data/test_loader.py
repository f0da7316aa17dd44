"""Batches: equal bytes for any number of workers and any start; lost workers told."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from support.coco_dataset import CLASSES, write_dataset
from vistrain_trainer.data import loader as loader_module
from vistrain_trainer.data.augmentation import AugmentationSettings
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.letterbox import letterbox, padded_labels, to_planes
from vistrain_trainer.data.loader import TrainingBatch, evaluation_batches, training_batches
from vistrain_trainer.data.samples import TrainingSamples
from vistrain_trainer.data.stream import SampleKey, SampleStream
from vistrain_trainer.data.workers import explain_loss, memory_kills
from vistrain_trainer.errors import BadInput, LoaderWorkerLost

SETTINGS = AugmentationSettings(mosaic=0.7, mixup_probability=0.5, scale=(0.5, 1.5))
STREAM = SampleStream(images=12, batch_size=3, seed=4, epochs=3, no_aug_epochs=1, height=64, width=96)


@pytest.fixture(scope="module")
def dataset(dataset_folder: Path) -> CocoDetection:
    return CocoDetection(dataset_folder / "annotations" / "train.json", dataset_folder / "images", CLASSES)


@pytest.fixture(scope="module")
def samples(dataset: CocoDetection) -> TrainingSamples:
    return TrainingSamples(FittedImages(dataset, 64, 96), SETTINGS, seed=4)


@pytest.fixture(scope="module")
def reference(samples: TrainingSamples) -> list[TrainingBatch]:
    return list(training_batches(samples, STREAM, 0, STREAM.total_steps))


def assert_equal(batches: list[TrainingBatch], expected: list[TrainingBatch]) -> None:
    assert [batch.step for batch in batches] == [batch.step for batch in expected]
    for batch, other in zip(batches, expected, strict=True):
        assert batch.first_position == other.first_position
        assert torch.equal(batch.images, other.images)
        assert torch.equal(batch.labels, other.labels)


def test_a_batch_holds_the_samples_of_its_step(
    samples: TrainingSamples, reference: list[TrainingBatch]
) -> None:
    assert len(reference) == STREAM.total_steps == 12
    for step, batch in enumerate(reference):
        assert (batch.step, batch.first_position) == (step, step * 3)
        assert (batch.images.shape, batch.images.dtype) == ((3, 3, 64, 96), torch.uint8)
        assert (batch.labels.shape[::2], batch.labels.dtype) == ((3, 5), torch.float32)
        for row, key in enumerate(STREAM.keys_for_step(step)):
            image, labels, _ = samples[key]
            np.testing.assert_array_equal(batch.images[row], image)
            most = batch.labels.shape[1]
            np.testing.assert_array_equal(batch.labels[row], labels[:most])
            assert not labels[most:].any()
        assert (batch.labels[:, -1, 3] > 0).any()


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("start", [0, 1, 5, 11])
def test_workers_and_start_never_change_the_bytes(
    samples: TrainingSamples, reference: list[TrainingBatch], workers: int, start: int
) -> None:
    with training_batches(samples, STREAM, start, 12, workers=workers) as batches:
        assert len(batches) == 12 - start
        assert_equal(list(batches), reference[start:])
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_global_generators_do_not_matter_and_are_not_moved(
    samples: TrainingSamples, reference: list[TrainingBatch], workers: int
) -> None:
    torch.manual_seed(77)
    np.random.seed(77)
    before = torch.get_rng_state()
    with training_batches(samples, STREAM, 0, 12, workers=workers) as batches:
        assert_equal(list(batches), reference)
    assert torch.equal(torch.get_rng_state(), before)


def test_workers_outlive_signals_to_the_process_group(
    samples: TrainingSamples, reference: list[TrainingBatch]
) -> None:
    with training_batches(samples, STREAM, 0, 12, workers=2) as batches:
        got = [next(batches)]
        workers = multiprocessing.active_children()
        assert len(workers) == 2
        for worker in workers:
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(worker.pid or 0, number)
        got += batches
    assert_equal(got, reference)


def test_a_stuck_worker_is_ended_at_close(samples: TrainingSamples, monkeypatch: pytest.MonkeyPatch) -> None:
    main = os.getpid()
    write = TrainingSamples.write

    def stuck(self: TrainingSamples, key: SampleKey, out: np.ndarray) -> object:
        if os.getpid() != main and key.position > 2:
            signal.pause()
        return write(self, key, out)

    monkeypatch.setattr(TrainingSamples, "write", stuck)
    batches = training_batches(samples, STREAM, 0, 12, workers=1)
    next(batches)
    (worker,) = multiprocessing.active_children()
    batches.close()
    worker.join(5)
    assert worker.exitcode == -signal.SIGKILL


def test_the_main_process_keeps_its_signals(samples: TrainingSamples) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    with training_batches(samples, STREAM, 0, 12, workers=1):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == before


def test_pythons_child_handler_stays_as_it_was(samples: TrainingSamples) -> None:
    def handler(number: int, frame: object) -> None:
        pass

    before = signal.signal(signal.SIGCHLD, handler)
    try:
        with training_batches(samples, STREAM, 0, 12, workers=1):
            assert signal.getsignal(signal.SIGCHLD) is handler
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize(("kills", "out_of_memory"), [((0, 1), True), ((2, 2), False), ((None, None), True)])
def test_a_killed_worker_is_told_with_the_reason(
    samples: TrainingSamples,
    monkeypatch: pytest.MonkeyPatch,
    kills: tuple[int | None, int | None],
    out_of_memory: bool,
) -> None:
    counts = iter(kills)
    monkeypatch.setattr(loader_module, "memory_kills", lambda: next(counts))
    with training_batches(samples, STREAM, 0, 12, workers=1) as batches:
        next(batches)
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid or 0, signal.SIGKILL)
        with pytest.raises(LoaderWorkerLost, match=f"pid {worker.pid}: killed by SIGKILL") as caught:
            list(batches)
    assert caught.value.out_of_memory is out_of_memory


@pytest.mark.parametrize(
    ("exit_code", "out_of_memory", "message"),
    [
        (-signal.SIGBUS, True, "raise spec.resources.sharedMemory"),
        (-signal.SIGSEGV, False, "killed by SIGSEGV"),
        (3, False, "exit code 3"),
    ],
)
def test_the_reason_is_read_from_the_exit_code(exit_code: int, out_of_memory: bool, message: str) -> None:
    workers = [SimpleNamespace(pid=7, exitcode=exit_code), SimpleNamespace(pid=8, exitcode=None)]
    error = explain_loss(workers, 1, 1)  # type: ignore[arg-type]
    assert error.out_of_memory is out_of_memory
    assert message in str(error)
    assert "pid 8" not in str(error)


def test_kills_for_memory_are_read_from_the_cgroup(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    assert memory_kills(events) is None
    events.write_text("low 0\nhigh 3\nmax 12\noom 2\noom_kill 2\noom_group_kill 0\n")
    assert memory_kills(events) == 2
    events.write_text("nonsense")
    assert memory_kills(events) is None


@pytest.mark.parametrize("workers", [0, 2])
def test_a_missing_picture_is_bad_input_also_from_a_worker(tmp_path: Path, workers: int) -> None:
    path = write_dataset(tmp_path / "gap")
    data = CocoDetection(path, tmp_path / "gap" / "images", CLASSES)
    (tmp_path / "gap" / "images" / "005.png").unlink()
    samples = TrainingSamples(FittedImages(data, 64, 96), AugmentationSettings.none(), 0)
    with (
        training_batches(samples, STREAM, 0, 12, workers=workers) as batches,
        pytest.raises(BadInput, match="image 105 cannot be read") as caught,
    ):
        list(batches)
    assert caught.value.field == "spec.dataset.train.images"
    assert caught.value.value == str(tmp_path / "gap" / "images" / "005.png")
    assert not multiprocessing.active_children()


def test_a_fault_of_ours_keeps_its_kind(
    dataset: CocoDetection, samples: TrainingSamples, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(TrainingSamples, "write", fail)
    with training_batches(samples, STREAM, 0, 12, workers=1) as batches, pytest.raises(ZeroDivisionError):
        next(batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_no_steps_are_no_batches(samples: TrainingSamples, workers: int) -> None:
    assert list(training_batches(samples, STREAM, 4, 4, workers=workers)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_goes_through_all_images_in_order(dataset: CocoDetection, workers: int) -> None:
    with evaluation_batches(FittedImages(dataset, 64, 96), 5, workers=workers) as batches:
        got = list(batches)
    assert [len(batch.image_ids) for batch in got] == [5, 5, 2]
    assert [number for batch in got for number in batch.image_ids] == [image.id for image in dataset.images]
    index = 0
    for batch in got:
        most = max(len(dataset.labels(at)) for at in range(index, index + len(batch.image_ids)))
        for row in range(len(batch.image_ids)):
            picture = dataset.read_image(index)
            canvas, ratio = letterbox(picture, 64, 96)
            np.testing.assert_array_equal(batch.images[row], to_planes(canvas))
            assert batch.ratios[row] == ratio
            assert batch.sizes[row] == picture.shape[:2]
            boxes = dataset.labels(index) * np.array([ratio] * 4 + [1], np.float32)
            np.testing.assert_allclose(batch.labels[row], padded_labels(boxes, most), rtol=1e-6)
            index += 1

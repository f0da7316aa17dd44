"""Batches for training and evaluation, made ahead by worker processes."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.letterbox import pad_around, padded_labels
from vistrain_trainer.data.samples import TrainingSamples
from vistrain_trainer.data.stream import SampleStream
from vistrain_trainer.data.workers import explain_loss, memory_kills, prepare_worker
from vistrain_trainer.errors import BadInput

Batch = TypeVar("Batch")


class TrainingBatch(NamedTuple):
    """One step's samples."""

    images: torch.Tensor
    """(B, 3, H, W) uint8, BGR, channels last in memory, as decoded and as convolutions like them."""
    labels: torch.Tensor
    """(B, n, 5) float32 rows cls, cx, cy, w, h in input pixels; zero after the last; n is the most boxes of
    an image here, at least 1."""
    first_position: int
    """Place of the first sample in the stream."""
    step: int
    """The global step that the batch is for."""


class EvaluationBatch(NamedTuple):
    """Consecutive images, letterboxed."""

    images: torch.Tensor
    """(B, 3, H, W) uint8, BGR, channels last in memory."""
    ratios: list[float]
    """Input pixels per image pixel: a box of the image is the box of the input divided by it."""
    image_ids: list[int]
    sizes: list[tuple[int, int]]
    """(height, width) of the images."""
    labels: torch.Tensor
    """(B, n, 5) float32 as in training."""


class BatchIterator(Generic[Batch]):
    """Batches in order; workers run from its making until `close`, the end, or the end of its `with` block.

    Workers are forked: the start costs milliseconds instead of the seconds of a fresh import of PyTorch, and
    the annotations are shared. They touch no CUDA. One set of workers serves all epochs.
    """

    def __init__(
        self,
        make: Callable[[int], Batch],
        count: range,
        workers: int,
        pin_memory: bool,
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self._count = len(count)
        self._flush = flush if workers == 0 else lambda: None  # workers flush as they end
        flush()
        self._workers: list[Any] = []
        self._kills = memory_kills()
        before = set(multiprocessing.active_children())
        with warnings.catch_warnings(), _undisturbed_start():
            # More workers than cores is the manifest's choice.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            loader = DataLoader(
                _Made(make),
                batch_size=None,
                sampler=count,
                collate_fn=_unchanged,
                num_workers=min(workers, len(count)),
                pin_memory=pin_memory,
                worker_init_fn=prepare_worker,
                multiprocessing_context="fork" if workers and len(count) else None,
                generator=torch.Generator(),  # else PyTorch draws from the global one
            )
            self._batches: Iterator[Any] | None = iter(loader)
        self._workers = [child for child in multiprocessing.active_children() if child not in before]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> BatchIterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            BadInput: an image is missing or broken.
            LoaderWorkerLost: a worker died.
        """
        if self._batches is None:
            raise StopIteration
        try:
            batch: Any = next(self._batches)
        except StopIteration:
            self.close()
            raise
        except (RuntimeError, OSError, EOFError) as error:
            # One that dies while it hands over a batch breaks the connection before its end is known.
            patience = 0 if isinstance(error, RuntimeError) else 5
            ended = wait([worker.sentinel for worker in self._workers], patience)
            if not ended:
                raise
            for worker in self._workers:
                if worker.sentinel in ended:  # its files are closed; its exit code comes a moment later
                    worker.join(5)
            raise explain_loss(self._workers, self._kills, memory_kills()) from error
        if isinstance(batch, _Refused):
            self.close()
            raise BadInput(field=batch.field, value=batch.value, problem=batch.problem, remedy=batch.remedy)
        made: Batch = batch
        return made

    def __enter__(self) -> BatchIterator[Batch]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; afterwards there are no more batches. May be called again."""
        self._batches = None  # the last reference: PyTorch's iterator ends and joins its workers
        for worker in self._workers:
            # Stuck, say on a dead network volume, and deaf to SIGTERM: Python would wait for it at its exit.
            if worker.is_alive():
                worker.kill()
        self._workers = []
        self._flush()


def training_batches(
    samples: TrainingSamples,
    stream: SampleStream,
    from_step: int,
    to_step: int,
    *,
    workers: int = 0,
    pin_memory: bool = False,
) -> BatchIterator[TrainingBatch]:
    """The batches of steps ``from_step`` up to, not including, ``to_step``.

    The bytes of a batch depend on the stream, the samples' seed and settings, and the step; not on the number
    of workers nor on the step that was started from.
    """

    def make(step: int) -> TrainingBatch:
        keys = stream.keys_for_step(step)
        images = _pictures(len(keys), keys[0].height, keys[0].width)
        boxes = [samples.write(key, images.numpy()[place]) for place, key in enumerate(keys)]
        most = max(1, *map(len, boxes))
        return TrainingBatch(
            images=images.permute(0, 3, 1, 2),
            labels=torch.from_numpy(np.stack([padded_labels(each, most) for each in boxes])),
            first_position=keys[0].position,
            step=step,
        )

    return BatchIterator(make, range(from_step, to_step), workers, pin_memory, samples.flush)


def evaluation_batches(
    source: FittedImages[Any],
    batch_size: int,
    *,
    workers: int = 0,
    pin_memory: bool = False,
) -> BatchIterator[EvaluationBatch]:
    """All images in the order of the dataset, letterboxed to the base size; the last batch may be smaller."""
    dataset = source.dataset

    def make(number: int) -> EvaluationBatch:
        chosen = range(number * batch_size, min((number + 1) * batch_size, len(dataset)))
        most = max(1, *(len(dataset.labels(index)) for index in chosen))
        images = _pictures(len(chosen), source.height, source.width)
        labels = []
        for place, index in enumerate(chosen):
            image = source.image(index)
            canvas = images.numpy()[place]
            canvas[: image.shape[0], : image.shape[1]] = image
            pad_around(canvas, *image.shape[:2])
            boxes = dataset.labels(index).copy()
            boxes[:, :4] *= source.ratio(index)
            labels.append(padded_labels(boxes, most))
        records = [dataset.images[index] for index in chosen]
        return EvaluationBatch(
            images=images.permute(0, 3, 1, 2),
            ratios=[source.ratio(index) for index in chosen],
            image_ids=[record.id for record in records],
            sizes=[(record.height, record.width) for record in records],
            labels=torch.from_numpy(np.stack(labels)),
        )

    return BatchIterator(make, range(-(-len(dataset) // batch_size)), workers, pin_memory, source.flush)


def _pictures(count: int, height: int, width: int) -> torch.Tensor:
    """An empty (count, height, width, 3) uint8 tensor; in a worker where the main process can map it."""
    shape = (count, height, width, 3)
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    # As PyTorch's own collation does it: filled where it is, not copied there when it is handed over.
    shared = torch.UntypedStorage._new_shared(count * height * width * 3, device="cpu")  # type: ignore[no-untyped-call]
    return torch.empty(0, dtype=torch.uint8).set_(shared).view(shape)


class _Refused(NamedTuple):
    """A BadInput on its way out of a worker; PyTorch would rebuild the exception from its text alone."""

    field: str
    value: str
    problem: str
    remedy: str


class _Made(Dataset[Any]):
    """Map-style dataset whose items are whole batches."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make

    def __getitem__(self, number: int) -> Any:
        try:
            return self._make(number)
        except BadInput as error:
            return _Refused(error.field, str(error.value), error.problem, error.remedy)


def _unchanged(batch: Any) -> Any:
    return batch


@contextmanager
def _undisturbed_start() -> Iterator[None]:
    """Start workers without a gap in what they ignore, and without a trace in the main process.

    SIGTERM and SIGINT wait until the workers are forked, which keep them blocked. PyTorch's SIGCHLD handler
    is undone: it raises wherever the main thread is, be it in the midst of a save. A dead worker is found
    when its batch is asked for, at most five seconds later.
    """
    child_handler = signal.getsignal(signal.SIGCHLD)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, child_handler if child_handler is not None else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

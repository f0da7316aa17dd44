"""Work that is done beside the rest, by a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from vistrain_trainer.errors import VistrainError

Result = TypeVar("Result")


@contextlib.contextmanager
def beside(
    work: Callable[..., Result], *arguments: Any, process: bool = True
) -> Iterator[Callable[[], Result]]:
    """Begin the work, and give what waits for its result or raises what it raised.

    Who leaves without waiting, by an error or an interruption, ends the process at once. It ends by itself
    when its parent was killed.

    Args:
        process: otherwise a thread does it, which begins sooner.

    Raises:
        MemoryError: of the wait: the process was killed.
    """
    if not process:
        with ThreadPoolExecutor(1) as threads:
            yield threads.submit(work, *arguments).result
        return
    context = multiprocessing.get_context("spawn")  # this process may have threads, which a fork would lose
    here, there = context.Pipe()
    child = context.Process(target=_serve, args=(there,), daemon=True)
    child.start()
    there.close()
    # The child takes what it is to do once it is up, which nobody need wait for.
    telling = threading.Thread(target=_tell, args=(here, (work, arguments)), daemon=True)
    telling.start()
    try:
        yield lambda: _result(here, child)
    finally:
        child.kill()
        child.join()
        telling.join()
        here.close()


def follow_parent() -> None:
    """Leave interruption to the parent, and end when it ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _tell(connection: Connection, task: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    with contextlib.suppress(OSError):  # the child is gone, which the wait tells
        connection.send(task)


def _serve(connection: Connection) -> None:
    follow_parent()
    work, arguments = connection.recv()
    answer: tuple[Any, Exception | None]
    try:
        answer = work(*arguments), None
    except Exception as error:
        if not isinstance(error, VistrainError):
            error.add_note(traceback.format_exc())
        answer = None, error
    _send(connection, answer)


def _result(connection: Connection, child: BaseProcess) -> Any:
    try:
        value, error = _receive(connection)
    except (EOFError, OSError):
        child.join()
        if child.exitcode == -signal.SIGKILL:
            raise MemoryError("a process was killed, most likely because memory ran out") from None
        raise RuntimeError(f"a process ended with exit code {child.exitcode}") from None
    if error is not None:
        raise error
    return value


def _send(connection: Connection, value: object) -> None:
    """Send arrays as they lie in memory: pickled, they would lie there twice."""
    arrays: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    parts = [array.raw() for array in arrays]
    connection.send((head, [part.nbytes for part in parts]))
    for part in parts:
        connection.send_bytes(part)


def _receive(connection: Connection) -> Any:
    head, sizes = connection.recv()
    parts = [bytearray(size) for size in sizes]
    for part in parts:
        connection.recv_bytes_into(part)
    return pickle.loads(head, buffers=parts)

"""A file of TensorBoard events.

The records are TensorFlow's: length, checksum of the length, content, checksum of the content. TensorBoard's
own writer would import its file system layer for them, which takes longer than all the rest; the messages are
TensorBoard's.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from types import TracebackType

_REFLECTED_CASTAGNOLI = 0x82F63B78


class Image(NamedTuple):
    """A picture as a file of JPEG or PNG holds it."""

    content: bytes
    height: int
    width: int


class EventFile:
    """Writes one file from its beginning; a file of that name is replaced."""

    def __init__(self, path: Path, wall_time: float, *, restart: bool) -> None:
        """Begin the file.

        Args:
            path: its name has to contain `tfevents`.
            wall_time: seconds since 1970, of the first event.
            restart: tell readers to forget what older files of the folder said.
        """
        self._file = path.open("wb")
        self._write(wall_time, 0, file_version="brain.Event:2")
        if restart:
            self.restart(wall_time)

    def restart(self, wall_time: float) -> None:
        """Tell readers to forget everything that the folder said before."""
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._write(wall_time, 0, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, wall_time: float, step: int, values: Mapping[str, float]) -> None:
        """Add a value to each of several curves."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary()
        for tag, value in values.items():
            summary.value.add(tag=tag, simple_value=value)
        self._write(wall_time, step, summary=summary)

    def image(self, wall_time: float, step: int, tag: str, image: Image) -> None:
        """Add a picture."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary()
        value = summary.value.add(tag=tag)
        value.image.height, value.image.width, value.image.colorspace = image.height, image.width, 3
        value.image.encoded_image_string = image.content
        self._write(wall_time, step, summary=summary)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, wall_time: float, step: int, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        data = Event(wall_time=wall_time, step=step, **content).SerializeToString()
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated and shifted as TFRecord has it."""
    table = _table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@functools.cache
def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        rest = byte
        for _ in range(8):
            rest = rest >> 1 ^ (_REFLECTED_CASTAGNOLI if rest & 1 else 0)
        found.append(rest)
    return tuple(found)

"""Rows of a JSON table, read in chunks: a table of a gigabyte takes some megabytes of memory."""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from vistrain_trainer.errors import BadInput

CHUNK = 2 << 20
"""Bytes read at once; more is no faster, since the rows of a chunk no longer fit the processor's cache."""
_BORDER = re.compile(rb"\}\s*,\s*\{")
_TAIL = 1 << 16
"""Bytes at the end of a chunk that hold a border between rows, unless a row is longer."""

_PLACE = re.compile(r"\(byte (\d+)\)")
_TOKEN = re.compile(rb'"token"\s*:\s*"([^"]*)"')
_SHOWN = 16
"""Bytes on either side of what is no JSON that a message shows."""
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])

Row = TypeVar("Row")


def table_rows(path: Path, row: type[Row]) -> Iterator[list[Row]]:
    """Yield the rows of a table, some thousands at a time, in the file's order.

    Raises:
        BadInput: the file is missing or truncated, or a row lacks what is asked of it; names file and token.
    """
    decoder = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
    try:
        with path.open("rb") as file:
            yield from _chunks(path, file, decoder)
    except FileNotFoundError:
        raise BadInput(
            field="--root",
            value=str(path),
            problem="the table is not there",
            remedy="Copy it again: every version's folder holds 13 tables",
        ) from None
    except OSError as error:
        raise BadInput(
            field="--root",
            value=str(path),
            problem=f"the table cannot be read: {error.strerror}",
            remedy="Make it readable, or copy it again",
        ) from error


def _chunks(path: Path, file: BinaryIO, decoder: msgspec.json.Decoder[list[Row]]) -> Iterator[list[Row]]:
    """A border may lie inside a string. Then what is before it ends too early, and more is read to it."""
    text, size, first = b"", CHUNK, True
    while True:
        read = file.read(size)
        text += read
        if len(read) < size:  # the end of the file
            try:
                rows = _decoded(path, text if first else b"[" + text, decoder)
            except _TooShort:
                raise _no_list(path, "it ends too early", "it was most likely cut short") from None
            yield rows
            return
        border = _last_border(text)
        if border is None:
            size *= 2
            continue
        head = text[: border[0]] + b"]"
        try:
            rows = _decoded(path, head if first else b"[" + head, decoder)
        except _TooShort:
            size *= 2
            continue
        yield rows
        text, size, first = text[border[1] :], CHUNK, False


def _last_border(text: bytes) -> tuple[int, int] | None:
    """Where the last row but one ends, and where the last begins."""
    for start in (max(0, len(text) - _TAIL), 0):
        borders = deque(_BORDER.finditer(text, start), maxlen=1)
        if borders:
            return borders[0].start() + 1, borders[0].end() - 1
    return None


def _decoded(path: Path, text: bytes, decoder: msgspec.json.Decoder[list[Row]]) -> list[Row]:
    """Decode a list of rows.

    Raises:
        _TooShort: it ends inside a row.
        BadInput: a row is wrong, or what is between rows.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _wrong_value(path, text, decoder, error) from None
    except msgspec.DecodeError as error:
        place = _PLACE.search(str(error))
        if place is None or int(place[1]) >= len(text) - 1:
            raise _TooShort from None
        raise _wrong_text(path, text, int(place[1])) from None
    except UnicodeDecodeError as error:  # it tells of one string
        raise _wrong_text(path, text, text.find(error.object) + error.start) from None


class _TooShort(Exception):
    """The text ends before what it began."""


def _wrong_value(
    path: Path, text: bytes, decoder: msgspec.json.Decoder[list[Row]], error: msgspec.ValidationError
) -> BadInput:
    """What is wrong in the first row that is not as it should be."""
    with contextlib.suppress(msgspec.ValidationError):
        for row in _ROWS.decode(text):
            try:
                decoder.decode(b"[" + row + b"]")
            except msgspec.ValidationError as wrong:
                return _no_row(path, bytes(row), str(wrong).replace("`$[0].", "`"))
    return _no_list(path, str(error), "it is of another table, or damaged")


def _wrong_text(path: Path, text: bytes, at: int) -> BadInput:
    """What is no JSON at a place: Python writes NaN, for example."""
    found = text[max(0, at - _SHOWN) : at + _SHOWN].decode(errors="replace")
    borders = [0, *(border.start() + 1 for border in _BORDER.finditer(text)), len(text)]
    start = borders[bisect_right(borders, at) - 1]
    end = borders[bisect_right(borders, at)]
    return _no_row(path, text[start:end], f"there is no JSON in the middle of {found!r}")


def _no_row(path: Path, row: bytes, problem: str) -> BadInput:
    token = _TOKEN.search(row)
    return BadInput(
        field="--root",
        value=str(path),
        problem=f"the row of token {token[1].decode(errors='replace') if token else 'none'}: {problem}",
        remedy="Copy the table again, or mend that row",
    )


def _no_list(path: Path, problem: str, cause: str) -> BadInput:
    return BadInput(
        field="--root",
        value=str(path),
        problem=f"the table is no whole JSON list: {problem}",
        remedy=f"Copy it again: {cause}",
    )

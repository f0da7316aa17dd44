"""Rows of a JSON table, read in chunks: a table of a gigabyte takes some megabytes of memory."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

import msgspec

from vistrain_trainer.errors import BadInput

CHUNK = 2 << 20
"""Bytes read at once; more is no faster, since the rows of a chunk no longer fit the processor's cache."""
_BORDER = re.compile(rb"\}\s*,\s*\{")
_TAIL = 1 << 16
"""Bytes at the end of a chunk that hold a border between rows, unless a row is longer."""

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
    """A border may lie inside a string. Then what is before it does not decode, and more is read to it."""
    text, size, first = b"", CHUNK, True
    while True:
        read = file.read(size)
        text += read
        if len(read) < size:  # the end of the file
            yield _decoded(path, text if first else b"[" + text, decoder)
            return
        border = _last_border(text)
        if border is None:
            size *= 2
            continue
        head = text[: border[0]] + b"]"
        try:
            rows = decoder.decode(head if first else b"[" + head)
        except msgspec.ValidationError as error:
            _refuse_row(path, head if first else b"[" + head, decoder, error)
        except msgspec.DecodeError:
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
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        _refuse_row(path, text, decoder, error)
    except msgspec.DecodeError as error:
        raise BadInput(
            field="--root",
            value=str(path),
            problem=f"the table is no whole JSON list: {error}",
            remedy="Copy it again: it was most likely cut short",
        ) from None


def _refuse_row(
    path: Path, text: bytes, decoder: msgspec.json.Decoder[list[Row]], error: msgspec.ValidationError
) -> NoReturn:
    """Raise BadInput that names the first wrong row by its token."""
    rows: Any = msgspec.json.decode(text)
    where = ""
    for row in rows if isinstance(rows, list) else ():
        try:
            decoder.decode(msgspec.json.encode([row]))
        except msgspec.ValidationError as wrong:
            token = row.get("token", "none") if isinstance(row, dict) else "none"
            where, error = f"the row of token {token}: ", wrong
            break
    raise BadInput(
        field="--root",
        value=str(path),
        problem=f"{where}{str(error).replace('`$[0].', '`')}",
        remedy="Copy the table again, or mend that row",
    ) from None

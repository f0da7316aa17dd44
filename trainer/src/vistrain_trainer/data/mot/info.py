"""seqinfo.ini and seqmaps: what a sequence is, and which belong to a split."""

from __future__ import annotations

import configparser
import csv
import math
from dataclasses import dataclass
from pathlib import Path

from vistrain_trainer.data.mot.rows import read_content
from vistrain_trainer.errors import BadInput

INFO = "seqinfo.ini"
_SECTION = "Sequence"


@dataclass(frozen=True)
class SequenceInfo:
    """What seqinfo.ini states."""

    name: str
    image_folder: str
    """Relative to the sequence."""
    frame_rate: float
    """Nominal frames per second."""
    length: int
    """Frames."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    image_suffix: str
    """Such as .jpg."""


def read_info(path: Path) -> SequenceInfo:
    """Read a seqinfo.ini.

    Raises:
        BadInput: it cannot be read, or a value is missing or out of bounds.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_content(path).decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        raise _fault(path, str(error).splitlines()[0], "it is no file of names and values") from error
    if not parser.has_section(_SECTION):
        raise _fault(path, ", ".join(parser.sections()), f"there is no section [{_SECTION}]")
    values = parser[_SECTION]
    return SequenceInfo(
        name=_text(path, values, "name"),
        image_folder=_text(path, values, "imDir"),
        frame_rate=_above_zero(path, values, "frameRate"),
        length=_whole(path, values, "seqLength"),
        width=_whole(path, values, "imWidth"),
        height=_whole(path, values, "imHeight"),
        image_suffix=_text(path, values, "imExt"),
    )


def read_seqmap(path: Path) -> tuple[str, ...]:
    """Names of sequences: one a line, after the line `name`.

    Raises:
        BadInput: it cannot be read, does not begin so, or names none, or one twice.
    """
    try:
        lines = [row[0].strip() for row in csv.reader(read_content(path).decode().splitlines()) if row]
    except UnicodeDecodeError as error:
        raise _fault(path, str(error), "it is not a text in UTF-8") from error
    if not lines or lines[0] != "name":
        raise _fault(path, lines[0] if lines else "nothing", "its first line is not `name`")
    seen: set[str] = set()
    for number, name in enumerate(lines[1:], start=2):
        if not name or "/" in name or name in seen:
            problem = "the sequence is named twice" if name in seen else "it is no name of a folder"
            raise _fault(Path(f"{path}:{number}"), name, problem)
        seen.add(name)
    if not seen:
        raise _fault(path, "name", "it names no sequence")
    return tuple(lines[1:])


def _text(path: Path, values: configparser.SectionProxy, name: str) -> str:
    value = values.get(name, "").strip()
    if not value:
        raise _fault(path, "nothing", f"{name} is not stated")
    return value


def _above_zero(path: Path, values: configparser.SectionProxy, name: str) -> float:
    text = _text(path, values, name)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise _fault(path, text, f"{name} is not a number above 0")
    return value


def _whole(path: Path, values: configparser.SectionProxy, name: str) -> int:
    value = _above_zero(path, values, name)
    if value != int(value):
        raise _fault(path, values[name], f"{name} is not a whole number")
    return int(value)


def _fault(path: Path, value: str, problem: str) -> BadInput:
    return BadInput(
        field=str(path), value=value, problem=problem, remedy="Correct the file, or prepare the data again"
    )

"""Lines of numbers with commas between."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from vistrain_trainer.errors import BadInput

_LARGEST = 2**31 - 1


class Rows:
    """The lines of a file as numbers: every line has as many, and blank lines count for nothing."""

    def __init__(self, path: Path, what: str, columns: range) -> None:
        """Read a file.

        Args:
            path: of the file.
            what: that a line is made of, for messages.
            columns: how many numbers a line may have.

        Raises:
            BadInput: it cannot be read, or a line is not such numbers.
        """
        self.path = path
        self._what = what
        self._lines = [
            (number, line)
            for number, line in enumerate(read_content(path).split(b"\n"), start=1)
            if line.strip()
        ]
        self.values = self._parsed(columns)
        """(n, columns) float64."""

    def __len__(self) -> int:
        return len(self.values)

    def require(self, holds: np.ndarray, column: int, problem: str) -> None:
        """Refuse the first row for which something does not hold.

        Args:
            holds: (n,) bool.
            column: the number that is at fault, from 0.
            problem: what is wrong with it.

        Raises:
            BadInput: with the line and the number as the file has it.
        """
        if not holds.all():
            row = int(np.argmin(holds))
            number, line = self._lines[row]
            raise self._fault(number, line.split(b",")[column], problem)

    def whole(self, column: int, name: str, least: int, most: int | None = None) -> np.ndarray:
        """(n,) int64: a column of whole numbers within bounds.

        Raises:
            BadInput: one is not.
        """
        values = self.values[:, column]
        bound = f"at least {least}" if most is None else f"{least} to {most}"
        within = (values >= least) & (values <= (_LARGEST if most is None else most))
        self.require(within & (values == np.floor(values)), column, f"{name} is not a whole number, {bound}")
        return values.astype(np.int64)

    def _parsed(self, columns: range) -> np.ndarray:
        if not self._lines:
            return np.zeros((0, columns[-1]))
        text = io.BytesIO(b"\n".join(line for _, line in self._lines))
        try:
            values = np.loadtxt(text, delimiter=",", ndmin=2, comments=None)
        except ValueError:
            values = None
        if values is not None and values.shape[1] in columns and np.isfinite(values).all():
            return values
        raise self._first_fault(columns)

    def _first_fault(self, columns: range) -> BadInput:
        wanted = f"{columns[0]}" if len(columns) == 1 else f"{columns[0]} to {columns[-1]}"
        expected = self._lines[0][1].count(b",") + 1
        for number, line in self._lines:
            cells = line.split(b",")
            if len(cells) not in columns:
                return self._fault(number, line, f"it has {len(cells)} values, not {wanted}: {self._what}")
            if len(cells) != expected:
                return self._fault(number, line, f"it has {len(cells)} values, the lines before {expected}")
            for cell in cells:
                if not _is_finite(cell):
                    return self._fault(number, cell, "it is not a finite number")
        return self._fault(1, self._lines[0][1], f"the lines are not {wanted} numbers each: {self._what}")

    def _fault(self, line: int, value: bytes, problem: str) -> BadInput:
        return BadInput(
            field=f"{self.path}:{line}",
            value=value.decode(errors="backslashreplace").strip() or "nothing",
            problem=problem,
            remedy="Correct the line, or write the file again; it may be cut short or of another format",
        )


def read_content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            field=str(path),
            value=path.name,
            problem="it does not exist" if isinstance(error, FileNotFoundError) else f"{error.strerror}",
            remedy="Name the folder of a sequence, or write it again",
        ) from error


def _is_finite(cell: bytes) -> bool:
    try:
        return b"_" not in cell and bool(np.isfinite(float(cell)))
    except ValueError:
        return False

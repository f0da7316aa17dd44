"""One type of table, written as Markdown, CSV, JSON or LaTeX."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass

from vistrain_trainer.reporting.wording import number

Cell = str | int | float | None

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "–": "--",
    "…": r"\ldots{}",
}
_MINUS = re.compile(r"^-(?=\d)")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    key: str
    """Name in CSV and JSON."""
    heading: str
    """What a person reads, with the unit."""
    digits: int = 4
    """Significant digits that a person is shown; CSV and JSON keep every one."""


@dataclass(frozen=True)
class Table:
    """Rows of cells; a cell without a value is none, and so is a number that is not finite."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        keys = [column.key for column in self.columns]
        if len(set(keys)) != len(keys):
            raise ValueError(f"{self.title}: two columns bear the same key ({', '.join(keys)})")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {len(row)} cells for {len(self.columns)} columns")
        rows = tuple(tuple(_finite(cell) for cell in row) for row in self.rows)
        object.__setattr__(self, "rows", rows)

    def filled(self) -> Table:
        """Without the columns that have no value in any row."""
        kept = [
            place for place in range(len(self.columns)) if any(row[place] is not None for row in self.rows)
        ]
        rows = tuple(tuple(row[place] for place in kept) for row in self.rows)
        return Table(self.title, tuple(self.columns[place] for place in kept), rows)

    def turned(self) -> Table:
        """Columns as rows; the first column becomes the headings."""
        head, *others = self.columns
        columns = [Column(head.key, "")]
        columns += [Column(f"row{place}", str(row[0])) for place, row in enumerate(self.rows, start=1)]
        shown = self.shown()
        rows = tuple(
            (column.heading, *(row[place] for row in shown)) for place, column in enumerate(others, start=1)
        )
        return Table(self.title, tuple(columns), rows)

    def to_markdown(self) -> str:
        """A GitHub-flavoured table; numbers to the right."""
        head = [markdown_text(column.heading) for column in self.columns]
        rule = ["---:" if self.is_numeric(place) else "---" for place in range(len(self.columns))]
        body = [[markdown_text(text) for text in row] for row in self.shown()]
        return "".join(f"| {' | '.join(row)} |\n" for row in [head, rule, *body])

    def to_csv(self) -> str:
        """Comma-separated values under the columns' keys; an empty cell is none."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.key for column in self.columns])
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return text.getvalue()

    def to_json(self) -> str:
        """An object with the title, the columns' headings by key, and one object a row."""
        keys = [column.key for column in self.columns]
        value = {
            "title": self.title,
            "columns": {column.key: column.heading for column in self.columns},
            "rows": [dict(zip(keys, row, strict=True)) for row in self.rows],
        }
        return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_latex(self, label: str = "") -> str:
        """A `table` with rules of the package booktabs; `label` is what \\ref names."""
        align = "".join("r" if self.is_numeric(place) else "l" for place in range(len(self.columns)))
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(self.title)}}}",
            *([rf"\label{{{label}}}"] if label else []),
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            _latex_row([column.heading for column in self.columns]),
            r"\midrule",
            *(_latex_row(row) for row in self.shown()),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def shown(self, missing: str = "–") -> list[list[str]]:
        """The cells as a person reads them."""
        return [
            [_shown(cell, column.digits, missing) for cell, column in zip(row, self.columns, strict=True)]
            for row in self.rows
        ]

    def is_numeric(self, place: int) -> bool:
        """Whether a column holds numbers, which stand to the right."""
        cells = [row[place] for row in self.rows if row[place] is not None]
        return bool(cells) and not any(isinstance(cell, str) for cell in cells)


def escape_latex(text: str) -> str:
    """Text in which every character of LaTeX's own stands for itself; line breaks become spaces."""
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def _latex_row(cells: list[str]) -> str:
    # What follows \\ is read as its argument when it begins with a bracket or a star.
    texts = [escape_latex(cell) for cell in cells]
    texts = [_MINUS.sub("$-$", text) for text in texts]  # a hyphen otherwise
    return " & ".join(f"{{{text}}}" if text.startswith(("[", "*")) else text for text in texts) + r" \\"


def markdown_text(text: str) -> str:
    """Text in which every character of Markdown's own stands for itself; line breaks become spaces."""
    return _MARKDOWN.sub(r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _shown(cell: Cell, digits: int, missing: str) -> str:
    if cell is None:
        return missing
    return number(cell, digits) if isinstance(cell, (int, float)) else cell


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell

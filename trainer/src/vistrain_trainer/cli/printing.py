"""Tables of reports on a terminal."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vistrain_trainer.reporting.tables import Table


def print_table(table: Table) -> None:
    """Print a table below its title, numbers to the right."""
    grid = Grid(title=table.title, title_justify="left", title_style="bold")
    for place, column in enumerate(table.columns):
        side: Literal["right", "left"] = "right" if table.is_numeric(place) else "left"
        grid.add_column(column.heading, justify=side, overflow="fold")
    for row in table.shown():
        grid.add_row(*map(Text, row))
    Console(highlight=False).print(grid)

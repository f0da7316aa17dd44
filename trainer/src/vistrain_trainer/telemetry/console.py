"""What a run prints: a live line on a terminal, plain lines elsewhere, JSON in a pod."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def configure_logging(*, json_lines: bool) -> None:
    """Send structlog to stderr: JSON lines for programs, short lines for people."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if json_lines else "%H:%M:%S", utc=json_lines),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Asked anew for every line: the live line puts itself in the place of stderr while it shows.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


class LiveLine:
    """A progress bar while training; nothing where stderr is not a terminal."""

    def __init__(self, total_steps: int, *, enabled: bool | None = None) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=console,
            transient=True,
            disable=not (console.is_terminal if enabled is None else enabled),
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("training", total=total_steps, epoch="", loss="")

    def __enter__(self) -> LiveLine:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def total(self, steps: int) -> None:
        """There are more or fewer steps to do than was said."""
        self._bar.update(self._task, total=steps)

    def show(self, step: int, epoch: str, loss: float | None) -> None:
        """Update; at logging steps."""
        text = f"loss {loss:.3f}" if loss is not None else ""
        self._bar.update(self._task, completed=step, epoch=epoch, loss=text)

"""What the demo prints: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

# Without a terminal a line that only changes a number is repeated no more often than this, in seconds.
_PLAIN_INTERVAL = 10.0


class Teller:
    """Tells a story in stages, each with the time since the start."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._start = time.monotonic()
        self._status: Status | None = None
        self._told_at = -_PLAIN_INTERVAL
        self._told = ""

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        return f"{minutes:02d}:{seconds:02d}"

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(f"[dim]{self._clock()}[/dim]  {text}")

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """A stage with a live line under it; says how long it took."""
        begun = time.monotonic()
        self.say(f"[bold]{title}[/bold]")
        self._told = ""
        self._told_at = -_PLAIN_INTERVAL
        if self.console.is_terminal:
            self._status = self.console.status(title)
            self._status.start()
        try:
            yield
        finally:
            if self._status is not None:
                self._status.stop()
                self._status = None
        self.say(f"       done in {time.monotonic() - begun:.1f} s")

    def live(self, text: str) -> None:
        """How far the stage is: replaces the live line, or is printed now and then without a terminal."""
        if self._status is not None:
            self._status.update(text)
            return
        now = time.monotonic()
        if text != self._told and now - self._told_at >= _PLAIN_INTERVAL:
            self._told, self._told_at = text, now
            self.say(f"       {text}")

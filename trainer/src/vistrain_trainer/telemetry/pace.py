"""The pace of training over the last minute."""

from __future__ import annotations

import time
from collections import deque


class Pace:
    """Images per second, time to the end, and the share of time spent waiting for data."""

    def __init__(self, window_seconds: float = 60.0) -> None:
        self._window = window_seconds
        self._marks: deque[tuple[float, int, int, float]] = deque()
        self._images = 0
        self._waited = 0.0
        self.images_per_second: float | None = None
        self.steps_per_second: float | None = None
        self.data_wait_ratio: float | None = None

    def waited(self, seconds: float) -> None:
        """Time that the last step waited for its batch."""
        self._waited += seconds

    def add_images(self, count: int) -> None:
        """Images of the last step."""
        self._images += count

    def mark(self, step: int) -> None:
        """Take a reading; at every logging interval and whenever training starts or goes on."""
        now = time.monotonic()
        self._marks.append((now, step, self._images, self._waited))
        while len(self._marks) > 2 and now - self._marks[0][0] > self._window:
            self._marks.popleft()
        then, first_step, first_images, first_waited = self._marks[0]
        if now > then and step > first_step:
            span = now - then
            self.images_per_second = (self._images - first_images) / span
            self.steps_per_second = (step - first_step) / span
            self.data_wait_ratio = min(1.0, (self._waited - first_waited) / span)

    def pause(self) -> None:
        """Forget the readings: what comes now (an evaluation) is not training."""
        self._marks.clear()

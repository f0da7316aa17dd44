"""The trainer's Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge, Histogram

from vistrain_api.protocol import Progress


class TrainerMetrics:
    """Metrics of one run; step, epoch and time left are read from the board when Prometheus asks."""

    def __init__(self, progress: Callable[[], Progress]) -> None:
        self.registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"vistrain_{name}", text, labels, registry=self.registry)

        gauge("epoch", "Epochs completed").set_function(lambda: progress().epoch)
        gauge("step", "Optimiser steps completed, over all attempts").set_function(lambda: progress().step)
        gauge("eta_seconds", "Seconds to the end at the present pace").set_function(
            lambda: _or_nan(progress().eta_seconds)
        )
        self._loss = gauge("loss", "Part of the loss at the last logging step", "part")
        self._rate = gauge("learning_rate", "Learning rate of the last logging step", "group")
        self._images = gauge("images_per_second", "Training images per second over the last minute")
        self._wait = gauge("data_wait_ratio", "Share of time spent waiting for the loader")
        self._metric = gauge("metric", "Result of the latest evaluation", "name", "class")
        self.gpu_memory = gauge("gpu_memory_bytes", "GPU memory: used at the peak, total", "kind")
        self.gpu_temperature = gauge("gpu_temperature_celsius", "Temperature of the GPU")
        self.gpu_power = gauge("gpu_power_watts", "Power drawn by the GPU")
        self.checkpoint_seconds = Histogram(
            "vistrain_checkpoint_seconds",
            "Time from the snapshot until a checkpoint is durable",
            registry=self.registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
        )
        self.checkpoint_step = gauge("checkpoint_step", "Step of the newest complete checkpoint")
        self.micro_batch = gauge("micro_batch", "Images on the device at once")

    def training(
        self,
        losses: Mapping[str, float],
        rates: Mapping[str, float],
        images: float | None,
        wait: float | None,
    ) -> None:
        """Set what is known at a logging step."""
        for part, value in losses.items():
            self._loss.labels(part).set(value)
        for group, rate in rates.items():
            self._rate.labels(group).set(rate)
        if images is not None:
            self._images.set(images)
        if wait is not None:
            self._wait.set(wait)

    def evaluation(self, results: Mapping[str, float | None]) -> None:
        """Set the results of an evaluation; `AP/car` is the metric AP of class car."""
        for key, value in results.items():
            name, _, class_name = key.partition("/")
            self._metric.labels(name, class_name).set(_or_nan(value))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value

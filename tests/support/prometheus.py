"""A real Prometheus as a process on loopback, for tests that ask what a user's Prometheus would have seen."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from support.ports import free_ports

START_SECONDS = 60


class PrometheusError(RuntimeError):
    """Prometheus or promtool refused something; the message has its own words."""


@dataclass(frozen=True)
class Sample:
    """One series of an instant query."""

    labels: Mapping[str, str]
    value: float


def program(name: str) -> str:
    """Path of `prometheus` or `promtool`. Raises :class:`PrometheusError` where it is not installed."""
    path = shutil.which(name)
    if path is None:
        raise PrometheusError(f"{name}: not found; install Debian's package: apt-get install prometheus")
    return path


def check_metrics(exposition: str) -> None:
    """Lets `promtool check metrics` judge a /metrics page: syntax, names, help. Raises PrometheusError."""
    _promtool(["check", "metrics"], exposition)


def check_config(path: Path) -> None:
    """Lets `promtool check config` judge a configuration file. Raises :class:`PrometheusError`."""
    _promtool(["check", "config", str(path)])


class Prometheus:
    """A Prometheus server on loopback with its data in `directory`; a context manager."""

    def __init__(
        self, directory: Path, scrape_configs: Sequence[Mapping[str, Any]], interval: str = "1s"
    ) -> None:
        """`scrape_configs` as in prometheus.yml, made by support.scraping; `interval` between scrapes."""
        self.directory = directory
        self.config = directory / "prometheus.yml"
        self.log = directory / "prometheus.log"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        timing = {"scrape_interval": interval, "scrape_timeout": interval}
        self.config.write_text(
            yaml.safe_dump(
                {"global": timing, "scrape_configs": [dict(c) for c in scrape_configs]}, sort_keys=False
            )
        )

    def __enter__(self) -> Prometheus:
        check_config(self.config)
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    # A test run that is killed takes it along.
                    *("setpriv", "--pdeathsig", "KILL"),
                    program("prometheus"),
                    f"--config.file={self.config}",
                    f"--storage.tsdb.path={self.directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--storage.tsdb.retention.time=1d",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def query(self, expression: str) -> list[Sample]:
        """Instant query, at the server's present time."""
        data = self._get("query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(series["metric"], float(series["value"][1])) for series in data["result"]]

    def value(self, expression: str) -> float:
        """The value of a query that yields one series. Raises :class:`PrometheusError` when it does not."""
        samples = self.query(expression)
        if len(samples) != 1:
            raise PrometheusError(f"{expression}: {len(samples)} series, one was expected: {samples}")
        return samples[0].value

    def history(
        self, expression: str, seconds: float, step: float = 1
    ) -> list[tuple[Mapping[str, str], list[float]]]:
        """Labels and values, oldest first, of each series over the last `seconds`."""
        now = time.time()
        data = self._get("query_range", query=expression, start=now - seconds, end=now, step=step)
        return [
            (series["metric"], [float(value) for _, value in series["values"]]) for series in data["result"]
        ]

    def targets(self) -> list[dict[str, Any]]:
        """Active targets, with `labels`, `scrapeUrl`, `health` and `lastError`."""
        active: list[dict[str, Any]] = self._get("targets", state="active")["activeTargets"]
        return active

    def wait_for(
        self, expression: str, accept: Callable[[list[Sample]], bool], seconds: float = 120
    ) -> list[Sample]:
        """Asks again until `accept` takes the answer. Raises PrometheusError with the last one."""
        deadline = time.monotonic() + seconds
        while True:
            samples = self.query(expression)
            if accept(samples):
                return samples
            if time.monotonic() > deadline:
                targets = [(t["scrapeUrl"], t["health"], t["lastError"]) for t in self.targets()]
                raise PrometheusError(f"{expression}: still {samples} after {seconds} s; targets: {targets}")
            time.sleep(0.2)

    def _get(self, path: str, **parameters: object) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise PrometheusError(f"{path} {parameters}: {json.load(error)['error']}") from error

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self._process is not None
            if self._process.poll() is not None:
                raise PrometheusError(
                    f"prometheus ended with {self._process.returncode}: {self.log.read_text()[-2000:]}"
                )
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                error.close()  # 503 until its storage is open
            except OSError:
                pass  # not listening yet
            if time.monotonic() > deadline:
                raise PrometheusError(
                    f"prometheus not ready after {START_SECONDS} s: {self.log.read_text()[-2000:]}"
                )
            time.sleep(0.1)

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _promtool(arguments: list[str], standard_input: str = "") -> None:
    done = subprocess.run(
        [program("promtool"), *arguments], input=standard_input, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PrometheusError(f"promtool {' '.join(arguments)}: {(done.stderr + done.stdout).strip()}")

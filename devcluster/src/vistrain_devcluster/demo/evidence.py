"""What is kept of the demo's run: objects, events, logs, and what was seen at the eviction."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from vistrain_devcluster.kubectl import Kubectl


def documents(text: str) -> Iterator[dict[str, Any]]:
    """The JSON values of a stream that holds one after another; an unfinished last one is left out."""
    decoder = json.JSONDecoder()
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError:
            return
        yield value


class Evidence:
    """A folder of JSON files and logs, each as the API server gave it.

    An evicted pod is gone from the API server seconds later, so pods are watched and logs followed
    from the start: the last state of each pod is what was seen of it.
    """

    def __init__(self, folder: Path, kubectl: Kubectl, run: str) -> None:
        self.folder = folder
        self._kubectl = kubectl
        self._run = run
        self._selector = ("-l", f"vistrain.dev/run={run}")
        self._followers: dict[str, subprocess.Popen[bytes]] = {}
        self._files: list[IO[bytes]] = []
        (folder / "logs").mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        watch = ("get", "pods", *self._selector, "--watch", "--output-watch-events", "-o", "json")
        self._spawn("watch", self.folder / "pods-watch.json", *watch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._followers.values():
            process.terminate()
            process.wait()
        for file in self._files:
            file.close()

    def _spawn(self, key: str, path: Path, *arguments: str) -> None:
        file = path.open("wb")
        self._files.append(file)
        command = [self._kubectl.binary, *self._kubectl.flags, *arguments]
        self._followers[key] = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)

    def write(self, name: str, value: Any) -> None:
        """Save a JSON value as NAME.json."""
        (self.folder / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n")

    def pods(self) -> list[dict[str, Any]]:
        """Every pod of the run that was ever seen, oldest first, in its last state."""
        seen: dict[str, dict[str, Any]] = {}
        for event in documents((self.folder / "pods-watch.json").read_text()):
            pod = event["object"]
            seen[pod["metadata"]["uid"]] = pod
        return sorted(seen.values(), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def follow_logs(self) -> None:
        """Follow the log of each pod whose container has started."""
        for pod in self.pods():
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            states = [s.get("state", {}) for s in pod.get("status", {}).get("containerStatuses", [])]
            if uid not in self._followers and any("running" in s or "terminated" in s for s in states):
                self._spawn(
                    uid, self.folder / "logs" / f"{name}.log", "logs", name, "--follow", "--timestamps"
                )

    def collect(self) -> None:
        """Save the run, its Jobs, pods and events, once the run is over."""
        for uid, follower in self._followers.items():
            if uid != "watch":
                follower.wait(timeout=30)
        self.write("run", self._kubectl.get("detectortrainings.vistrain.dev", self._run))
        self.write("jobs", self._kubectl.get("jobs", *self._selector))
        self.write("events", self._kubectl.get("events"))
        self.write("pods", {"apiVersion": "v1", "kind": "List", "items": self.pods()})

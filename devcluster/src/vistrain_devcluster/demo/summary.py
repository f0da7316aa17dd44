"""The demo's summary, computed from the evidence that was saved, and from nothing else."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any


class EvidenceError(RuntimeError):
    """The evidence lacks something that the summary needs."""


def _time(text: str) -> datetime:
    # The kubelet writes nanoseconds; fromisoformat takes six digits.
    text = text.replace("Z", "+00:00")
    if "." in text:
        head, tail = text.split(".", 1)
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        text = f"{head}.{digits[:6].ljust(6, '0')}{tail[len(digits) :]}"
    return datetime.fromisoformat(text)


def last_words(pod: dict[str, Any]) -> dict[str, Any]:
    """The trainer's termination message, as the pod object holds it."""
    for status in pod.get("status", {}).get("containerStatuses", []):
        terminated = status.get("state", {}).get("terminated")
        if status.get("name") == "trainer" and terminated is not None:
            try:
                value: dict[str, Any] = json.loads(terminated.get("message", ""))
            except json.JSONDecodeError as error:
                raise EvidenceError(
                    f"pod {pod['metadata']['name']}: its termination message is no JSON"
                ) from error
            return value | {"exitCode": terminated["exitCode"]}
    raise EvidenceError(f"pod {pod['metadata']['name']}: its trainer has not terminated")


def log_records(text: str) -> list[dict[str, Any]]:
    """The trainer's JSON log lines; `kubectl logs --timestamps` puts a time before each."""
    records = []
    for line in text.splitlines():
        stamp, _, rest = line.partition(" ")
        if rest.startswith("{"):
            try:
                records.append(json.loads(rest) | {"loggedAt": stamp})
            except json.JSONDecodeError:
                continue  # a line of a library, not of ours
    return records


def _attempt(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["labels"].get("vistrain.dev/attempt", ""))


def first_step(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The record of the first optimiser step that a pod executed."""
    for record in records:
        if record.get("event") == "first step":
            return record
    raise EvidenceError("the log holds no record of a first step")


def summarise(evidence: Path) -> dict[str, Any]:
    """demo-summary.json from run.json, pods.json, eviction.json, diff.json and logs/ in `evidence`."""
    run = json.loads((evidence / "run.json").read_text())
    eviction = json.loads((evidence / "eviction.json").read_text())
    diff = json.loads((evidence / "diff.json").read_text())
    items = json.loads((evidence / "pods.json").read_text())["items"]
    pods = sorted(  # the pre-flight's are no attempts
        (pod for pod in items if _attempt(pod)), key=lambda pod: int(_attempt(pod))
    )
    if len(pods) < 2:
        raise EvidenceError(f"expected two pods or more, found {len(pods)}")

    attempts = []
    for pod in pods:
        words = last_words(pod)
        attempts.append(
            {
                "attempt": words["attempt"],
                "pod": pod["metadata"]["name"],
                "podUID": pod["metadata"]["uid"],
                "node": pod["spec"].get("nodeName", ""),
                "restoredStep": words.get("restoredStep"),
                "lastStep": words.get("lastStep"),
                "exitCode": words["exitCode"],
                "class": _class_of(run, pod["metadata"]["uid"]),
            }
        )
    evicted = next(a for a in attempts if a["podUID"] == eviction["podUID"])
    resumed = attempts[attempts.index(evicted) + 1]
    steps_per_epoch = eviction["progress"]["totalSteps"] // eviction["progress"]["epochs"]
    restored = resumed["restoredStep"]
    if evicted["lastStep"] is None or restored is None:
        raise EvidenceError("the pods' last words do not say which step was executed last and restored")

    log = log_records((evidence / "logs" / f"{resumed['pod']}.log").read_text())
    to_first_step = _time(first_step(log)["loggedAt"]) - _time(eviction["at"])
    status = run["status"]
    return {
        "run": run["metadata"]["name"],
        "phase": status["phase"],
        "attempts": attempts,
        "podUIDs": [a["podUID"] for a in attempts],
        "evictedAt": eviction["at"],
        "stepAtEviction": evicted["lastStep"],
        "stepAtResume": restored,
        "checkpointBeforeEviction": (eviction["progress"].get("lastCheckpoint") or {}).get("step"),
        "stepsPerEpoch": steps_per_epoch,
        "offCheckpointBoundary": evicted["lastStep"] % steps_per_epoch != 0,
        "stepsLost": evicted["lastStep"] - restored,
        "secondsFromEvictionToFirstStep": round(to_first_step.total_seconds(), 2),
        "disruptions": status.get("disruptions", 0),
        "failures": status.get("failures", 0),
        "best": status.get("best"),
        "bitEqual": bool(diff) and all(part["identical"] for part in diff),
    }


def _class_of(run: dict[str, Any], uid: str) -> str | None:
    for attempt in run["status"].get("attempts", []):
        if attempt["podUID"] == uid:
            value: str | None = attempt.get("class")
            return value
    return None

"""Seconds from an eviction to the first new step, on the dev cluster, the image on both nodes.

The peer is a bare Job: the time in which the Job controller itself
brings a pod of the same image back.
Run with `hack/bench.sh eviction`; needs the cluster of `make demo` or `make cluster-test`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench._machine import machine, percentile
from support.runs import TINY, Run, merged, wait_for
from support.site import site


def vistrain_seconds(run: Run, evictions: int) -> list[float]:
    """Evict the run again and again in mid-epoch; seconds to the first step of the pod that follows."""
    taken = []
    for number in range(evictions):
        wait_for("a pod that trains", run.progress, seconds=120)
        pod = run.evict()
        begun = time.monotonic()

        def new_step(old: str = pod) -> bool:
            progress = run.progress()  # `lastStep` is absent until the pod has executed a step of its own
            return bool(progress and progress["pod"] != old and progress.get("lastStep"))

        wait_for("a new step", new_step, seconds=120, every=0.05)
        taken.append(time.monotonic() - begun)
        print(f"  eviction {number + 1}: {taken[-1]:.2f} s", flush=True)
    return taken


def bare_job_seconds(place, evictions: int) -> list[float]:
    """Evict the pod of a bare Job that imports torch and waits; seconds until its next pod has done so."""
    kubectl = place.kubectl
    job = place.job(
        "bare", ["-c", "import torch, time; print('ready', flush=True); time.sleep(3600)"], command=["python"]
    )
    job["spec"]["backoffLimit"] = 100
    job["spec"]["podFailurePolicy"] = {
        "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    }
    kubectl.run("apply", "-f", "-", stdin=json.dumps(job))

    def ready(but: str) -> str | None:
        for pod in kubectl.get("pods", "-l", "job-name=bare")["items"]:
            name = pod["metadata"]["name"]
            alive = pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
            if alive and name != but and "ready" in kubectl.run("logs", name):
                return str(name)
        return None

    taken = []
    name = wait_for("the bare Job's pod", lambda: ready(""), seconds=180)
    for number in range(evictions):
        kubectl.evict(name)
        begun = time.monotonic()
        name = wait_for("its next pod", lambda old=name: ready(old), seconds=900, every=0.05)
        taken.append(time.monotonic() - begun)
        print(f"  bare Job, eviction {number + 1}: {taken[-1]:.2f} s", flush=True)
    kubectl.run("delete", "job", "bare")
    return taken


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evictions", type=int, default=20)
    parser.add_argument(
        "--peer-evictions", type=int, default=3, help="each waits twice as long as the one before"
    )
    options = parser.parse_args()
    print(machine())
    place = site()
    run = Run(
        place.kubectl, place.cluster.api.get, "bench-eviction", merged(TINY, {"schedule": {"epochs": 20_000}})
    ).apply()
    ours = vistrain_seconds(run, options.evictions)
    run.delete()
    theirs = bare_job_seconds(place, options.peer_evictions)
    middle, peer = statistics.median(ours), statistics.median(theirs)
    print(f"eviction to first new step: p50 {middle:.2f} s, p99 {percentile(ours, 99):.2f} s (goal 10 s)")
    print(f"bare Job, eviction to torch imported: p50 {peer:.2f} s, longest {max(theirs):.2f} s")
    print(f"ratio of medians, ours / bare Job: {middle / peer:.2f}")


if __name__ == "__main__":
    main()

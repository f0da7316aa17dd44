"""The images as processes: what a container of them does, whatever the program in it."""

import json

import pytest

from support.site import unique

pytestmark = pytest.mark.cluster


def test_a_signal_ends_a_program_that_has_no_handler_yet(runs):
    """A start that is cut short, made long: rendering a large world has no handler for SIGTERM at all."""
    name = unique("term")
    job = runs.site.job(name, ["prepare", "synthetic", "--out", "/tmp/world", "--scenes", "500"])
    job["spec"]["backoffLimit"] = 0
    runs.kubectl.run("apply", "-f", "-", stdin=json.dumps(job))
    try:
        pod = runs.wait("a running pod", lambda: running(runs, name), seconds=60)
        runs.kubectl.run("exec", pod, "--", "sh", "-c", "kill -TERM 1")
        assert runs.wait("the end of the container", lambda: terminated(runs, pod))["exitCode"] == 143
    finally:
        runs.kubectl.run("delete", "job", name, "--cascade=foreground", "--grace-period=1", timeout=90)


def running(runs, job):
    pods = runs.kubectl.get("pods", "-l", f"job-name={job}")["items"]
    return next((p["metadata"]["name"] for p in pods if p["status"]["phase"] == "Running"), None)


def terminated(runs, pod):
    [container] = runs.kubectl.get("pod", pod)["status"]["containerStatuses"]
    return container["state"].get("terminated")

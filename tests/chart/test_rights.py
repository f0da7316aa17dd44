"""The operator under the chart's own roles: it is refused nothing, and no rule of them goes unused.

The operator is the real one, as the chart's service account; API server and controllers are real, and what a
kubelet would write is written by the test. The paths walked are all that lead the operator to a request.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chart.test_render import operator_arguments
from support.control_plane import ADMIN_TOKEN, ControlPlane
from support.helm import Helm
from support.rbac import Access, Comparison, compare, log_lines, usage, user_name
from support.runs import TINY as TINY_RUN
from support.runs import Run, merged, wait_for
from vistrain_devcluster.kubectl import Kubectl
from vistrain_operator.settings import parser

pytestmark = pytest.mark.cluster

Values = dict[str, Any]
# Release, its namespace, the runs' namespace, values.
EVERYWHERE = ("vistrain", "vistrain-system", "team-a", {})
ONE_NAMESPACE = ("scoped", "team-b", "team-b", {"watchNamespaces": ["team-b"], "crds": {"install": False}})
BLIND = (
    "blind",
    "team-b",
    "team-b",
    {"watchNamespaces": ["team-b"], "crds": {"install": False}, "rbac": {"readNodes": False}},
)


class Bench:
    """A release without replicas, and the operator as a process in its account's name."""

    def __init__(self, plane: ControlPlane, helm: Helm, release: tuple[str, str, str, Values]) -> None:
        self.plane, self.helm = plane, helm
        self.release, self.system, self.namespace, self.values = release
        self.account = self.release if "vistrain" in self.release else f"{self.release}-vistrain"
        self.kubectl: Kubectl = plane.kubectl.within(self.namespace)

    def rendered(self) -> list[dict[str, Any]]:
        return self.helm.template(self.values, release=self.release, namespace=self.system)

    def kubeconfig(self, folder: Path) -> Path:
        """The administrator's, with the account's token."""
        token = self.plane.kubectl.within(self.system).run("create", "token", self.account).strip()
        file = folder / "operator.kubeconfig"
        file.write_text(self.plane.kubeconfig.read_text().replace(f"token: {ADMIN_TOKEN}", f"token: {token}"))
        return file

    @contextmanager
    def operator(self, folder: Path) -> Iterator[None]:
        """The operator with the arguments that the chart gives it, but for its port."""
        known = parser().parse_args(operator_arguments(self.rendered()))
        arguments = [argument for name in known.namespace or [] for argument in ("--namespace", name)]
        arguments += ["--lease-name", known.lease_name, "--lease-namespace", self.system, "--port", "0"]
        log = folder / "operator.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL"),
                    str(Path(sys.executable).parent / "vistrain-operator"),
                    f"--kubeconfig={self.kubeconfig(folder)}",
                    "--image=trainer",
                    "--log-format=json",
                    *arguments,
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{log.read_text()[-3000:]}") from failure
        finally:
            process.terminate()
            process.wait(30)
        assert process.returncode == 0, log.read_text()[-3000:]

    def comparison(self) -> Comparison:
        return compare(self.rendered(), log_lines(self.plane.audit_log), self.system, self.account)

    def run(self, name: str, **change: Any) -> Run:
        return Run(self.kubectl, self.kubectl.raw, f"{self.release}-{name}", merged(TINY_RUN, change)).apply()


def claim(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def pod_of(run: Run) -> str:
    pods = wait_for(f"a pod of {run.name}", run.pods)
    name: str = pods[-1]["metadata"]["name"]
    return name


def passes(run: Run) -> Run:
    """Its pre-flight passes."""
    ends(run, preflight_of(run), 0)
    return run


def preflight_of(run: Run) -> str:
    pods = wait_for(f"a pod of the pre-flight of {run.name}", run.preflight_pods)
    name: str = pods[-1]["metadata"]["name"]
    return name


def ends(run: Run, pod: str, code: int) -> None:
    """The kubelet's report that the container of a pod ended with a code."""
    ended = {"exitCode": code, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z", "message": "{}"}
    status = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [
            {
                "name": "trainer",
                "image": "trainer",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"terminated": ended},
            }
        ],
    }
    body = json.dumps({"status": status})
    run.kubectl.run("patch", "pod", pod, "--subresource=status", "-p", body)


def walk(bench: Bench, folder: Path) -> None:
    """Every path on which the operator asks the API server for something."""
    with bench.operator(folder):
        gone = _requests_of_a_life(bench)
    # A Job that went while nobody watched is on record and not to be seen: it is asked for by name.
    gone.kubectl.run("delete", "job", gone.jobs()[0]["metadata"]["name"])
    with bench.operator(folder):
        wait_for("the end of the attempt", lambda: gone.classes() == ["Deleted"])
        gone.delete()


def _requests_of_a_life(bench: Bench) -> Run:
    """All but one of the requests. Returns a run that has an attempt on record."""
    bench.kubectl.apply(claim("driving-world"), claim("checkpoints"))

    # Creation; a failure that no retry heals; the end of the run's time to live.
    short = bench.run("short", ttlAfterFinished="1s")
    ends(short, preflight_of(short), 64)
    wait_for("the run to be deleted", lambda: short.kubectl.find("dtrain", short.name) is None)

    # Suspension deletes the Job.
    suspended = passes(bench.run("suspended"))
    pod_of(suspended)
    suspended.patch({"suspend": True})
    suspended.becomes("Suspended")

    # A pod that its Job left behind is deleted.
    orphaned = passes(bench.run("orphaned"))
    left = pod_of(orphaned)
    job = orphaned.jobs()[0]["metadata"]["name"]
    orphaned.kubectl.run("delete", "job", job, "--cascade=orphan", "--wait=false")
    wait_for("the orphaned pod to go", lambda: orphaned.kubectl.find("pod", left) is None)

    # A Job that may make no pod: its events say why.
    bench.kubectl.run("create", "quota", "none", "--hard=pods=0")
    refused = bench.run("refused")
    wait_for("the quota to be named", lambda: "quota" in refused.condition("Running").get("message", ""))
    bench.kubectl.run("delete", "quota", "none")
    for run in (suspended, orphaned, refused):
        run.delete()
    recorded = passes(bench.run("recorded"))
    wait_for("the attempt on record", recorded.attempts)
    return recorded


@pytest.fixture
def bench(
    control_plane: ControlPlane, helm: Helm, releases: Helm, request: pytest.FixtureRequest
) -> Iterator[Bench]:
    made = Bench(control_plane, helm, request.param)
    releases.install(made.release, made.system, {**made.values, "replicas": 0})
    yield made
    if made.release != "vistrain":
        releases.uninstall(made.release, made.system)


@pytest.mark.parametrize(
    "bench", [EVERYWHERE, ONE_NAMESPACE], ids=["everywhere", "one namespace"], indirect=True
)
def test_roles_are_exact(bench: Bench, tmp_path: Path, releases: Helm) -> None:
    if bench.release != "vistrain":
        releases.install("vistrain", "vistrain-system", {"replicas": 0})  # the CRD
    settled(bench)
    walk(bench, tmp_path)
    assert wait_for_log(bench, lambda: bench.comparison().exact), f"{bench.comparison()}"


@pytest.mark.parametrize("bench", [BLIND], ids=["nodes unread"], indirect=True)
def test_nodes_are_all_that_is_refused_where_they_may_not_be_read(
    bench: Bench, tmp_path: Path, releases: Helm
) -> None:
    releases.install("vistrain", "vistrain-system", {"replicas": 0})
    settled(bench)
    bench.kubectl.apply(claim("driving-world"), claim("checkpoints"))
    with bench.operator(tmp_path):
        run = bench.run("blind", resources={"accelerator": {"cpu": None, "mig": {"profile": "1g.20gb"}}})
        pod_of(passes(run))
        available = wait_for("the condition", lambda: run.condition("SliceAvailable"))
        assert (available["status"], available["reason"]) == ("Unknown", "NodesNotReadable")
        run.delete()
    seen = usage(log_lines(bench.plane.audit_log), user_name(bench.system, bench.account))
    assert seen.refused == {Access("list", "", "nodes")}


def settled(bench: Bench) -> None:
    """Wait until the authoriser knows the new bindings: what it refuses before that is no rule's fault."""
    bench.plane.await_crd("detectortrainings.vistrain.dev")
    who = f"--as={user_name(bench.system, bench.account)}"
    for verb, what, where in (
        ("list", "detectortrainings.vistrain.dev", bench.namespace),
        ("create", "leases.coordination.k8s.io", bench.system),
    ):
        may = ("auth", "can-i", verb, what, who)
        ask = bench.plane.kubectl.within(where)
        wait_for(f"{who} to {verb} {what}", lambda ask=ask, may=may: _yes(ask, may))


def _yes(kubectl: Kubectl, question: tuple[str, ...]) -> bool:
    done = subprocess.run(
        [kubectl.binary, *kubectl.flags, *question], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() == "yes"


def wait_for_log(bench: Bench, true: Callable[[], bool]) -> bool:
    """The audit log is written a moment after the answers."""
    try:
        return wait_for("the audit log", true, seconds=10)
    except AssertionError:
        return False

"""The chart's PodMonitor before a real Prometheus, which finds pods through a real API server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, MetricsHandler

from chart.variants import VARIANTS
from support.discovery import Discovery
from support.helm import Helm, one
from support.prometheus import Prometheus, PrometheusError, Sample, check_config, check_metrics
from support.runs import TINY, merged
from support.scraping import fixed, pod_monitor
from vistrain_api.detector import DetectorTraining
from vistrain_api.protocol import PORT
from vistrain_devcluster.kubectl import Kubectl
from vistrain_operator.decide.slices import Placement
from vistrain_operator.jobs import job

pytestmark = pytest.mark.cluster

Serve = Callable[[str, int, CollectorRegistry], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a registry's /metrics at an address on loopback; returns `host:port`."""
    servers: list[ThreadingHTTPServer] = []

    def start(host: str, port: int, registry: CollectorRegistry) -> str:
        server = ThreadingHTTPServer((host, port), MetricsHandler.factory(registry))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"{host}:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class TestPrometheus:
    def test_scrapes_and_answers(self, tmp_path: Path, serve: Serve) -> None:
        registry = CollectorRegistry()
        evicted = Counter("vistrain_disruptions", "Disruptions", ["class"], registry=registry).labels(
            "Evicted"
        )
        evicted.inc()
        target = serve("127.0.0.1", 0, registry)
        query = 'vistrain_disruptions_total{class="Evicted"}'
        with Prometheus(
            tmp_path, [fixed("operator", [target], {"cluster": "here"})], interval="200ms"
        ) as prometheus:
            [sample] = prometheus.wait_for(query, bool)
            assert sample.value == 1
            assert sample.labels["cluster"] == "here"
            evicted.inc()
            prometheus.wait_for(query, lambda samples: samples[0].value == 2)
            assert prometheus.value(f"sum({query})") == 2
            [(labels, values)] = prometheus.history(query, seconds=60)
            assert labels["job"] == "operator"
            assert values[-1] == 2
            assert [t["health"] for t in prometheus.targets()] == ["up"]
            assert prometheus.query("vector(3)") == [Sample({}, 3.0)]
            assert prometheus.query("scalar(vector(3))") == [Sample({}, 3.0)]

    def test_its_refusals_are_told(self, tmp_path: Path) -> None:
        with Prometheus(tmp_path, []) as prometheus:
            with pytest.raises(PrometheusError, match="parse error"):
                prometheus.query("sum(")
            with pytest.raises(PrometheusError, match="0 series, one was expected"):
                prometheus.value("absent_series")
            with pytest.raises(PrometheusError, match=r"still \[\]"):
                prometheus.wait_for("absent_series", bool, seconds=0)

    def test_a_wrong_configuration_is_told(self, tmp_path: Path) -> None:
        with (
            pytest.raises(PrometheusError, match="scrape_config"),
            Prometheus(tmp_path, [{"job_name": "a", "scrape_config": []}]),
        ):
            pass
        with pytest.raises(PrometheusError, match="does not exist"):
            check_config(tmp_path / "none.yml")

    def test_promtool_judges_metrics(self) -> None:
        check_metrics("# HELP a_total A.\n# TYPE a_total counter\na_total 1\n")
        with pytest.raises(PrometheusError, match="no help text"):
            check_metrics("a_total 1\n")
        with pytest.raises(PrometheusError, match="error while linting"):
            check_metrics("a{ 1\n")


def trainer_pod(run: str, attempt: int, ip: str, kubectl: Kubectl) -> None:
    """A pod as the operator's Job makes it, with the status that a kubelet would have written."""
    manifest = {
        "apiVersion": "vistrain.dev/v1alpha1",
        "kind": "DetectorTraining",
        "metadata": {"name": run, "namespace": kubectl.namespace},
        "spec": merged(TINY, {}),
    }
    template = job(
        DetectorTraining.model_validate(manifest),
        uid="0123456789",
        number=attempt,
        image="trainer",
        path=run,
        manifest=run,
        placement=Placement(resources={}, affinity=()),
        owner={},
    )["spec"]["template"]
    template["metadata"]["name"] = f"{run}-{attempt}"
    # No claims here, so the pod goes without its volumes.
    template["spec"]["volumes"] = []
    template["spec"]["containers"][0]["volumeMounts"] = []
    kubectl.run("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", **template}))
    set_status(kubectl, f"{run}-{attempt}", {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]})


def set_status(kubectl: Kubectl, pod: str, status: dict[str, Any]) -> None:
    kubectl.run("patch", "pod", pod, "--subresource=status", "-p", json.dumps({"status": status}))


def steps(step: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("vistrain_step", "Optimiser steps completed", registry=registry).set(step)
    return registry


def test_a_runs_step_goes_on_across_pods(helm: Helm, kubectl: Kubectl, serve: Serve, tmp_path: Path) -> None:
    team = kubectl.within("team-a")
    monitor = one(helm.template(VARIANTS["metrics of two namespaces"]), "PodMonitor")
    # A pod has an address of its own; loopback has many.
    first, second, strange = "127.77.0.1", "127.77.0.2", "127.77.0.3"
    for ip, step in ((first, 17), (second, 40), (strange, 1000)):
        serve(ip, PORT, steps(step))
    trainer_pod("metered", 1, first, team)
    # A pod of somebody else's, with a port of the same name, is no trainer.
    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger"},
        "spec": {
            "containers": [{"name": "c", "image": "i", "ports": [{"name": "metrics", "containerPort": PORT}]}]
        },
    }
    team.run("create", "-f", "-", stdin=json.dumps(stranger))
    set_status(team, "stranger", {"phase": "Running", "podIP": strange, "podIPs": [{"ip": strange}]})

    with (
        Discovery(kubectl) as discovery,
        Prometheus(tmp_path, [pod_monitor(monitor, discovery)], interval="200ms") as prometheus,
    ):
        [sample] = prometheus.wait_for("vistrain_step", bool)
        assert sample.value == 17
        expected = {"namespace": "team-a", "pod": "metered-1", "run": "metered", "attempt": "1"}
        assert expected.items() <= sample.labels.items()

        set_status(team, "metered-1", {"phase": "Failed"})
        trainer_pod("metered", 2, second, team)
        run = 'max by (namespace, run) (vistrain_step{run="metered"})'
        [sample] = prometheus.wait_for(run, lambda samples: bool(samples) and samples[0].value == 40)
        assert sample.labels == {"namespace": "team-a", "run": "metered"}
        # The pod that has ended is scraped no more.
        prometheus.wait_for("vistrain_step", lambda samples: [s.labels["attempt"] for s in samples] == ["2"])
        [(_, values)] = prometheus.history(run, seconds=60)
        assert values == sorted(values)
        assert {17.0, 40.0} <= set(values)

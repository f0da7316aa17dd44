"""What a user's Prometheus sees of a run that is evicted: the monitors are the chart's, the pods are real."""

from __future__ import annotations

import pytest

from support.discovery import Discovery
from support.helm import Helm, one
from support.prometheus import Prometheus, check_metrics
from support.scraping import pod_monitor, service_monitor

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

OPERATOR = "vistrain"


@pytest.fixture
def monitors(runs):
    """The PodMonitor and the ServiceMonitor of the chart."""
    values = {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}
    objects = Helm(runs.site.place.helm).template(values, release=OPERATOR, namespace=runs.system.namespace)
    return one(objects, "PodMonitor"), one(objects, "ServiceMonitor")


@pytest.fixture
def new_operator(runs):
    """An operator that has counted nothing yet."""
    runs.system.run("rollout", "restart", f"deployment/{OPERATOR}")
    runs.system.run("rollout", "status", f"deployment/{OPERATOR}", "--timeout=120s", timeout=150)


def page(kubectl, kind: str, name: str) -> str:
    """The /metrics page of a pod or Service, through the API server."""
    return kubectl.run("get", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/{kind}/{name}/proxy/metrics")


@pytest.mark.usefixtures("new_operator")
def test_prometheus_follows_a_run_through_its_eviction(runs, monitors, tmp_path):
    trainers, operator = monitors
    run = runs.new("metered", schedule={"epochs": 12})
    steps = f'vistrain_step{{run="{run.name}"}}'
    with (
        Discovery(runs.kubectl) as discovery,
        Prometheus(
            tmp_path,
            [pod_monitor(trainers, discovery), service_monitor(operator, discovery)],
            interval="250ms",
        ) as prometheus,
    ):
        prometheus.wait_for("sum(vistrain_leader)", lambda found: bool(found) and found[0].value == 1)
        run.apply()
        run.reaches_step(9)
        prometheus.wait_for(steps, lambda found: bool(found) and found[0].value >= 9)
        evicted = run.evict()
        resumed = prometheus.wait_for(
            f'vistrain_step{{run="{run.name}", attempt="2"}}',
            lambda found: bool(found) and found[0].value >= 30,
        )
        assert resumed[0].labels["pod"] != evicted
        run.becomes("Succeeded")

        # The step goes on across pods: under the run's name it never falls.
        [(labels, values)] = prometheus.history(f"max by (run) ({steps})", seconds=600, step=0.25)
        assert labels == {"run": run.name}
        assert values == sorted(values)
        [first] = prometheus.query(f'max_over_time(vistrain_step{{run="{run.name}", attempt="1"}}[10m])')
        [second] = prometheus.query(f'min_over_time(vistrain_step{{run="{run.name}", attempt="2"}}[10m])')
        assert 9 <= first.value <= second.value

        total = 'sum(vistrain_disruptions_total{class="Evicted"})'
        prometheus.wait_for(total, lambda found: bool(found) and found[0].value == 1)
        assert prometheus.value("sum(vistrain_disruptions_total)") == 1
        assert prometheus.query("sum(vistrain_failures_total) > 0") == []
        assert prometheus.value("sum(vistrain_steps_lost_total)") == 0
        assert prometheus.value("sum(vistrain_resume_seconds_count)") == 1

        # The leader's series are about the run, and named by the run's namespace, not by the operator's.
        done = f'max by (namespace) (vistrain_run_progress_ratio{{name="{run.name}"}})'
        [sample] = prometheus.wait_for(done, lambda found: bool(found) and found[0].value == 1)
        assert sample.labels == {"namespace": run.kubectl.namespace}


def test_promtool_has_no_complaint(runs):
    run = runs.new("linted").apply()
    run.reaches_step(1)
    check_metrics(page(run.kubectl, "pods", f"{run.pod()['metadata']['name']}:8080"))
    check_metrics(page(runs.system, "services", f"{OPERATOR}:metrics"))
    run.becomes("Succeeded")

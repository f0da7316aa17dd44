"""What the templates make of values."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.variants import DIGEST, VARIANTS
from support.helm import CHART, Helm, one
from support.rbac import grants
from vistrain_api.protocol import LABEL_ATTEMPT, LABEL_RUN, PORT
from vistrain_operator.settings import parser

Object = dict[str, Any]
CRDS = Path(__file__).parents[2] / "crds"
READ = {"get", "list", "watch"}
TRAINERS = {"matchExpressions": [{"key": LABEL_RUN, "operator": "Exists"}]}


def identity(thing: Object) -> tuple[str, str, str]:
    return thing["kind"], thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def operator_pod(objects: list[Object]) -> Object:
    return one(objects, "Deployment")["spec"]["template"]


def operator_arguments(objects: list[Object]) -> list[str]:
    [container] = operator_pod(objects)["spec"]["containers"]
    return container["args"]


def test_what_the_defaults_install(helm: Helm) -> None:
    assert sorted(identity(o) for o in helm.template()) == [
        ("ClusterRole", "", "vistrain-system:vistrain"),
        ("ClusterRole", "", "vistrain-system:vistrain:edit"),
        ("ClusterRole", "", "vistrain-system:vistrain:view"),
        ("ClusterRoleBinding", "", "vistrain-system:vistrain"),
        ("CustomResourceDefinition", "", "detectortrainings.vistrain.dev"),
        ("Deployment", "vistrain-system", "vistrain"),
        ("PodDisruptionBudget", "vistrain-system", "vistrain"),
        ("Role", "vistrain-system", "vistrain-leader-election"),
        ("RoleBinding", "vistrain-system", "vistrain-leader-election"),
        ("Service", "vistrain-system", "vistrain"),
        ("ServiceAccount", "vistrain-system", "vistrain"),
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_of_a_run_belongs_to_the_release(helm: Helm, name: str) -> None:
    """Helm changes and deletes what it renders: with Jobs among it, an upgrade would end trainings."""
    objects = helm.template(VARIANTS[name])
    assert {o["kind"] for o in objects} <= {
        "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Deployment", "NetworkPolicy",
        "PodDisruptionBudget", "PodMonitor", "Role", "RoleBinding", "Service", "ServiceAccount",
        "ServiceMonitor",
    }  # fmt: skip
    # Not by labels either: no selector of the release's own workload may catch a trainer.
    for thing in (one(objects, "Deployment"), *[o for o in objects if o["kind"] == "PodDisruptionBudget"]):
        assert "app.kubernetes.io/component" in thing["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("name", VARIANTS)
def test_everything_says_whose_it_is(helm: Helm, name: str) -> None:
    for thing in helm.template(VARIANTS[name]):
        labels = thing["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/instance"] == "vistrain"
        assert labels["app.kubernetes.io/version"] == "0.1.0"


@pytest.mark.parametrize("name", VARIANTS)
def test_no_name_is_given_twice(helm: Helm, name: str) -> None:
    names = [identity(o) for o in helm.template(VARIANTS[name])]
    assert len(names) == len(set(names))


class TestCrd:
    def test_is_the_generated_one_and_is_kept(self, helm: Helm) -> None:
        rendered = one(helm.template(), "CustomResourceDefinition")
        [file] = CRDS.glob("*.yaml")
        generated = yaml.safe_load(file.read_text())
        assert rendered["spec"] == generated["spec"]
        assert rendered["metadata"]["name"] == generated["metadata"]["name"]
        assert rendered["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"

    def test_can_be_left_to_another_release(self, helm: Helm) -> None:
        objects = helm.template({"crds": {"install": False}})
        assert "CustomResourceDefinition" not in {o["kind"] for o in objects}


class TestImages:
    @pytest.mark.parametrize(
        ("values", "reference"),
        [
            ({}, "vistrain-operator:0.1.0"),
            ({"repository": "registry.example:5000/a/b"}, "registry.example:5000/a/b:0.1.0"),
            ({"repository": "a", "tag": "dev"}, "a:dev"),
            ({"repository": "a", "digest": DIGEST}, f"a@{DIGEST}"),
            ({"repository": "a", "tag": "dev", "digest": DIGEST}, f"a@{DIGEST}"),
        ],
    )
    def test_reference(self, helm: Helm, values: Object, reference: str) -> None:
        objects = helm.template({"image": values, "trainer": {"image": values}})
        [container] = operator_pod(objects)["spec"]["containers"]
        assert container["image"] == reference
        trainer = reference.replace("vistrain-operator", "vistrain-trainer")
        assert f"--image={trainer}" in operator_arguments(objects)

    def test_pull_secrets(self, helm: Helm) -> None:
        objects = helm.template({"imagePullSecrets": [{"name": "a"}, {"name": "b"}]})
        assert operator_pod(objects)["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


class TestPod:
    def test_is_restricted(self, helm: Helm) -> None:
        spec = operator_pod(helm.template())["spec"]
        [container] = spec["containers"]
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "volumes" not in spec
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]

    def test_probes_ask_the_metrics_port(self, helm: Helm) -> None:
        objects = helm.template()
        [container] = operator_pod(objects)["spec"]["containers"]
        [port] = container["ports"]
        assert f"--port={port['containerPort']}" in container["args"]
        probes = ("startup", "liveness", "readiness")
        asked = {probe: container[f"{probe}Probe"]["httpGet"] for probe in probes}
        assert {get["port"] for get in asked.values()} == {port["name"]}
        assert {probe: get["path"] for probe, get in asked.items()} == {
            "startup": "/healthz",
            "liveness": "/healthz",
            "readiness": "/readyz",
        }
        [service_port] = one(objects, "Service")["spec"]["ports"]
        assert service_port["targetPort"] == port["name"]

    @pytest.mark.parametrize("name", VARIANTS)
    def test_the_operator_understands_its_arguments(self, helm: Helm, name: str) -> None:
        objects = helm.template(VARIANTS[name])
        told = parser().parse_args(operator_arguments(objects))
        [image] = [
            a.removeprefix("--image=") for a in operator_arguments(objects) if a.startswith("--image=")
        ]
        assert told.image == image
        assert (told.namespace or []) == VARIANTS[name].get("watchNamespaces", [])
        assert (told.port, told.log_format, told.log_level, told.workers) == (8080, "json", "info", 8)
        assert not told.no_leader_election
        [container] = operator_pod(objects)["spec"]["containers"]
        fields = {e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"]}
        assert fields == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}

    def test_replicas_are_spread_softly(self, helm: Helm) -> None:
        deployment = one(helm.template(), "Deployment")
        assert deployment["spec"]["replicas"] == 2
        [spread] = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
        assert spread["labelSelector"] == deployment["spec"]["selector"]

    def test_an_upgrade_never_goes_without_an_operator(self, helm: Helm) -> None:
        assert one(helm.template(), "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0

    def test_a_drain_is_never_blocked(self, helm: Helm) -> None:
        for replicas in (1, 2):
            budget = one(helm.template({"replicas": replicas}), "PodDisruptionBudget")
            assert budget["spec"]["maxUnavailable"] == 1

    def test_placement_is_passed_on(self, helm: Helm) -> None:
        values = VARIANTS["placed"]
        objects = helm.template(values)
        template = operator_pod(objects)
        placing = ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints")
        for key in ("priorityClassName", *placing):
            assert template["spec"][key] == values[key]
        assert template["spec"]["containers"][0]["resources"] == values["resources"]
        assert template["metadata"]["labels"]["team"] == "platform"
        for thing in (template, one(objects, "Service"), one(objects, "ServiceAccount")):
            assert thing["metadata"]["annotations"]["example.org/note"] == "yes"
        # The selector cannot change in a Deployment's life, so what people add is no part of it.
        assert "team" not in one(objects, "Deployment")["spec"]["selector"]["matchLabels"]

    def test_the_token_is_the_operators_pods_only(self, helm: Helm) -> None:
        objects = helm.template()
        assert one(objects, "ServiceAccount")["automountServiceAccountToken"] is False
        assert operator_pod(objects)["spec"]["automountServiceAccountToken"] is True


class TestRights:
    def test_the_whole_cluster(self, helm: Helm) -> None:
        objects = helm.template()
        assert not any(argument.startswith("--namespace") for argument in operator_arguments(objects))
        granted = grants(objects, "vistrain-system", "vistrain")
        assert {g.role for g in granted} == {"vistrain-system:vistrain", "vistrain-leader-election"}
        assert all(not g.namespaces for g in granted if g.role == "vistrain-system:vistrain")
        assert_least(granted)

    def test_two_namespaces(self, helm: Helm) -> None:
        objects = helm.template({"watchNamespaces": ["team-a", "team-b"]})
        assert [a for a in operator_arguments(objects) if a.startswith("--namespace")] == [
            "--namespace=team-a",
            "--namespace=team-b",
        ]
        granted = grants(objects, "vistrain-system", "vistrain")
        everywhere = [g for g in granted if not g.namespaces]
        assert {g.resource for g in everywhere} == {"nodes"}
        assert {g.namespaces for g in granted if g.namespaces} == {("vistrain-system",), ("team-a", "team-b")}
        assert_least(granted)

    def test_the_same_rules_either_way(self, helm: Helm) -> None:
        def rules(values: Object) -> set[tuple[str, str, str]]:
            granted = grants(helm.template(values), "vistrain-system", "vistrain")
            return {(g.verb, g.group, g.resource) for g in granted}

        assert rules({}) == rules({"watchNamespaces": ["team-a"]})

    def test_nodes_may_stay_unread(self, helm: Helm) -> None:
        objects = helm.template(VARIANTS["two namespaces, nodes unread"])
        assert all(g.namespaces for g in grants(objects, "vistrain-system", "vistrain"))
        assert not any(o["kind"] == "ClusterRoleBinding" for o in objects)
        cluster_wide = helm.template({"rbac": {"readNodes": False}})
        assert "nodes" not in {g.resource for g in grants(cluster_wide, "vistrain-system", "vistrain")}

    def test_the_lease_is_the_one_that_the_operator_holds(self, helm: Helm) -> None:
        objects = helm.template(release="blue")
        assert "--lease-name=blue-vistrain" in operator_arguments(objects)
        named = [g for g in grants(objects, "vistrain-system", "blue-vistrain") if g.resource == "leases"]
        assert {(g.verb, g.names, g.namespaces) for g in named} == {
            ("create", (), ("vistrain-system",)),
            ("get", ("blue-vistrain",), ("vistrain-system",)),
            ("update", ("blue-vistrain",), ("vistrain-system",)),
        }

    def test_an_account_of_the_platforms_own(self, helm: Helm) -> None:
        objects = helm.template(VARIANTS["an account of the platform's own"])
        assert operator_pod(objects)["spec"]["serviceAccountName"] == "existing"
        assert {o["kind"] for o in objects} == {"Deployment", "Service", "PodDisruptionBudget"}
        with pytest.raises(Exception, match=r"serviceAccount\.name"):
            helm.template({"serviceAccount": {"create": False}})

    def test_users(self, helm: Helm) -> None:
        objects = helm.template()
        edit = one(objects, "ClusterRole", "vistrain-system:vistrain:edit")
        view = one(objects, "ClusterRole", "vistrain-system:vistrain:view")
        aggregated = {
            role["metadata"]["name"].rsplit(":")[-1]: {
                label.removeprefix("rbac.authorization.k8s.io/aggregate-to-")
                for label, value in role["metadata"]["labels"].items()
                if label.startswith("rbac.authorization.k8s.io/aggregate-to-") and value == "true"
            }
            for role in (edit, view)
        }
        assert aggregated == {"edit": {"edit", "admin"}, "view": {"view"}}
        assert {verb for rule in view["rules"] for verb in rule["verbs"]} == READ
        for role in (edit, view):
            for rule in role["rules"]:
                if "detectortrainings/status" in rule["resources"]:
                    assert set(rule["verbs"]) == {"get"}, "status is the operator's to write"


def assert_least(granted: list[Any]) -> None:
    """No wildcard, no secrets, nothing that leads to more rights."""
    for grant in granted:
        assert "*" not in (grant.verb, grant.group, grant.resource)
        assert grant.verb not in {"bind", "escalate", "impersonate", "deletecollection"}
        assert grant.group != "rbac.authorization.k8s.io"
        assert grant.resource not in {"secrets", "serviceaccounts", "pods/exec", "namespaces"}


class TestMetrics:
    def test_off_by_default(self, helm: Helm) -> None:
        assert not {o["kind"] for o in helm.template()} & {"ServiceMonitor", "PodMonitor", "NetworkPolicy"}

    def test_operator(self, helm: Helm) -> None:
        objects = helm.template(VARIANTS["metrics"])
        monitor, service = one(objects, "ServiceMonitor"), one(objects, "Service")
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        [endpoint] = monitor["spec"]["endpoints"]
        assert endpoint["port"] == service["spec"]["ports"][0]["name"]
        assert endpoint["honorLabels"] is True
        assert endpoint["interval"] == "15s"

    def test_trainers(self, helm: Helm) -> None:
        monitor = one(helm.template(VARIANTS["metrics"]), "PodMonitor")
        assert monitor["spec"]["namespaceSelector"] == {"any": True}
        assert monitor["spec"]["selector"] == TRAINERS
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["interval"] == "5s"
        sources = {rule["targetLabel"]: rule["sourceLabels"] for rule in endpoint["relabelings"]}
        prefix = "__meta_kubernetes_pod_label_"
        assert sources == {
            target: [prefix + label.translate(str.maketrans("./-", "___"))]
            for target, label in (("run", LABEL_RUN), ("attempt", LABEL_ATTEMPT))
        }

    def test_trainers_of_two_namespaces(self, helm: Helm) -> None:
        monitor = one(helm.template(VARIANTS["metrics of two namespaces"]), "PodMonitor")
        assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


class TestNetwork:
    def test_operator(self, helm: Helm) -> None:
        objects = helm.template(VARIANTS["closed network"])
        policy = one(objects, "NetworkPolicy", "vistrain")["spec"]
        assert policy["podSelector"] == one(objects, "Deployment")["spec"]["selector"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        [ingress] = policy["ingress"]
        assert ingress["ports"] == [{"port": "metrics", "protocol": "TCP"}]
        assert ingress["from"] == [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
        ]
        dns, api, trainers = policy["egress"]
        assert {p["port"] for p in dns["ports"]} == {53}
        assert api["ports"] == [{"port": 443, "protocol": "TCP"}]
        assert api["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
        assert trainers == {
            "ports": [{"port": PORT, "protocol": "TCP"}],
            "to": [{"namespaceSelector": {}, "podSelector": TRAINERS}],
        }

    def test_trainers(self, helm: Helm) -> None:
        objects = helm.template(VARIANTS["closed network of two namespaces, nobody scrapes"])
        selector = one(objects, "Deployment")["spec"]["selector"]
        policies = [o for o in objects if o["metadata"]["name"] == "vistrain-vistrain-system-trainers"]
        assert [p["metadata"]["namespace"] for p in policies] == ["team-a", "team-b"]
        for policy in policies:
            assert policy["spec"]["podSelector"] == TRAINERS
            assert policy["spec"]["policyTypes"] == ["Ingress"]
            [ingress] = policy["spec"]["ingress"]
            [operator] = ingress["from"]
            assert operator["podSelector"] == selector
            assert operator["namespaceSelector"] == {
                "matchLabels": {"kubernetes.io/metadata.name": "vistrain-system"}
            }
        own = one(objects, "NetworkPolicy", "vistrain")["spec"]
        assert own["ingress"] == []
        [names] = own["egress"][-1]["to"][0]["namespaceSelector"]["matchExpressions"]
        assert names["values"] == ["team-a", "team-b"]


class TestSeveralReleases:
    PLACES = (("blue", "vistrain-system"), ("green", "vistrain-system"), ("blue", "other-system"))

    @pytest.mark.parametrize("name", ["defaults", "two namespaces", "metrics", "closed network"])
    def test_their_names_differ(self, helm: Helm, name: str) -> None:
        """Also while two watch one namespace, as they do when one hands over to the other."""
        values = {**VARIANTS[name], "crds": {"install": False}}
        rendered = [
            {identity(o) for o in helm.template(values, release=release, namespace=namespace)}
            for release, namespace in self.PLACES
        ]
        for (i, ours), (j, theirs) in product(enumerate(rendered), repeat=2):
            assert i == j or not ours & theirs

    def test_they_select_their_own_pods(self, helm: Helm) -> None:
        selectors = [
            json.dumps(one(helm.template(release=release), "Deployment")["spec"]["selector"], sort_keys=True)
            for release in ("blue", "green")
        ]
        assert len(set(selectors)) == 2

    def test_long_names_stay_within_limits(self, helm: Helm) -> None:
        release = "a-release-with-a-name-as-long-as-helm-permits-it-012"
        objects = helm.template(release=release, namespace="n" * 63)
        deployment = one(objects, "Deployment")["metadata"]["name"]
        assert len(deployment) <= 50
        assert not deployment.endswith("-")


def test_the_chart_carries_its_version_once() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"]

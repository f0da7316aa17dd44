"""values.yaml and values.schema.json: what may be set, and what is said when something else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from chart.variants import DIGEST, VARIANTS
from support.helm import CHART, KUBERNETES, Helm, HelmError

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"replica": 2}, "replica"),
    ({"replicas": "2"}, "replicas"),
    ({"replicas": -1}, "replicas"),
    ({"image": {"repo": "x"}}, "repo"),
    ({"image": {"repository": ""}}, "repository"),
    ({"image": {"repository": "vistrain/operator:1.0"}}, "repository"),
    ({"image": {"tag": "a b"}}, "tag"),
    ({"image": {"digest": DIGEST[:-1]}}, "digest"),
    ({"image": {"digest": DIGEST.removeprefix("sha256:")}}, "digest"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"imagePullSecrets": ["registry"]}, "imagePullSecrets"),
    ({"imagePullSecrets": [{"secret": "registry"}]}, "imagePullSecrets"),
    ({"trainer": {"images": {}}}, "images"),
    ({"trainer": {"image": {"digest": "latest"}}}, "digest"),
    ({"trainer": {"image": {"pullPolicy": "Always"}}}, "pullPolicy"),
    ({"watchNamespaces": "team-a"}, "watchNamespaces"),
    ({"watchNamespaces": ["Team A"]}, "watchNamespaces"),
    ({"watchNamespaces": ["team-*"]}, "watchNamespaces"),
    ({"watchNamespaces": ["team-a", "team-a"]}, "watchNamespaces"),
    ({"crds": {"install": "yes"}}, "install"),
    ({"crds": {"keep": False}}, "keep"),
    ({"rbac": {"readNode": True}}, "readNode"),
    ({"rbac": {"create": 1}}, "create"),
    ({"serviceAccount": {"name": "My Account"}}, "name"),
    ({"workers": 0}, "workers"),
    ({"logLevel": "verbose"}, "logLevel"),
    ({"resources": {"request": {}}}, "request"),
    ({"resources": {"limits": {"memory": "512 MB"}}}, "memory"),
    ({"priorityClassName": 7}, "priorityClassName"),
    ({"nodeSelector": {"gpu": True}}, "gpu"),
    ({"tolerations": [{"keys": "gpu"}]}, "keys"),
    ({"tolerations": [{"key": "gpu", "effect": "NoStart"}]}, "effect"),
    ({"affinity": {"nodeAffinities": {}}}, "nodeAffinities"),
    ({"topologySpreadConstraints": [{"topologyKey": "zone"}]}, "maxSkew"),
    ({"podLabels": {"size": 3}}, "size"),
    ({"podAnnotations": ["x"]}, "podAnnotations"),
    ({"terminationGracePeriodSeconds": 0}, "terminationGracePeriodSeconds"),
    ({"podDisruptionBudget": {"minAvailable": 1}}, "minAvailable"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable"),
    ({"service": {"type": "LoadBalancer"}}, "type"),
    ({"serviceMonitor": {"enable": True}}, "enable"),
    ({"serviceMonitor": {"interval": "15"}}, "interval"),
    ({"podMonitor": {"interval": 15}}, "interval"),
    ({"networkPolicy": {"metricsFrom": [{"namespace": "monitoring"}]}}, "namespace"),
    ({"networkPolicy": {"apiServer": {"ports": [70000]}}}, "ports"),
    ({"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.1"]}}}, "cidrs"),
    ({"networkPolicy": {"trainerNamespaces": [7]}}, "trainerNamespaces"),
    ({"fullnameOverride": "My Vistrain"}, "fullnameOverride"),
    ({"nameOverride": "A"}, "nameOverride"),
]


@pytest.mark.parametrize(("values", "word"), REFUSED, ids=[json.dumps(v) for v, _ in REFUSED])
def test_helm_refuses_and_names_the_value(helm: Helm, values: dict[str, Any], word: str) -> None:
    with pytest.raises(HelmError, match="values don't meet the specifications of the schema") as refused:
        helm.template(values)
    assert word in str(refused.value)


@pytest.mark.parametrize("name", VARIANTS)
def test_lint_is_strict_and_content(helm: Helm, name: str) -> None:
    helm.run("lint", "--strict", "--kube-version", KUBERNETES, str(CHART), values=VARIANTS[name])


def objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of the schema that describes an object, with its path."""
    if "$ref" in schema:
        node: Any = SCHEMA
        for step in schema["$ref"].removeprefix("#/").split("/"):
            node = node[step]
        schema = node
    if schema.get("type") == "object":
        yield path, schema
        for name, member in schema.get("properties", {}).items():
            yield from objects(member, f"{path}.{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_objects_with_members_are_closed() -> None:
    with_members = [(path, schema) for path, schema in objects(SCHEMA) if "properties" in schema]
    assert [path for path, schema in with_members if schema.get("additionalProperties") is not False] == []


def test_every_value_is_listed_with_its_default() -> None:
    """values.yaml is what people read: no member of the schema is missing from it."""

    def members(value: Any, path: str = "") -> Iterator[str]:
        if isinstance(value, dict):
            for name, member in value.items():
                yield f"{path}.{name}"
                yield from members(member, f"{path}.{name}")

    listed = set(members(VALUES))
    known = {
        f"{path}.{name}"
        for path, schema in objects(SCHEMA)
        for name in schema.get("properties", {})
        if "[]" not in path and not path.startswith((".affinity", ".resources"))
    } - {".global"}
    assert known - listed - {".affinity.nodeAffinity"} == set()

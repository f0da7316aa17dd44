"""Scrape configurations for tests: fixed targets, or the chart's own PodMonitor and ServiceMonitor.

The Prometheus operator turns monitors into `kubernetes_sd_configs` with relabelling. What of that the chart's
monitors use is done here, so that a test scrapes what the rendered objects select and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Monitor = Mapping[str, Any]
ScrapeConfig = dict[str, Any]


def fixed(name: str, targets: Sequence[str], labels: Mapping[str, str] | None = None) -> ScrapeConfig:
    """A job that scrapes `host:port` targets."""
    return {"job_name": name, "static_configs": [{"targets": list(targets), "labels": dict(labels or {})}]}


def pod_monitor(monitor: Monitor, kubeconfig: Path) -> ScrapeConfig:
    """The scrape configuration of a PodMonitor with one endpoint; pods are found through `kubeconfig`."""
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    return _job(
        monitor,
        endpoint,
        kubeconfig,
        role="pod",
        keep=[
            *_selected("__meta_kubernetes_pod_label", monitor["spec"]["selector"]),
            _keep("__meta_kubernetes_pod_phase", "(Pending|Running|Unknown)"),
            _keep("__meta_kubernetes_pod_container_port_name", endpoint["port"]),
        ],
    )


def service_monitor(monitor: Monitor, kubeconfig: Path) -> ScrapeConfig:
    """The scrape configuration of a ServiceMonitor with one endpoint; pods are found through `kubeconfig`."""
    [endpoint] = monitor["spec"]["endpoints"]
    return _job(
        monitor,
        endpoint,
        kubeconfig,
        role="endpointslice",
        keep=[
            *_selected("__meta_kubernetes_service_label", monitor["spec"]["selector"]),
            _keep("__meta_kubernetes_endpointslice_port_name", endpoint["port"]),
        ],
    )


def _job(
    monitor: Monitor, endpoint: Mapping[str, Any], kubeconfig: Path, *, role: str, keep: list[dict[str, Any]]
) -> ScrapeConfig:
    metadata, selector = monitor["metadata"], monitor["spec"].get("namespaceSelector", {})
    discovery: dict[str, Any] = {"role": role, "kubeconfig_file": str(kubeconfig)}
    if not selector.get("any"):
        discovery["namespaces"] = {"names": list(selector.get("matchNames", [metadata["namespace"]]))}
    return {
        "job_name": f"{monitor['kind']}/{metadata['namespace']}/{metadata['name']}",
        "metrics_path": endpoint["path"],
        "honor_labels": endpoint.get("honorLabels", False),
        "kubernetes_sd_configs": [discovery],
        "relabel_configs": [
            *keep,
            _copy("__meta_kubernetes_namespace", "namespace"),
            _copy("__meta_kubernetes_pod_name", "pod"),
            *(_snake(rule) for rule in endpoint.get("relabelings", [])),
        ],
    }


def _selected(prefix: str, selector: Mapping[str, Any]) -> list[dict[str, Any]]:
    rules = [
        _keep(_meta(prefix, key), re.escape(value)) for key, value in selector.get("matchLabels", {}).items()
    ]
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "Exists":
            raise ValueError(f"selector operator {expression['operator']!r}: only Exists is translated here")
        rules.append(_keep(_meta(prefix.replace("_label", "_labelpresent"), expression["key"]), "true"))
    return rules


def _meta(prefix: str, label: str) -> str:
    return f"{prefix}_{re.sub(r'[^a-zA-Z0-9_]', '_', label)}"


def _keep(source: str, regex: str) -> dict[str, Any]:
    return {"action": "keep", "source_labels": [source], "regex": regex}


def _copy(source: str, target: str) -> dict[str, Any]:
    return {"source_labels": [source], "target_label": target}


def _snake(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A relabelling rule under the names that prometheus.yml has for its members."""
    return {re.sub(r"([A-Z])", lambda m: "_" + m.group(1).lower(), key): value for key, value in rule.items()}

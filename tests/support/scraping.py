"""Scrape configurations for tests: fixed targets, or the chart's own PodMonitor and ServiceMonitor.

The Prometheus operator turns monitors into jobs with discovery and relabelling. What the chart's
monitors use of it is done here, so that a test scrapes what the rendered objects select and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from support.discovery import Discovery

Monitor = Mapping[str, Any]
ScrapeConfig = dict[str, Any]


def fixed(name: str, targets: Sequence[str], labels: Mapping[str, str] | None = None) -> ScrapeConfig:
    """A job that scrapes `host:port` targets."""
    return {"job_name": name, "static_configs": [{"targets": list(targets), "labels": dict(labels or {})}]}


def pod_monitor(monitor: Monitor, discovery: Discovery) -> ScrapeConfig:
    """The job of a PodMonitor with one endpoint."""
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    keep = [
        *_selected("__meta_kubernetes_pod_label", monitor["spec"]["selector"]),
        _keep("__meta_kubernetes_pod_phase", "(Pending|Running|Unknown)"),
        _keep("__meta_kubernetes_pod_container_port_name", endpoint["port"]),
    ]
    return _job(monitor, endpoint, discovery.url("pod"), keep)


def service_monitor(monitor: Monitor, discovery: Discovery) -> ScrapeConfig:
    """The job of a ServiceMonitor with one endpoint."""
    [endpoint] = monitor["spec"]["endpoints"]
    keep = [
        *_selected("__meta_kubernetes_service_label", monitor["spec"]["selector"]),
        _keep("__meta_kubernetes_endpointslice_port_name", endpoint["port"]),
    ]
    return _job(monitor, endpoint, discovery.url("endpointslice"), keep)


def _job(
    monitor: Monitor, endpoint: Mapping[str, Any], url: str, keep: Sequence[Mapping[str, Any]]
) -> ScrapeConfig:
    metadata, selector = monitor["metadata"], monitor["spec"].get("namespaceSelector", {})
    rules = [*keep]
    if not selector.get("any"):
        names = selector.get("matchNames", [metadata["namespace"]])
        rules.append(_keep("__meta_kubernetes_namespace", "|".join(names)))
    return {
        "job_name": f"{monitor['kind']}/{metadata['namespace']}/{metadata['name']}",
        "metrics_path": endpoint["path"],
        "honor_labels": endpoint.get("honorLabels", False),
        "http_sd_configs": [{"url": url, "refresh_interval": "1s"}],
        "relabel_configs": [
            *rules,
            _copy("__meta_kubernetes_namespace", "namespace"),
            _copy("__meta_kubernetes_pod_name", "pod"),
            *(_snake(rule) for rule in endpoint.get("relabelings", [])),
        ],
    }


def _selected(prefix: str, selector: Mapping[str, Any]) -> list[dict[str, Any]]:
    labels = selector.get("matchLabels", {}).items()
    rules = [_keep(_meta(prefix, key), re.escape(value)) for key, value in labels]
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

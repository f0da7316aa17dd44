"""Sets of values that the tests render: each names what it is about."""

from __future__ import annotations

from typing import Any

DIGEST = "sha256:" + "0123456789abcdef" * 4

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "two namespaces": {"watchNamespaces": ["team-a", "team-b"]},
    "two namespaces, nodes unread": {"watchNamespaces": ["team-a", "team-b"], "rbac": {"readNodes": False}},
    "one replica": {"replicas": 1, "podDisruptionBudget": {"enabled": False}},
    "images by digest": {
        "image": {"repository": "registry.example:5000/vision/operator", "digest": DIGEST},
        "trainer": {"image": {"repository": "registry.example:5000/vision/trainer", "digest": DIGEST}},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "podMonitor": {"enabled": True, "interval": "5s"},
    },
    "metrics of two namespaces": {
        "watchNamespaces": ["team-a", "team-b"],
        "podMonitor": {"enabled": True},
    },
    "closed network": {
        "networkPolicy": {
            "enabled": True,
            "trainerNamespaces": ["team-a"],
            "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [443]},
        }
    },
    "closed network of two namespaces, nobody scrapes": {
        "watchNamespaces": ["team-a", "team-b"],
        "networkPolicy": {"enabled": True, "metricsFrom": []},
    },
    "an account of the platform's own": {
        "serviceAccount": {"create": False, "name": "existing"},
        "rbac": {"create": False, "userRoles": False},
        "crds": {"install": False},
    },
    "placed": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "control-plane", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "operator"}},
                    }
                ]
            }
        },
        "topologySpreadConstraints": [
            {"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "podLabels": {"team": "platform"},
        "podAnnotations": {"example.org/note": "yes"},
        "service": {"annotations": {"example.org/note": "yes"}},
        "serviceAccount": {"annotations": {"example.org/note": "yes"}},
        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "1Gi"}},
        "nameOverride": "trainings",
    },
}

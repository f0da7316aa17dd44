"""Kubeconfig files: how a client finds the API server with its certificate."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from vistrain_devcluster.config import ClusterConfig


def write_kubeconfig(config: ClusterConfig, user: str, path: Path) -> Path:
    """Writes a kubeconfig for the certificate ``USER`` of ``config.pki``. It holds the key."""

    def encoded(name: str) -> str:
        return base64.b64encode((config.pki / name).read_bytes()).decode()

    context = f"{config.name}-devcluster"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": context,
                "cluster": {"server": config.api_server, "certificate-authority-data": encoded("ca.crt")},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": encoded(f"{user}.crt"),
                    "client-key-data": encoded(f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
        "current-context": context,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path

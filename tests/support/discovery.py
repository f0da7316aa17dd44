"""Kubernetes discovery for a Prometheus that was built without it, as Debian's is.

A server on loopback that answers `http_sd_configs` with the targets and the `__meta_kubernetes_*` labels
that Prometheus documents of its own discovery of roles `pod` and `endpointslice`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from vistrain_devcluster.kubectl import Kubectl, KubectlError

Target = dict[str, Any]
Object = dict[str, Any]


class Discovery:
    """A context manager; every request lists the cluster anew."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        roles = {"/pod": self.pods, "/endpointslice": self.endpoints}

        class Handler(BaseHTTPRequestHandler):
            """Answers with a role's targets; 503 while there is no API server, so that the last stay."""

            def do_GET(self) -> None:
                """Prometheus's refresh."""
                try:
                    body = json.dumps(list(roles[self.path]()))
                except KubectlError as error:
                    self.send_error(503, str(error)[:200].replace("\n", " "))
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: a refresh a second is no news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Discovery:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, role: str) -> str:
        """Where the targets of role `pod` or `endpointslice` are."""
        return f"http://127.0.0.1:{self._server.server_port}/{role}"

    def pods(self) -> Iterator[Target]:
        """A target for each port of each container of each pod that has an address."""
        for pod in self._items("/api/v1/pods"):
            address = pod.get("status", {}).get("podIP")
            if not address:
                continue
            for container in pod["spec"]["containers"]:
                for port in container.get("ports", []):
                    labels = _pod_labels(pod) | {
                        "__meta_kubernetes_pod_container_name": container["name"],
                        "__meta_kubernetes_pod_container_port_name": port.get("name", ""),
                    }
                    yield {"targets": [f"{address}:{port['containerPort']}"], "labels": labels}

    def endpoints(self) -> Iterator[Target]:
        """A target for each port of each ready endpoint of each Service."""
        services = {_key(s): s for s in self._items("/api/v1/services")}
        pods = {_key(p): p for p in self._items("/api/v1/pods")}
        for piece in self._items("/apis/discovery.k8s.io/v1/endpointslices"):
            namespace = piece["metadata"]["namespace"]
            owner = piece["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
            service = services.get((namespace, owner))
            for endpoint in piece.get("endpoints") or []:
                if service is None or not endpoint.get("conditions", {}).get("ready"):
                    continue
                pod = pods.get((namespace, endpoint.get("targetRef", {}).get("name", "")))
                for port in piece.get("ports") or []:
                    labels = {"__meta_kubernetes_namespace": namespace}
                    labels |= _pod_labels(pod) if pod else {}
                    labels |= _labels("service", service)
                    labels["__meta_kubernetes_endpointslice_port_name"] = port.get("name", "")
                    yield {"targets": [f"{endpoint['addresses'][0]}:{port['port']}"], "labels": labels}

    def _items(self, path: str) -> list[Object]:
        items: list[Object] = self._kubectl.raw(path)["items"]
        return items


def _key(thing: Object) -> tuple[str, str]:
    return thing["metadata"]["namespace"], thing["metadata"]["name"]


def _pod_labels(pod: Object) -> dict[str, str]:
    return _labels("pod", pod) | {
        "__meta_kubernetes_namespace": pod["metadata"]["namespace"],
        "__meta_kubernetes_pod_name": pod["metadata"]["name"],
        "__meta_kubernetes_pod_uid": pod["metadata"]["uid"],
        "__meta_kubernetes_pod_phase": pod.get("status", {}).get("phase", ""),
        "__meta_kubernetes_pod_node_name": pod["spec"].get("nodeName", ""),
    }


def _labels(kind: str, thing: Object) -> dict[str, str]:
    found = {}
    for key, value in thing["metadata"].get("labels", {}).items():
        name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
        found[f"__meta_kubernetes_{kind}_label_{name}"] = value
        found[f"__meta_kubernetes_{kind}_labelpresent_{name}"] = "true"
    return found

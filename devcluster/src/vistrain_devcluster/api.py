"""Calls to the API server as the administrator, for the cluster's own needs."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import ssl
import time
from collections.abc import Callable
from typing import Any

from vistrain_devcluster.config import ClusterConfig


class ApiError(RuntimeError):
    """The API server refused; ``status`` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """The cluster's API server. Calls raise :class:`ApiError`, or :class:`OSError` while nothing answers."""

    def __init__(self, config: ClusterConfig) -> None:
        self.config = config

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> str:
        """The text of one answer."""
        context = ssl.create_default_context(cafile=str(self.config.pki / "ca.crt"))
        context.load_cert_chain(self.config.pki / "admin.crt", self.config.pki / "admin.key")
        connection = http.client.HTTPSConnection(
            str(self.config.gateway.ip), 6443, context=context, timeout=10
        )
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, body=data, headers={"Content-Type": content_type})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise ConnectionError(f"the API server broke off: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError(f"{method} {path}: {response.status} {text.strip()[:500]}", response.status)
        return text

    def get(self, path: str) -> Any:
        return json.loads(self.call("GET", path))

    def exists(self, path: str) -> bool:
        """Whether the object of that path is there."""
        try:
            self.call("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def ready(self) -> bool:
        """Whether ``/readyz`` says ok. Never raises."""
        try:
            return self.call("GET", "/readyz") == "ok"
        except (ApiError, OSError):
            return False

    def nodes(self) -> dict[str, bool]:
        """Whether each registered node is Ready."""
        return {name: condition.get("status") == "True" for name, condition in self._conditions().items()}

    def heartbeats(self) -> dict[str, float]:
        """When each node's kubelet last told its state (seconds since the epoch, whole)."""
        return {
            name: dt.datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp()
            for name, condition in self._conditions().items()
            if condition.get("lastHeartbeatTime")
        }

    def _conditions(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for node in self.get("/api/v1/nodes")["items"]:
            conditions = node["status"].get("conditions", [])
            found[node["metadata"]["name"]] = next((c for c in conditions if c["type"] == "Ready"), {})
        return found

    def allocatable(self, node: str) -> dict[str, str]:
        """What pods may ask of a node, by resource."""
        return dict(self.get(f"/api/v1/nodes/{node}")["status"].get("allocatable", {}))

    def delete(self, path: str) -> None:
        """Deletes an object; one that is gone is fine."""
        try:
            self.call("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise


def wait_until(what: str, true: Callable[[], bool], seconds: float, hint: str) -> None:
    """Polls until ``true()``; after ``seconds`` an error that says what was awaited and where to look."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} not within {seconds:.0f} s; {hint}")
        time.sleep(0.1)

"""The Kubernetes API with dicts in and out, through the client of `kubernetes.aio`.

The generated typed calls are not used: lists of models are slow to build (1,000 pods block the loop for
0.8 s) and server-side apply needs nothing of them.

All that the operator asks of the API server, watches included; its roles grant this and no more:

    detectortrainings           list, watch, delete          delete: ttlAfterFinished
    detectortrainings/status    patch                        server-side apply
    jobs                        get, list, watch, create, delete
    pods                        list, watch, delete          delete: a pod that no Job owns any more
    configmaps                  create                       the resolved manifest, immutable
    persistentvolumeclaims      get
    events                      create, list                 list: why a Job makes no pod, or a pod hangs
    nodes                       list, watch                  cluster-wide, may be withheld
    leases                      create; get, update          in its own namespace; by name
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.incluster_config import load_incluster_config
from kubernetes.aio.config.kube_config import load_kube_config

from vistrain_operator import metrics
from vistrain_operator.objects import Object

FIELD_MANAGER = "vistrain-operator"
APPLY = "application/apply-patch+yaml"
JSON = "application/json"
# A request that takes longer is given up; the reconcile is tried again.
TIMEOUT = 30.0
# More than the workers ever need: who waits for a connection may wait long, since others take it first.
CONNECTIONS = 32


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status, the text its own message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def conflict(self) -> bool:
        """Whether the object was changed by somebody else meanwhile."""
        return self.status == 409 and self.reason == "Conflict"

    @property
    def exists(self) -> bool:
        """Whether an object of that name is there already."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def missing(self) -> bool:
        """Whether there is no such object."""
        return self.status == 404


def in_cluster() -> bool:
    """Whether this process is a pod."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


async def configuration(kubeconfig: str | None, context: str | None) -> Configuration:
    """How to reach the API server: a kubeconfig where one is named, else the service account."""
    config = Configuration()
    if kubeconfig or context or not in_cluster():
        file = kubeconfig or os.environ.get("KUBECONFIG")
        await load_kube_config(
            config_file=file, context=context, client_configuration=config, persist_config=False
        )
    else:
        load_incluster_config(client_configuration=config)
    config.connection_pool_maxsize = CONNECTIONS
    # Asked anew for every request, in a thread, the environment's proxies cost a quarter of the time.
    config.client_session_kwargs = {"trust_env": _proxied(config.host)}
    return config


def _proxied(url: str) -> bool:
    """Whether the environment names a proxy for that address."""
    parts = urlsplit(url)
    return parts.scheme in getproxies() and not proxy_bypass(parts.hostname or "")


class Api:
    """Requests to the API server. Raises ApiError, or an aiohttp error where there is no answer."""

    def __init__(self, config: Configuration) -> None:
        self._client = ApiClient(config)
        self._client.user_agent = FIELD_MANAGER

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        resource: str,
        body: Any = None,
        query: dict[str, str] | None = None,
        content: str = JSON,
    ) -> Object:
        """One request; `resource` is its label in the metrics."""
        headers = {"Accept": JSON, "Content-Type": content}
        verb, url, headers, _, _ = await self._client.param_serialize(
            method=method, resource_path=path, header_params=headers, auth_settings=["BearerToken"]
        )
        if query:
            url += "?" + urlencode(query)
        code = "error"
        try:
            response = await self._client.call_api(verb, url, headers, body, _request_timeout=TIMEOUT)
            code = str(response.status)
            data = await response.read()
        finally:
            metrics.API_REQUESTS.labels(method, resource, code).inc()
        value: Object = json.loads(data) if data[:1] == b"{" else {"message": data.decode(errors="replace")}
        if response.status >= 400:
            raise ApiError(response.status, str(value.get("reason", "")), str(value.get("message", "")))
        return value

    async def get(self, path: str, resource: str, query: dict[str, str] | None = None) -> Object:
        """An object or a list."""
        return await self.request("GET", path, resource=resource, query=query)

    async def find(self, path: str, resource: str) -> Object | None:
        """An object; none where there is none."""
        try:
            return await self.get(path, resource)
        except ApiError as error:
            if error.missing:
                return None
            raise

    async def create(self, path: str, resource: str, body: Object) -> Object:
        """A new object."""
        return await self.request(
            "POST", path, resource=resource, body=body, query={"fieldManager": FIELD_MANAGER}
        )

    async def replace(self, path: str, resource: str, body: Object) -> Object:
        """An object as a whole; its resourceVersion must be the newest."""
        return await self.request(
            "PUT", path, resource=resource, body=body, query={"fieldManager": FIELD_MANAGER}
        )

    async def apply(self, path: str, resource: str, body: Object) -> Object:
        """Server-side apply as the one field manager."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self.request("PATCH", path, resource=resource, body=body, query=query, content=APPLY)

    async def delete(self, path: str, resource: str, *, uid: str, propagation: str) -> None:
        """Delete the object with that UID and no other of its name; one that is gone is deleted."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {"uid": uid},
        }
        try:
            await self.request("DELETE", path, resource=resource, body=body)
        except ApiError as error:
            if not (error.missing or error.conflict):  # a conflict: another object bears the name by now
                raise

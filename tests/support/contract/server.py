"""A real API server that knows the CRD, asked over one connection: thousands of manifests in seconds."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from support.contract.manifests import ROOT, Manifest
from support.control_plane import ADMIN_TOKEN, ControlPlane
from vistrain_api import GROUP, VERSION
from vistrain_api.crd.definition import NAME, PLURAL
from vistrain_devcluster.kubectl import Kubectl

NAMESPACE = "default"


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    code: int
    body: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether the object was let in."""
        return self.code < 300

    @property
    def message(self) -> str:
        """The refusal's text."""
        return str(self.body.get("message", ""))

    @property
    def fields(self) -> list[str]:
        """The fields that a refusal names."""
        causes = self.body.get("details", {}).get("causes", ())
        return [cause.get("field", "") for cause in causes]


class Server:
    """The API server with the CRD applied."""

    def __init__(self, plane: ControlPlane) -> None:
        self.kubectl: Kubectl = plane.kubectl
        self.kubectl.run("apply", "--server-side", "-f", str(ROOT / "crds" / f"{NAME}.yaml"))
        self.kubectl.run("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=30s")
        authority = plane.directory / "certificates" / "apiserver.crt"
        self._connection = http.client.HTTPSConnection(
            str(urlsplit(plane.url).netloc), timeout=30, context=ssl.create_default_context(cafile=authority)
        )

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def create(self, manifest: Manifest, *, dry_run: bool = True, strict: bool = True) -> Answer:
        """Create a run, as `kubectl apply` does when `strict`; nothing is stored by a dry run."""
        query = f"?fieldValidation={'Strict' if strict else 'Warn'}" + ("&dryRun=All" if dry_run else "")
        return self._ask("POST", query, manifest, "application/json")

    def patch(self, name: str, change: dict[str, Any], *, subresource: str = "") -> Answer:
        """Merge a change into a run."""
        path = f"/{name}{subresource}?fieldValidation=Strict"
        return self._ask("PATCH", path, change, "application/merge-patch+json")

    def apply(self, manifest: Manifest) -> Answer:
        """Server-side apply."""
        path = f"/{manifest['metadata']['name']}?fieldManager=test&fieldValidation=Strict"
        return self._ask("PATCH", path, manifest, "application/apply-patch+yaml")

    def delete(self, name: str) -> Answer:
        """Delete a run."""
        return self._ask("DELETE", f"/{name}", None, "application/json")

    def _ask(self, method: str, path: str, body: Any, kind: str) -> Answer:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": kind}
        url = f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}{path}"
        content = json.dumps(body) if body is not None else None
        try:
            self._connection.request(method, url, content, headers)
        except (http.client.HTTPException, OSError):
            # The server ends a connection that has served many requests; the next one opens it anew.
            self._connection.close()
            self._connection.request(method, url, content, headers)
        with self._connection.getresponse() as response:
            return Answer(response.status, json.loads(response.read()))

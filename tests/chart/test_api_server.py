"""The chart's objects before a real API server: validation, and the admission of Pod Security."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chart.variants import VARIANTS
from support.helm import Helm, one
from vistrain_devcluster.kubectl import Kubectl, KubectlError

pytestmark = pytest.mark.cluster

RESTRICTED = "restricted-system"


@pytest.mark.parametrize("name", VARIANTS)
def test_every_object_is_valid(helm: Helm, kubectl: Kubectl, name: str) -> None:
    """Server-side dry run: the schemas, unknown fields refused, and the API server's own validation."""
    objects = helm.template(VARIANTS[name])
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    said = kubectl.run("apply", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-", stdin=items)
    assert len(said.split()) == len(objects)


@pytest.fixture(scope="module")
def restricted(kubectl: Kubectl) -> Kubectl:
    """A namespace that enforces Pod Security "restricted"."""
    kubectl.run("create", "namespace", RESTRICTED)
    kubectl.run("label", "namespace", RESTRICTED, "pod-security.kubernetes.io/enforce=restricted")
    # Every pod of a namespace waits for its default account, and ours for its own.
    kubectl.run("create", "serviceaccount", "vistrain", "--namespace", RESTRICTED)
    return kubectl.within(RESTRICTED)


def operator_pod(helm: Helm, name: str) -> dict[str, Any]:
    template = one(helm.template(VARIANTS[name], namespace=RESTRICTED), "Deployment")["spec"]["template"]
    template["metadata"]["name"] = "operator"
    return {"apiVersion": "v1", "kind": "Pod", **template}


@pytest.mark.parametrize("name", ["defaults", "images by digest", "two namespaces"])
def test_operator_pods_are_admitted(helm: Helm, restricted: Kubectl, name: str) -> None:
    said = restricted.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(operator_pod(helm, name)))
    assert "created" in said


@pytest.mark.parametrize(
    ("where", "member", "word"),
    [
        ("pod", "runAsNonRoot", "runAsNonRoot"),
        ("pod", "seccompProfile", "seccompProfile"),
        ("container", "allowPrivilegeEscalation", "allowPrivilegeEscalation"),
        ("container", "capabilities", "unrestricted capabilities"),
    ],
)
def test_each_setting_is_needed(helm: Helm, restricted: Kubectl, where: str, member: str, word: str) -> None:
    """Shows that the namespace enforces, and that no line of the security context is idle."""
    pod = operator_pod(helm, "defaults")
    holder = pod["spec"] if where == "pod" else pod["spec"]["containers"][0]
    del holder["securityContext"][member]
    with pytest.raises(KubectlError, match=word):
        restricted.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))

"""The comparison of roles and audit log, on a real audit log of requests that are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.control_plane import ControlPlane
from support.rbac import Access, Grant, compare, grants, log_lines, usage, user_name
from support.runs import wait_for
from vistrain_devcluster.kubectl import Kubectl, KubectlError

RULES = [
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list", "delete"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["one"]},
]


def bound(namespace: str, rules: list[dict[str, Any]], name: str = "worker") -> list[dict[str, Any]]:
    """A Role and its binding to account `robot` of `team-a`."""
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": name, "namespace": namespace}
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "team-a"}],
        },
    ]


def event(verb: str, resource: str, *, decision: str = "allow", **reference: str) -> str:
    """A line as the API server writes it, of what the comparison reads."""
    return json.dumps(
        {
            "kind": "Event",
            "verb": verb,
            "user": {"username": user_name("team-a", "robot")},
            "objectRef": {"resource": resource, "apiVersion": "v1", **reference},
            "annotations": {"authorization.k8s.io/decision": decision},
        },
        separators=(",", ":"),
    )


def test_grants_of_equal_rules_are_one() -> None:
    manifests = bound("team-a", RULES[:1]) + bound("team-b", RULES[:1])
    assert grants(manifests, "team-a", "robot") == [
        Grant("worker", verb, "batch", "jobs", (), ("team-a", "team-b")) for verb in ("delete", "list")
    ]
    assert grants(manifests, "team-b", "robot") == []


def test_one_use_in_one_namespace_will_do() -> None:
    manifests = bound("team-a", RULES[:1]) + bound("team-b", RULES[:1])
    lines = [event(verb, "jobs", apiGroup="batch", namespace="team-b") for verb in ("list", "delete")]
    assert compare(manifests, lines, "team-a", "robot").exact


def test_what_is_allowed_from_elsewhere_is_told() -> None:
    lines = [event("get", "secrets", namespace="team-a", name="key")]
    comparison = compare(bound("team-a", []), lines, "team-a", "robot")
    assert comparison.foreign == (Access("get", "", "secrets", "team-a", "key"),)
    assert str(comparison) == "allowed from elsewhere: get secrets in team-a (key)"


@pytest.fixture(scope="module")
def manifests(control_plane: ControlPlane) -> list[dict[str, Any]]:
    return bound("team-a", RULES)


@pytest.fixture(scope="module")
def robot(control_plane: ControlPlane, manifests: list[dict[str, Any]]) -> Kubectl:
    """kubectl as a service account with those rules, by its token."""
    admin = control_plane.kubectl
    admin.run("create", "serviceaccount", "robot", "--namespace", "team-a")
    admin.run("create", "configmap", "one", "--namespace", "team-a")
    admin.apply(*manifests)
    token = admin.run("create", "token", "robot", "--namespace", "team-a").strip()
    file = control_plane.directory / "robot.kubeconfig"
    file.write_text(control_plane.kubeconfig.read_text().replace("token: admin", f"token: {token}"))
    return Kubectl(admin.binary, str(file), namespace="team-a")


@pytest.mark.cluster
def test_the_three_kinds_of_wrong(
    control_plane: ControlPlane, robot: Kubectl, manifests: list[dict[str, Any]]
) -> None:
    # The authoriser learns of a new role a moment later, and what was refused would stay in the log.
    may = ("auth", "can-i", "--as=system:serviceaccount:team-a:robot", "list", "jobs.batch")
    wait_for("the role to hold", lambda: "yes" in control_plane.kubectl.within("team-a").run(*may))
    robot.run("get", "jobs")
    robot.run("get", "configmap", "one")
    for arguments in (("get", "configmap", "two"), ("get", "pods")):
        with pytest.raises(KubectlError, match="Forbidden"):
            robot.run(*arguments)

    seen = wait_for(
        "the log to be written",
        lambda: (
            (u := usage(log_lines(control_plane.audit_log), user_name("team-a", "robot")))
            and len(u.refused) == 2
            and u
        ),
    )
    assert Access("list", "batch", "jobs", "team-a") in seen.allowed
    comparison = compare(manifests, log_lines(control_plane.audit_log), "team-a", "robot")
    assert comparison.refused == (
        Access("get", "", "configmaps", "team-a", "two"),
        Access("list", "", "pods", "team-a"),
    )
    assert comparison.unused == (Grant("worker", "delete", "batch", "jobs", (), ("team-a",)),)
    assert comparison.foreign == ()
    assert str(comparison).splitlines() == [
        "missing a rule for: get configmaps in team-a (two)",
        "missing a rule for: list pods in team-a",
        "never used: delete jobs.batch (worker)",
    ]


def test_rotated_logs_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "audit-2026-01-01T00-00-00.000.log").write_text(
        event("list", "jobs", apiGroup="batch") + "\n"
    )
    (tmp_path / "audit.log").write_text(event("watch", "jobs", apiGroup="batch") + "\n")
    used = usage(log_lines(tmp_path / "audit.log"), user_name("team-a", "robot"))
    assert {access.verb for access in used.allowed} == {"list", "watch"}

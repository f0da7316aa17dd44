"""What the cluster's own roles permit once the chart is installed; the real controller aggregates them."""

from __future__ import annotations

import json

import pytest

from support.helm import Helm
from support.runs import TINY, wait_for
from vistrain_devcluster.kubectl import Kubectl, KubectlError

pytestmark = pytest.mark.cluster

CRD = "detectortrainings.vistrain.dev"
IDLE = {"replicas": 0}


@pytest.fixture(scope="module")
def team(releases: Helm, kubectl: Kubectl) -> Kubectl:
    releases.install("vistrain", "vistrain-system", IDLE)
    team = kubectl.within("team-b")
    for role in ("view", "edit", "admin"):
        team.run("create", "rolebinding", f"{role}s", f"--clusterrole={role}", f"--user={role}-er")
    return team


def may(team: Kubectl, user: str, verb: str, what: str = CRD, *flags: str) -> bool:
    try:
        return team.run("auth", "can-i", verb, what, f"--as={user}", *flags).strip() == "yes"
    except KubectlError:
        return False


@pytest.mark.parametrize("user", ["edit-er", "admin-er"])
def test_who_edits_may_do_all(team: Kubectl, user: str) -> None:
    for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"):
        wait_for(f"{user} to be permitted to {verb}", lambda verb=verb: may(team, user, verb))
    assert may(team, user, "get", CRD, "--subresource=status")
    assert not may(team, user, "patch", CRD, "--subresource=status")


def test_who_views_may_look(team: Kubectl) -> None:
    for verb in ("get", "list", "watch"):
        wait_for(f"view-er to be permitted to {verb}", lambda verb=verb: may(team, "view-er", verb))
    for verb in ("create", "update", "patch", "delete"):
        assert not may(team, "view-er", verb)


def test_nobody_else_may(team: Kubectl) -> None:
    assert not may(team, "stranger", "get")


def test_a_user_applies_a_run(team: Kubectl) -> None:
    run = {
        "apiVersion": "vistrain.dev/v1alpha1",
        "kind": "DetectorTraining",
        "metadata": {"name": "mine"},
        "spec": TINY,
    }
    said = wait_for(
        "a user to create a run",
        lambda: team.run("create", "--as=edit-er", "--dry-run=server", "-f", "-", stdin=json.dumps(run)),
    )
    assert "mine created" in said

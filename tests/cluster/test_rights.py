"""The operator's service account, by the audit log of all that happened on this cluster so far."""

import pytest

from support.helm import Helm
from support.rbac import compare, log_lines

pytestmark = pytest.mark.cluster

# Only asked for when a pod outlives its Job, and when a Job is gone that the watch still shows:
# tests/chart/test_rights.py walks these paths, so that there no rule goes unused.
RARE = {("delete", "pods"), ("get", "jobs")}


def test_nothing_is_refused_and_little_is_idle(runs):
    run = runs.new("rights", ttlAfterFinished="1s").apply()
    run.reaches_step(1)
    run.evict()
    runs.wait("the run to be deleted", lambda: run.kubectl.find("dtrain", run.name) is None, seconds=120)
    run = runs.new("rights-suspended").apply()
    run.reaches_step(1)
    run.patch({"suspend": True})
    run.becomes("Suspended")

    objects = Helm(runs.site.place.helm).template(namespace=runs.system.namespace)
    audit_log = runs.site.cluster.config.audit_log
    comparison = compare(objects, log_lines(audit_log), runs.system.namespace, "vistrain")
    assert comparison.refused == ()
    assert comparison.foreign == ()
    idle = {(grant.verb, grant.resource) for grant in comparison.unused}
    # Whether events had to be read depends on how fast the node was.
    assert idle <= RARE | {("list", "events")}

"""The Jobs of a run, as dicts: of an attempt, and of errands; each has one pod, never replaced."""

from __future__ import annotations

from typing import Any

from vistrain_api import protocol
from vistrain_api.detector import DetectorTraining, DetectorTrainingSpec
from vistrain_api.digest import SHORT_DIGEST, spec_digest
from vistrain_api.quantities import seconds, to_bytes, to_millicores
from vistrain_operator import pods
from vistrain_operator.decide.slices import Placement
from vistrain_operator.objects import RUN_KIND, Object

MANAGER = "vistrain-operator"
# What the pre-flight is scheduled by, where the run's own resources are not less: it reads annotations once,
# in one process. Its limits are the run's, since a data set that needs more is the same to the trainer.
PREFLIGHT_CPU = "500m"
PREFLIGHT_MEMORY = "512Mi"
PREFLIGHT_GRACE = 5  # seconds: it has nothing to save
# What a preparation is scheduled by. It reads tables and writes annotations in one process: of the whole of
# nuScenes it stays under the limit, which the run's own memory raises where that is more.
PREPARATION_CPU = "1"
PREPARATION_MEMORY = "1Gi"
PREPARATION_MEMORY_LIMIT = "4Gi"
PREPARATION_GRACE = 30  # seconds: it clears away what it had begun
PREPARATION_KEPT = 3600  # seconds for which its Job stays for its log; it holds no quota on what pods use


def job_name(run: str, uid: str, number: int) -> str:
    """`<run>-<first 5 of uid>-<n>`: the same for every try to create it."""
    return f"{run}-{uid[:5]}-{number}"


def preflight_name(run: str, uid: str) -> str:
    """`<run>-<first 5 of uid>-preflight`; of a long name the first 47 characters, since pods bear the name of
    their Job as a label, which takes 63."""
    return f"{run[:47]}-{uid[:5]}-preflight"


def labels(run: str, uid: str) -> dict[str, str]:
    """Labels of everything that belongs to a run."""
    return {
        "app.kubernetes.io/name": "vistrain-trainer",
        "app.kubernetes.io/managed-by": MANAGER,
        protocol.LABEL_RUN: run,
        protocol.LABEL_RUN_UID: uid,
        protocol.LABEL_KIND: RUN_KIND,
    }


def job(
    run: DetectorTraining,
    *,
    uid: str,
    number: int,
    image: str,
    path: str,
    manifest: str,
    placement: Placement,
    owner: Object,
) -> Object:
    """The Job of attempt `number`; `manifest` names the ConfigMap, `path` the run folder."""
    spec = run.spec
    grace = seconds(spec.resilience.termination_grace_period)
    resources = {
        "cpu": str(spec.resources.cpu),
        "memory": str(spec.resources.memory),
        **{name: str(count) for name, count in placement.resources.items()},
    }
    container = pods.container(
        spec,
        "run",
        claims=pods.read_claims(spec),
        number=number,
        image=image,
        path=path,
        grace=grace,
        resources={"requests": resources, "limits": dict(resources)},
    )
    container["ports"] = [{"name": "metrics", "containerPort": protocol.PORT, "protocol": "TCP"}]
    pod = pods.pod(
        spec,
        container,
        claims=pods.read_claims(spec),
        manifest=manifest,
        grace=grace,
        affinity=placement.affinity,
    )
    name = job_name(run.metadata.name, uid, number)
    return _job(run, name, uid, {protocol.LABEL_ATTEMPT: str(number)}, pod, owner)


def preflight(
    run: DetectorTraining, *, uid: str, image: str, path: str, manifest: str, owner: Object
) -> Object:
    """The Job of the pre-flight: the attempts' image and mounts, no slice."""
    spec, claims = run.spec, pods.read_claims(run.spec)
    container = pods.container(
        spec,
        "preflight",
        claims=claims,
        number=0,
        image=image,
        path=path,
        grace=PREFLIGHT_GRACE,
        resources=_preflight_resources(spec),
    )
    pod = pods.pod(spec, container, claims=claims, manifest=manifest, grace=PREFLIGHT_GRACE)
    name = preflight_name(run.metadata.name, uid)
    return _job(run, name, uid, {protocol.LABEL_PREFLIGHT: "true"}, pod, owner)


def preparation(
    run: DetectorTraining,
    *,
    uid: str,
    name: str,
    digest: str,
    image: str,
    path: str,
    manifest: str,
    owner: Object,
) -> Object:
    """The Job of a preparation: the attempts' image, the raw data and the checkpoint volume, no slice."""
    spec, claims = run.spec, [run.spec.dataset.volume.claim_name]
    container = pods.container(
        spec,
        "prepare",
        "manifest",
        claims=claims,
        number=0,
        image=image,
        path=path,
        grace=PREPARATION_GRACE,
        resources=_preparation_resources(spec),
    )
    pod = pods.pod(spec, container, claims=claims, manifest=manifest, grace=PREPARATION_GRACE)
    mark = {protocol.LABEL_PREPARATION: digest[:SHORT_DIGEST]}
    job = _job(run, name, uid, mark, pod, owner)
    job["spec"]["ttlSecondsAfterFinished"] = PREPARATION_KEPT
    return job


def _preparation_resources(spec: DetectorTrainingSpec) -> Object:
    cpu, memory = str(spec.resources.cpu), str(spec.resources.memory)
    return {
        "requests": {"cpu": min(cpu, PREPARATION_CPU, key=to_millicores), "memory": PREPARATION_MEMORY},
        "limits": {"cpu": cpu, "memory": max(memory, PREPARATION_MEMORY_LIMIT, key=to_bytes)},
    }


def _preflight_resources(spec: DetectorTrainingSpec) -> Object:
    cpu, memory = str(spec.resources.cpu), str(spec.resources.memory)
    return {
        "requests": {
            "cpu": min(cpu, PREFLIGHT_CPU, key=to_millicores),
            "memory": min(memory, PREFLIGHT_MEMORY, key=to_bytes),
        },
        "limits": {"cpu": cpu, "memory": memory},
    }


def _job(
    run: DetectorTraining, name: str, uid: str, mark: dict[str, str], pod: dict[str, Any], owner: Object
) -> Object:
    """A Job around a pod; `mark` is the label that says which of the run's Jobs it is."""
    own = {**labels(run.metadata.name, uid), **mark}
    annotations = {protocol.ANNOTATION_SPEC_DIGEST: spec_digest(run.spec)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": run.metadata.namespace,
            "labels": own,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            # Only the operator retries: the Job's part is to say why the pod ended, also after it is gone.
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": protocol.CONTAINER,
                            "operator": "NotIn",
                            "values": [0],
                        },
                    },
                ]
            },
            "template": {
                "metadata": {
                    "labels": {**run.spec.pod.labels, **own},
                    "annotations": {**run.spec.pod.annotations, **annotations},
                },
                "spec": pod,
            },
        },
    }

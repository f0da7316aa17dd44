"""The pod of a run, as a dict: within Pod Security "restricted", its data read-only."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from vistrain_api import protocol
from vistrain_api.detector import DetectorTrainingSpec
from vistrain_api.pod import Toleration
from vistrain_api.volumes import VolumeRef
from vistrain_operator.objects import Object

USER = 65532  # the uid of the trainer image; no other may read the checkpoints
# A node that is silent is given up this many seconds after it is marked so; 300 is Kubernetes' default.
# A pod that was given up for nothing loses no step: it resumes.
GIVE_UP_NODE_SECONDS = 10
_GIVE_UP_TAINTS = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")


def read_claims(spec: DetectorTrainingSpec) -> list[str]:
    """Claims that are only read: the data set, and what the run starts from."""
    start = spec.initialization
    volumes: list[VolumeRef] = [spec.dataset.volume]
    if start.weights is not None:
        volumes += [start.weights.volume, *(f.volume for f in start.weights.fallbacks)]
    if start.checkpoint is not None:
        volumes.append(start.checkpoint.volume)
    return sorted({v.claim_name for v in volumes})


def all_claims(spec: DetectorTrainingSpec) -> list[str]:
    """Every claim that an attempt's pod mounts."""
    return _with_checkpoints(spec, read_claims(spec))


def _with_checkpoints(spec: DetectorTrainingSpec, claims: list[str]) -> list[str]:
    return sorted({*claims, spec.checkpoint.volume.claim_name})


def pod(
    spec: DetectorTrainingSpec,
    container: Object,
    *,
    claims: list[str],
    manifest: str,
    grace: int,
    affinity: tuple[Object, ...] = (),
) -> dict[str, Any]:
    """The pod's spec: `claims` are those that are only read, `manifest` names the ConfigMap, `grace` is in
    seconds, `affinity` are match expressions that a node must meet."""
    found: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "manifest", "configMap": {"name": manifest}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(spec.resources.shared_memory)}},
            *(
                {"name": _volume(index), "persistentVolumeClaim": {"claimName": claim}}
                for index, claim in enumerate(_with_checkpoints(spec, claims))
            ),
        ],
        "tolerations": _tolerations(spec.scheduling.tolerations),
    }
    if affinity:
        terms = [{"matchExpressions": list(affinity)}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        found["affinity"] = {"nodeAffinity": required}
    if spec.scheduling.node_selector:
        found["nodeSelector"] = dict(spec.scheduling.node_selector)
    if spec.scheduling.priority_class_name:
        found["priorityClassName"] = spec.scheduling.priority_class_name
    if spec.pod.image_pull_secrets:
        found["imagePullSecrets"] = [{"name": s.name} for s in spec.pod.image_pull_secrets]
    if spec.pod.service_account_name:
        found["serviceAccountName"] = spec.pod.service_account_name
    return found


def container(
    spec: DetectorTrainingSpec,
    *command: str,
    claims: list[str],
    number: int,
    image: str,
    path: str,
    grace: int,
    resources: Object,
) -> dict[str, Any]:
    """The trainer's container, which runs `vistrain COMMAND` for the run folder `path`.

    Args:
        spec: the run's.
        command: `run`, `preflight`, or `prepare manifest`.
        claims: those that are only read.
        number: of the attempt, 0 for an errand.
        image: the trainer's.
        path: of the run folder, inside the checkpoint volume.
        grace: seconds between SIGTERM and SIGKILL.
        resources: requests and limits.
    """
    folder = PurePosixPath(protocol.CHECKPOINT_ROOT) / path
    return {
        "name": protocol.CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [*command, "-f", protocol.MANIFEST_PATH, "--output", str(folder)],
        "env": [*_environment(number, image, grace), *(e.model_dump() for e in spec.pod.env)],
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": protocol.TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "volumeMounts": _mounts(spec, claims),
    }


def _environment(number: int, image: str, grace: int) -> list[dict[str, Any]]:
    plain = {
        "HOME": "/tmp",  # the root file system is read-only, and libraries keep caches at home
        protocol.ENV_ATTEMPT: str(number),
        protocol.ENV_GRACE_SECONDS: str(grace),
        protocol.ENV_IMAGE: image,
        protocol.ENV_TERMINATION_LOG: protocol.TERMINATION_LOG,
    }
    fields = {
        protocol.ENV_POD_UID: "metadata.uid",
        protocol.ENV_POD_NAME: "metadata.name",
        protocol.ENV_NODE_NAME: "spec.nodeName",
    }
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
    ]


def _mounts(spec: DetectorTrainingSpec, read: list[str]) -> list[dict[str, Any]]:
    claims = _with_checkpoints(spec, read)
    return [
        {
            "name": "manifest",
            "mountPath": str(PurePosixPath(protocol.MANIFEST_PATH).parent),
            "readOnly": True,
        },
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shm", "mountPath": "/dev/shm"},
        *(
            {"name": _volume(claims.index(c)), "mountPath": f"{protocol.DATA_ROOT}/{c}", "readOnly": True}
            for c in read
        ),
        {
            "name": _volume(claims.index(spec.checkpoint.volume.claim_name)),
            "mountPath": protocol.CHECKPOINT_ROOT,
        },
    ]


def _volume(index: int) -> str:
    # A claim's name may be longer than the 63 characters, and hold the dots, that a volume's may not.
    return f"claim-{index}"


def _tolerations(stated: list[Toleration]) -> list[Object]:
    own = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": GIVE_UP_NODE_SECONDS}
        for key in _GIVE_UP_TAINTS
        if not any(t.key in {key, None} and t.effect in {"NoExecute", None} for t in stated)
    ]
    return [t.model_dump(by_alias=True, exclude_none=True) for t in stated] + own

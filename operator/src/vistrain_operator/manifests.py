"""The resolved manifest: the run with every default filled in, in an immutable ConfigMap."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any

from vistrain_api import protocol
from vistrain_api.detector import DetectorTraining
from vistrain_api.initialization import CheckpointRef, Initialization, RunRef
from vistrain_operator import objects
from vistrain_operator.objects import Object

MANIFEST_KEY = PurePosixPath(protocol.MANIFEST_PATH).name


def run_folder(name: str, uid: str, stated: str | None) -> str:
    """The run folder inside the checkpoint volume: as stated, else `<name>-<first 8 of uid>`."""
    return stated or f"{name}-{uid[:8]}"


def settled(run: DetectorTraining, start: CheckpointRef | None) -> DetectorTraining:
    """The run with the checkpoint that its initialization.run came to in the place of that."""
    if start is None:
        return run
    spec = run.spec.model_copy(update={"initialization": Initialization(checkpoint=start)})
    return run.model_copy(update={"spec": spec})


def resolve(
    run: DetectorTraining, *, uid: str, image: str, path: str, source: RunRef | None = None
) -> dict[str, Any]:
    """The manifest the trainer reads. What does not concern the trainer is left out, so that a change of it
    (suspend, ttlAfterFinished) makes no new manifest. `source`: where its checkpoint comes from."""
    spec = run.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec.pop("suspend", None)
    spec.pop("ttlAfterFinished", None)
    spec["checkpoint"]["path"] = path
    spec["pod"]["image"] = image
    metadata: dict[str, Any] = {
        "name": run.metadata.name,
        "namespace": run.metadata.namespace,
        "uid": uid,
    }
    if source is not None:
        metadata["annotations"] = {
            protocol.ANNOTATION_INITIALIZATION_RUN: f"{source.name}/{source.checkpoint}"
        }
    return {"apiVersion": run.api_version, "kind": run.kind, "metadata": metadata, "spec": spec}


def config_map(manifest: dict[str, Any], labels: dict[str, str], owner: Object) -> Object:
    """The immutable ConfigMap that holds the manifest, named after its digest."""
    # JSON is YAML in which every string is quoted, so that no reader takes `1e3` for a number.
    text = json.dumps(manifest, indent=2) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    metadata = manifest["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{metadata['name']}-{metadata['uid'][:5]}-{digest[:8]}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "immutable": True,
        "data": {MANIFEST_KEY: text},
    }


def owner_reference(run: Object) -> Object:
    """The run as controlling owner. Deletion of the run is not blocked: that would need a permission more."""
    return {
        "apiVersion": run["apiVersion"],
        "kind": run["kind"],
        "name": objects.name(run),
        "uid": objects.uid(run),
        "controller": True,
        "blockOwnerDeletion": False,
    }

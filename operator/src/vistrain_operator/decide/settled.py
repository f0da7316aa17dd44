"""What is settled with the first start: image, run folder, initial checkpoint, resolved manifest."""

from __future__ import annotations

from dataclasses import dataclass

from vistrain_api.detector import DetectorTraining
from vistrain_api.digest import spec_digest
from vistrain_api.initialization import CheckpointRef
from vistrain_api.status import Resolved
from vistrain_operator import jobs, manifests, objects, timestamps
from vistrain_operator.actions import CreateConfigMap
from vistrain_operator.decide import source
from vistrain_operator.decide.draft import Draft
from vistrain_operator.objects import Object


@dataclass(frozen=True)
class Settled:
    """What every Job of the run is made of."""

    run: DetectorTraining
    """The run, with a checkpoint in the place of its initialization.run."""
    image: str
    path: str
    """Run folder inside the checkpoint volume."""
    manifest: str
    """Name of the ConfigMap with the resolved manifest."""
    owner: Object


def image_of(draft: Draft) -> str:
    """The trainer image: fixed at the first start, else the run's own, else the operator's default."""
    resolved = draft.status.resolved
    if resolved is not None and resolved.image:
        return resolved.image
    return draft.spec.pod.image or draft.observed.default_image


def settle(draft: Draft) -> Settled:
    """Fix what is not fixed yet, in the status and in the ConfigMap. The run must be one that can start."""
    image = image_of(draft)
    start = source.wanted(draft)
    if isinstance(start, str):
        raise ValueError(f"run {draft.run.metadata.name} cannot start yet: {start}")
    run, uid = manifests.settled(draft.run, start), draft.uid
    path = manifests.run_folder(run.metadata.name, uid, draft.spec.checkpoint.path)
    owner = manifests.owner_reference(draft.observed.run)
    manifest = manifests.resolve(run, uid=uid, image=image, path=path, source=draft.spec.initialization.run)
    config_map = manifests.config_map(manifest, jobs.labels(run.metadata.name, uid), owner)
    _record(draft, run, image, path, objects.name(config_map), start)
    draft.act(CreateConfigMap(config_map))
    return Settled(run, image, path, objects.name(config_map), owner)


def _record(
    draft: Draft, run: DetectorTraining, image: str, path: str, manifest: str, start: CheckpointRef | None
) -> None:
    fixed = {
        "image": image,
        "path": path,
        "manifest": manifest,
        "spec_digest": spec_digest(run.spec),
        "initialization": start,
    }
    resolved = draft.status.resolved or Resolved()
    draft.set(
        start_time=draft.status.start_time or timestamps.text(draft.now),
        resolved=resolved.model_copy(update=fixed),
        retry_at=None,
    )

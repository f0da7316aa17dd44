"""Which preparation a run asks for, and which runs ask for the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from vistrain_api import protocol
from vistrain_api.dataset import DetectionDataset
from vistrain_api.digest import SHORT_DIGEST, preparation_digest
from vistrain_api.status import TERMINAL_PHASES
from vistrain_operator import objects
from vistrain_operator.objects import Object

Group = tuple[str, str]
"""Namespace, and the first characters of a digest: runs of one group ask for the same data set."""


@dataclass(frozen=True)
class Wanted:
    """A preparation as a run asks for it."""

    digest: str
    """Of what is made of which data, in hexadecimal."""
    job: str
    """Name of the Job that makes it: the same for all runs that keep it on the same volume and run the same
    trainer."""


def wanted(run: Object, default_image: str) -> Wanted | None:
    """The preparation that a run asks for; none where it asks for none."""
    digest = _digest(run)
    if digest is None:
        return None
    spec, resolved = run["spec"], (run.get("status") or {}).get("resolved") or {}
    image = resolved.get("image") or (spec.get("pod") or {}).get("image") or default_image
    place = "\0".join((digest, spec["checkpoint"]["volume"]["claimName"], image))
    return Wanted(digest, f"prepare-{short(digest)}-{hashlib.sha256(place.encode()).hexdigest()[:5]}")


def short(digest: str) -> str:
    """The part of a digest that stands in names and labels."""
    return digest[:SHORT_DIGEST]


def group_of_run(run: Object) -> Group | None:
    """The group that a run belongs to, if it asks for a preparation."""
    digest = _digest(run)
    return None if digest is None else (objects.namespace(run), short(digest))


def group_of_child(child: Object) -> Group | None:
    """The group that a Job or pod works for, if it is a preparation's."""
    mark = objects.label(child, protocol.LABEL_PREPARATION)
    return (objects.namespace(child), mark) if mark else None


def waits(run: Object) -> bool:
    """Whether a run that asks for a preparation has yet to see it done, and is not suspended meanwhile."""
    status, spec = run.get("status") or {}, run["spec"]
    return not (
        spec.get("suspend")
        or objects.deletion(run) is not None
        or status.get("phase") in TERMINAL_PHASES
        or status.get("attempt")
        or (status.get("preparation") or {}).get("passedAt")
    )


def _digest(run: Object) -> str | None:
    dataset = (run.get("spec") or {}).get("dataset") or {}
    if not dataset.get("prepare"):
        return None
    try:
        return preparation_digest(DetectionDataset.model_validate(dataset))
    except ValidationError:
        return None  # the run as a whole is refused then

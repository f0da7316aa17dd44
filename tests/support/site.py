"""The dev cluster as the tests find it: images built, operator installed by Helm, data in a volume."""

from __future__ import annotations

import functools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from support.runs import CLASSES, wait_for
from vistrain_devcluster.cluster import Cluster
from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.demo import ground, objects
from vistrain_devcluster.demo.tell import Teller
from vistrain_devcluster.kubectl import Kubectl

NAMESPACE = "vistrain-tests"
WORLD = ["--scenes", "3", "--samples", "12", "--image-size", "96x160", "--classes", ",".join(CLASSES)]


@dataclass(frozen=True)
class Site:
    """Where the cluster's tests take place."""

    cluster: Cluster
    kubectl: Kubectl
    system: Kubectl
    image: str
    place: ground.Place

    def job(self, name: str, args: list[str], *, command: list[str] | None = None) -> dict[str, Any]:
        """A Job of the trainer's image, with the data volume at /data."""
        return objects.job(name, self.image, args, {"driving-world": "/data"}, command=command)

    def volume_folder(self, claim: str) -> Path:
        """Where a claim's volume lies on this machine."""
        volume = self.kubectl.get("pvc", claim)["spec"]["volumeName"]
        spec = self.kubectl.get("pv", volume)["spec"]
        return Path(spec.get("hostPath", spec.get("local", {}))["path"])


@functools.cache
def site() -> Site:
    """Bring everything up, once per machine; what is up already is used. Several workers may ask at once."""
    config = ClusterConfig.from_environment()
    config.cache.mkdir(parents=True, exist_ok=True)
    with FileLock(config.cache / "site.lock"):
        place = ground.dev_cluster(Teller())
        kubectl = place.kubectl.within(NAMESPACE)
        found = Site(
            Cluster(config), kubectl, place.kubectl.within(ground.SYSTEM), place.trainer_image, place
        )
        kubectl.apply(objects.namespace(NAMESPACE))
        kubectl.apply(
            objects.claim("driving-world", "1Gi", ["ReadWriteMany"]),
            objects.claim("checkpoints", "5Gi", ["ReadWriteMany"]),
        )
        make_data(found, "make-data", ["prepare", "synthetic", "--out", "/data/tiny", *WORLD])
    return found


def make_data(site: Site, name: str, args: list[str]) -> None:
    """Data enters the volume by a Job, as a user's would; a Job that is done is not run again."""
    if site.kubectl.find("job", name) is None:
        site.kubectl.run("apply", "-f", "-", stdin=json.dumps(site.job(name, args)))

    def complete() -> bool:
        conditions = site.kubectl.get("job", name)["status"].get("conditions", [])
        if any(c["type"] == "Failed" and c["status"] == "True" for c in conditions):
            raise AssertionError(site.kubectl.run("logs", f"job/{name}"))
        return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)

    wait_for("the data set", complete, seconds=240)


def unique(name: str) -> str:
    """A name that no earlier test session on the same cluster has used."""
    return f"{name}-{os.getpid() % 1000:03d}{int(time.time()) % 1000:03d}"

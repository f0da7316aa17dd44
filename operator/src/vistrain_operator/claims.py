"""Whether the PersistentVolumeClaims that a run names exist."""

from __future__ import annotations

import time

from vistrain_operator import objects
from vistrain_operator.api import Api
from vistrain_operator.objects import Object
from vistrain_operator.volumes import named

# A claim that was there a moment ago is taken to be there still; if it is not, the pod says so.
_REMEMBER = 10.0


class Claims:
    """Looks claims up, and remembers for a few seconds those that exist."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._seen: dict[tuple[str, str], float] = {}

    async def missing(self, run: Object, source: Object | None = None) -> tuple[str, ...]:
        """Names of claims of the run that do not exist, sorted; that of the checkpoint that it starts from
        among them, which stands in the run `source`, or is settled already."""
        namespace = objects.namespace(run)
        absent = []
        settled = ((run.get("status") or {}).get("resolved") or {}).get("initialization")
        start = source["spec"]["checkpoint"]["volume"] if source is not None else {}
        for name in sorted({*named(run.get("spec") or {}), *named({"volume": start, "settled": settled})}):
            if not await self._exists(namespace, name):
                absent.append(name)
        return tuple(absent)

    async def _exists(self, namespace: str, name: str) -> bool:
        now = time.monotonic()
        if now - self._seen.get((namespace, name), -_REMEMBER) < _REMEMBER:
            return True
        path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"
        if await self._api.find(path, "persistentvolumeclaims") is None:
            return False
        if len(self._seen) > 1000:
            self._seen = {key: at for key, at in self._seen.items() if now - at < _REMEMBER}
        self._seen[namespace, name] = now
        return True

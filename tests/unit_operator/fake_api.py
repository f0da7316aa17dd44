"""An API server in memory: names are unique, versions rise, a write against an old version is a conflict."""

from __future__ import annotations

import copy
from typing import Any

from vistrain_operator.api import ApiError
from vistrain_operator.objects import Object


class FakeApi:
    """Keeps objects by path, and every request in `requests`."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.version = 0
        self.refuse: dict[tuple[str, str], ApiError] = {}
        """Errors by verb and resource."""
        self.warnings: list[Object] = []
        """Events that a list of them finds."""

    def put(self, path: str, obj: Object) -> Object:
        self.version += 1
        stored = copy.deepcopy(obj)
        meta = stored.setdefault("metadata", {})
        meta.setdefault("uid", f"uid-{self.version}")
        meta["resourceVersion"] = str(self.version)
        self.objects[path] = stored
        return copy.deepcopy(stored)

    def _note(self, verb: str, resource: str) -> None:
        self.requests.append((verb, resource))
        if (verb, resource) in self.refuse:
            raise self.refuse[verb, resource]

    async def find(self, path: str, resource: str) -> Object | None:
        self._note("GET", resource)
        return copy.deepcopy(self.objects.get(path))

    async def get(self, path: str, resource: str, query: Any = None) -> Object:
        if resource == "events":
            self._note("GET", resource)
            return {"items": copy.deepcopy(self.warnings)}
        found = await self.find(path, resource)
        if found is None:
            raise ApiError(404, "NotFound", path)
        return found

    async def create(self, path: str, resource: str, body: Object) -> Object:
        self._note("POST", resource)
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise ApiError(409, "AlreadyExists", where)
        return self.put(where, body)

    async def replace(self, path: str, resource: str, body: Object) -> Object:
        self._note("PUT", resource)
        if self.objects[path]["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", path)
        return self.put(path, body)

    async def apply(self, path: str, resource: str, body: Object) -> Object:
        self._note("PATCH", resource)
        where = path.removesuffix("/status")
        if self.objects[where]["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", path)
        return self.put(where, {**self.objects[where], "status": body["status"]})

    async def delete(self, path: str, resource: str, *, uid: str, propagation: str) -> None:
        self._note("DELETE", resource)
        if path in self.objects and self.objects[path]["metadata"]["uid"] == uid:
            del self.objects[path]

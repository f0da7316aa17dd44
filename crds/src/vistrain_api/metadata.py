"""The part of Kubernetes' object metadata that a manifest states; the API server owns the rest."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from vistrain_api.base import Contract

RunName = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]


class ObjectMeta(Contract):
    """Name and labels of a run. Other metadata of the API server is accepted and left alone."""

    model_config = ConfigDict(extra="ignore")

    name: RunName
    """At most 50 characters: Jobs and pods are named after the run."""
    namespace: str | None = None
    """Namespace."""
    uid: str | None = None
    """Set by the API server."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""

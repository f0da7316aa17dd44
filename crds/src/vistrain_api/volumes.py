"""Where things lie: volumes and paths inside them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vistrain_api.base import Contract

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_NAME = rf"^{_LABEL}(\.{_LABEL})*$"

DnsName = Annotated[str, Field(min_length=1, max_length=253, pattern=_DNS_NAME)]
# Never absolute, never out of the volume: the path is joined to a mount.
RelativePath = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^/.][^/]*(/[^/.][^/]*)*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]


class VolumeRef(Contract):
    """A PersistentVolumeClaim in the run's namespace."""

    claim_name: DnsName
    """Name of the PersistentVolumeClaim."""


class DataVolumeRef(VolumeRef):
    """A PersistentVolumeClaim, mounted read-only, with a folder inside."""

    sub_path: RelativePath | None = None
    """Folder inside the volume that all paths are relative to; the volume's root when absent."""

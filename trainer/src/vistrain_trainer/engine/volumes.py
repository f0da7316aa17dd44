"""Where the claims of a manifest are found on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vistrain_api.protocol import CHECKPOINT_ROOT, DATA_ROOT
from vistrain_trainer.errors import BadInput


class Volumes:
    """Folders by claim name: as mounted in a pod, or as given by `--volume CLAIM=DIR`.

    In a pod a claim without a mapping is at DATA_ROOT/<claim>.
    """

    def __init__(self, folders: Mapping[str, Path], *, in_pod: bool, shared: Path | None = None) -> None:
        """Name the folders.

        Args:
            folders: folder by claim.
            in_pod: whether claims are mounted where the operator has them.
            shared: in a process, the folder that run folders lie in. [default: runs]
        """
        self._folders = dict(folders)
        self._in_pod = in_pod
        self.shared = Path(CHECKPOINT_ROOT) if in_pod else shared or Path("runs")
        """Holds what runs share, beside their folders: on the checkpoint volume."""

    def folder(self, claim: str, field: str, sub_path: str | None = None) -> Path:
        """The folder of `sub_path` in a claim; `field` is the manifest's field that names the claim.

        Raises:
            BadInput: no folder is known for the claim, or it does not exist.
        """
        root = self._folders.get(claim)
        if root is None and self._in_pod:
            root = Path(DATA_ROOT, claim)
        if root is None:
            raise BadInput(
                field=field,
                value=claim,
                problem="no folder of this machine is named for the claim",
                remedy=f"Say --volume {claim}=DIR; `vistrain prepare synthetic` makes a small data set",
            )
        folder = root / sub_path if sub_path else root
        if not folder.is_dir():
            raise BadInput(
                field=field if folder == root else f"{field.rpartition('.')[0]}.subPath",
                value=claim if folder == root else sub_path,
                problem=f"there is no folder {folder}",
                remedy=f"Mount the volume there, or say --volume {claim}=DIR"
                + (f" where DIR/{sub_path} exists" if sub_path else ""),
            )
        return folder

"""Where a data set lies that was made of raw data: on the checkpoint volume, beside the run folders."""

from __future__ import annotations

from pathlib import Path

from vistrain_api.dataset import DetectionDataset
from vistrain_api.digest import SHORT_DIGEST, preparation_digest
from vistrain_api.protocol import PREPARED
from vistrain_trainer.data.manifest import MANIFEST
from vistrain_trainer.errors import BadInput

FIELD = "spec.dataset.prepare"


class NotPrepared(BadInput):
    """The data set that a manifest's dataset.prepare names is not there."""


def shared_by(subject: Path, dataset: DetectionDataset) -> Path:
    """The nearest folder above a run or a file of weights that holds its prepared data set, else its own."""
    above = subject.resolve().parents
    if dataset.prepare is None:
        return above[0]
    return next((folder for folder in above if folder_of(dataset, folder).is_dir()), above[0])


def folder_of(dataset: DetectionDataset, shared: Path) -> Path:
    """The folder of the prepared data set, whether it is there or not."""
    digest = preparation_digest(dataset)
    if digest is None:
        raise ValueError("nothing is prepared")
    return shared / PREPARED / digest[:SHORT_DIGEST]


def require(dataset: DetectionDataset, shared: Path) -> Path:
    """The folder of the COCO data set that was prepared. Raises NotPrepared where it is not there."""
    folder = folder_of(dataset, shared) / "coco"
    if not (folder / MANIFEST).is_file():  # written last, so that a folder with one is whole
        raise NotPrepared(
            field=FIELD,
            value=folder.parent.name,
            problem=f"the data set is not prepared yet, or was removed: there is no {folder / MANIFEST}",
            remedy="Make it by `vistrain prepare manifest -f MANIFEST --output RUN_FOLDER`; before a run's "
            "start `vistrain run` and the operator see to it",
        )
    return folder
